"""Images built by the real commands, from a real registry, judged by the tools and runtimes that people use."""

"""A small web service that says hello from its container."""

"""A demonstration without a registry: base image, registry, build and start, all on this machine.

``python -m demo`` runs it. The parts serve the tests too, and need nothing but the standard library.
"""


class DemoError(Exception):
    """Something the demonstration needs is missing, or failed; the message is one line for the user."""

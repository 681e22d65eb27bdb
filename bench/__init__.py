"""Measurements of what the plugin is made for: ``hatch run bench``, and by its own code ``hatch run bench layers``."""


class BenchError(Exception):
    """Something a measurement needs is missing, or failed; the message is one line for the user."""

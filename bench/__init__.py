"""Measurements of what the plugin is made for, by its own code: ``hatch run bench NAME``."""

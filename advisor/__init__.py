"""Measures Python web apps and tunes the servers around them."""

__version__ = "0.1.0"

"""jobdash: one live table of every batch job you have in flight."""

__version__ = "0.1.0"

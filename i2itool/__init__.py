"""Fit an unpaired image translator on two folders, then run it over videos and pictures."""

__version__ = "0.1.0"

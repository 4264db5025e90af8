"""Engines: a generator compiled for a device and a size, behind one protocol."""

"""Engines: a generator compiled for a device and a size, behind one protocol."""

from i2itool.engine.base import Engine
from i2itool.engine.select import ENGINES, open_engine

__all__ = ["ENGINES", "Engine", "open_engine"]

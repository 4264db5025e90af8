"""Readers of other projects' checkpoints, one module a family."""

from i2itool.importers.detect import FAMILIES, detect
from i2itool.importers.to_preset import import_checkpoint

__all__ = ["FAMILIES", "detect", "import_checkpoint"]

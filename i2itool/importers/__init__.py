"""Readers of other projects' checkpoints, one module a family."""

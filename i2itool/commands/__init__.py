"""The commands of `i2itool`, one module each."""

"""`python -m i2itool`, the same as `i2itool`."""

from i2itool.cli import main

main(prog_name="i2itool")

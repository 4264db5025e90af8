"""`python -m i2itool`, the same as `i2itool`."""

from i2itool.cli import main

if __name__ == "__main__":
    main(prog_name="i2itool")

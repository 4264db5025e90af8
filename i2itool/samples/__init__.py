"""The clip that `make demo` converts."""

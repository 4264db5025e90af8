"""Many files: what is to be done, and processes that do it."""

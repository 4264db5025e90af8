"""The presets that come with i2itool: data, found by name."""

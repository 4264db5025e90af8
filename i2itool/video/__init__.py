"""Videos and pictures, in and out."""

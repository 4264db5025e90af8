"""Steady videos: the motion of the input, and what it tells of the output."""

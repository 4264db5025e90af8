"""Scores: of sets of pictures against each other, and of pictures against their counterparts."""

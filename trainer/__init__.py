"""Fits a translator on two folders of pictures and exports it as a preset."""

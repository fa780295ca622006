"""Pairs images with masks in the folder layouts that people have."""

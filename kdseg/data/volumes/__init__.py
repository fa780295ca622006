"""Volumes and their label maps: found in the layouts that are distributed, checked, and their classes named."""

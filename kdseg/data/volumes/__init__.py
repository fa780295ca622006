"""Volumes of any format, and their labels on the same grid."""

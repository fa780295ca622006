"""Data lists: records, splits, patients, classes, and what training makes of them."""

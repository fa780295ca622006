"""A writer for each format of masks: ``write_…(mask, path)``, which returns remarks for the user."""

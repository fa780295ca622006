"""Pictures of any format: opened as frames, read for MONAI."""

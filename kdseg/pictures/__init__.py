"""Pictures of images and masks for people to look at."""

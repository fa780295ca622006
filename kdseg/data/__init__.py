"""Readers of images and masks, data lists and folds, and the preparation and checking of data sets."""

import logging

import lazy_loader

# the names stand in __init__.pyi; each is loaded when first used, because the readers bring MONAI and torch with them
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

# pydicom logs what it warns of, with the header's values, and those may name a patient; its level is set when it loads.
# tifffile logs each damaged tag beside the error that it raises
for _name in ("pydicom", "tifffile"):
    logging.getLogger(_name).addFilter(lambda record: False)

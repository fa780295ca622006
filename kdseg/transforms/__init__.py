"""Transforms that MONAI lacks."""

import lazy_loader

# the names stand in __init__.pyi; each is loaded when first used, because most bring MONAI and torch with them
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""From a trained network's folder to masks: loaded, measured, used on files and in programs."""

import lazy_loader

# the names stand in __init__.pyi; each is loaded when first used, because exports are used without torch
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""Exports where torch is not needed: read, checked and run with NumPy and ONNX Runtime or OpenVINO alone."""

import lazy_loader

# the names stand in __init__.pyi; each is loaded when first used
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""The task: what a network is fed and what its output means; saved beside the weights."""

import lazy_loader

# the names stand in __init__.pyi; each is loaded when first used, because transforms bring MONAI and torch with them
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

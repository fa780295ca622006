"""The losses once more, in the plainest form: whole matrices, loops, no shortcuts. Every file here is read."""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

"""Small segmentation networks for medical images, distilled from large ones.

Importing this package imports nothing else: each room (``kdseg.networks``, ``kdseg.losses``, ``kdseg.distill``, …)
loads what it needs when it is used.
"""

from kdseg._version import __version__

__all__ = ["__version__"]

"""Phantom angiograms: seeded pictures of made-up hearts with their vessel masks, for the demo and for tests.

The way of a picture: a tree on the heart's surface (``vessels``), its shadow under a C-arm (``projection``), the chest
around it (``anatomy``), the detector and its noise (``detector``), all together (``angiogram``); then files (``dicom``,
``dataset``). docs/phantom.md says how near this comes to real angiograms.
"""

from kdseg.data.phantom.angiogram import make_phantom
from kdseg.data.phantom.dataset import write_phantom_set

__all__ = ["make_phantom", "write_phantom_set"]

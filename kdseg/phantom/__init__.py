"""Phantoms: seeded made-up pictures with their masks, for the demo and for tests.

Angiograms of made-up hearts, and fields of made-up tissue (``tissue``, and ``slide`` for their DICOM files).

The way of an angiogram: a tree on the heart's surface (``vessels``), its shadow under a C-arm (``projection``), the
chest around it (``anatomy``), the detector and its noise (``detector``), all together (``angiogram``); then files
(``dicom``, ``dataset``). docs/phantom.md says how near this comes to real angiograms.
"""

from kdseg.phantom.angiogram import make_phantom
from kdseg.phantom.dataset import write_phantom_set
from kdseg.phantom.tissue import make_field, write_pathology_set

__all__ = ["make_field", "make_phantom", "write_pathology_set", "write_phantom_set"]

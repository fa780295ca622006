"""Phantoms: seeded made-up pictures with their masks, for the demo and for tests.

Angiograms of made-up hearts (``vessels`` before a chest: ``angiogram``; their files: ``dicom``, ``dataset``), and
fields of made-up tissue (``tissue``, and ``slide`` for their DICOM files). docs/phantom.md says how near they come.
"""

from kdseg.phantom.angiogram import make_phantom
from kdseg.phantom.dataset import write_phantom_set
from kdseg.phantom.tissue import make_field, write_pathology_set

__all__ = ["make_field", "make_phantom", "write_pathology_set", "write_phantom_set"]

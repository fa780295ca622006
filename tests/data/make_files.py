"""Tiny image files for the tests of the data room."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from kdseg.configuration import bundle_folder
from kdseg.data import load_datalist
from kdseg.data.prepare import Preparation, prepare
from kdseg.task import read_task

TASK = "coronary_angiogram"


def angiogram(width: int = 40, height: int = 24, seed: int = 0) -> np.ndarray:
    """An 8-bit picture ``(H, W)``, wider than high, without any symmetry, and with a dark line."""
    picture = np.random.default_rng(seed).integers(120, 250, (height, width)).astype(np.uint8)
    picture[:, width // 3 : width // 3 + 3] = 30 + seed % 20
    return picture


def mask_of(picture: np.ndarray) -> np.ndarray:
    return ((picture < 60) * 255).astype(np.uint8)


def write_picture(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def write_case(
    folder: Path, stem: str, seed: int, mask: str = "masks/{stem}.png", image: str = "images/{stem}.png"
) -> None:
    picture = angiogram(seed=seed)
    write_picture(folder / image.format(stem=stem), picture)
    write_picture(folder / mask.format(stem=stem), mask_of(picture))


def write_dicom(path: Path, frames: np.ndarray, bits: int = 8, compress: Any = None, **elements: Any) -> Path:
    """A secondary-capture-like XA file of ``(H, W)``, ``(F, H, W)`` or colour ``(H, W, 3)`` values."""
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, XRayAngiographicImageStorage, generate_uid

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = XRayAngiographicImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
    dataset.Modality = "XA"
    dataset.PatientName, dataset.PatientID = "Secret^Person", ""
    colour = frames.ndim == 3 and frames.shape[-1] == 3
    size = frames.shape[:-1] if colour else frames.shape
    dataset.Rows, dataset.Columns = size[-2:]
    if len(size) == 3:
        dataset.NumberOfFrames = size[0]
    dataset.SamplesPerPixel = 3 if colour else 1
    if colour:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    dataset.BitsAllocated = 8 * frames.dtype.itemsize
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    dataset.PixelRepresentation = int(frames.dtype.kind == "i")
    dataset.PixelData = frames.tobytes()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    if compress is not None:
        dataset.compress(compress, generate_instance_uid=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def prepare_task(task: str, source: Path, out: Path, **settings: Any) -> Preparation:
    return prepare(source, out, **read_task(bundle_folder(task)).data | settings)


def prepared(source: Path, **settings):
    """The preparation, and the records of all labelled sections by case."""
    out = source.parent / "lists" / "list.json"
    result = prepare_task(TASK, source, out, **settings)
    sections = {section: load_datalist(out, section) for section in ("training", "validation", "test", "unlabelled")}
    labelled = [record for section in ("training", "validation", "test") for record in sections[section]]
    return result, {record["case"]: record for record in labelled}, sections

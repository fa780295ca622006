"""A patient's name in a damaged DICOM header reaches no log and no message."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from kdseg.cli.main import main
from kdseg.data import PictureReader
from kdseg.errors import UserError

NAME = "Doe^Jane"


def write_damaged(path: Path) -> None:
    """A grey picture with the name where a number of frames should be."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = 4, 4, 1
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PixelData = np.arange(16, dtype=np.uint8).tobytes()
    dataset.NumberOfFrames = "00001111"
    dataset.save_as(path, enforce_file_format=True)
    path.write_bytes(path.read_bytes().replace(b"00001111", NAME.encode()))


def test_a_name_where_a_number_should_be(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    write_damaged(tmp_path / "1.dcm")
    with pytest.raises(ValueError, match="Jane"):
        int(pydicom.dcmread(tmp_path / "1.dcm").NumberOfFrames)
    caplog.clear()
    with caplog.at_level(logging.DEBUG), pytest.raises(UserError) as caught:
        PictureReader().get_data([tmp_path / "1.dcm"])
    assert main(["prepare", "coronary_angiogram", str(tmp_path), "--out", str(tmp_path / "list.json")]) == 2
    printed = capsys.readouterr()
    for told in (str(caught.value), caplog.text, printed.out, printed.err):
        assert "Jane" not in told

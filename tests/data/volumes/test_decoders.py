"""Every compressed transfer syntax gives the values that went in, and an error for half a frame."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.misc import is_dicom
from pydicom.pixels import get_decoder, pixel_array
from pydicom.uid import UID, RLELossless

from kdseg.data.formats.dicom.decoders import CODECS, RLE, decoder_of
from tests.data.make_files import write_dicom

DOCS = Path(__file__).parents[3] / "docs" / "dicom.md"
JPEG = "1.2.840.10008.1.2.4."


def picture(bits: int) -> np.ndarray:
    """Smooth, wider than high, of nearly the whole range of ``bits``."""
    y, x = np.mgrid[:48, :64]
    values = (2**bits - 1) * (0.5 + 0.45 * np.sin(x / 9) * np.cos(y / 7))
    return values.astype(np.uint16 if bits > 8 else np.uint8)


def jpeg(**settings: Any) -> Callable[[np.ndarray], bytes]:
    return lambda values: imagecodecs.jpeg8_encode(values, **settings)


def jpeg_ls(error: int) -> Callable[[np.ndarray], bytes]:
    return lambda values: imagecodecs.jpegls_encode(values, level=error)


def jpeg_2000(**settings: Any) -> Callable[[np.ndarray], bytes]:
    return lambda values: imagecodecs.jpeg2k_encode(values, codecformat="j2k", **settings)


def high_throughput(**settings: Any) -> Callable[[np.ndarray], bytes]:
    return lambda values: imagecodecs.htj2k_encode(values, **settings)


# transfer syntax, bits, encoder, and by how many grey values its loss may change one
CASES: list[tuple[str, int, Callable[[np.ndarray], bytes], int]] = [
    (JPEG + "50", 8, jpeg(level=95), 4),
    (JPEG + "51", 8, jpeg(level=95), 4),
    (JPEG + "51", 12, jpeg(level=95, bitspersample=12), 8),
    (JPEG + "57", 12, jpeg(lossless=True, predictor=4, bitspersample=12), 0),
    (JPEG + "57", 16, jpeg(lossless=True, predictor=7, bitspersample=16), 0),
    (JPEG + "70", 8, jpeg(lossless=True, predictor=1), 0),
    (JPEG + "70", 16, jpeg(lossless=True, predictor=1, bitspersample=16), 0),
    (JPEG + "80", 12, jpeg_ls(0), 0),
    (JPEG + "81", 12, jpeg_ls(2), 2),
    (JPEG + "90", 16, jpeg_2000(level=0, reversible=True), 0),
    (JPEG + "91", 12, jpeg_2000(level=80, bitspersample=12), 8),
    (JPEG + "201", 16, high_throughput(reversible=True), 0),
    (JPEG + "202", 16, high_throughput(reversible=True), 0),
    (JPEG + "203", 16, high_throughput(reversible=False, level=0.0001), 16),
]


def dataset_of(tmp_path: Path, syntax: str, bits: int, frame: bytes, values: np.ndarray | None = None) -> Dataset:
    values = picture(bits) if values is None else values
    dataset = dcmread(write_dicom(tmp_path / "a.dcm", values, bits=bits))
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    dataset.PixelData = encapsulate([frame])
    return dataset


def decoded(dataset: Dataset, decoder: str | None = None) -> np.ndarray:
    return pixel_array(dataset, index=0, decoding_plugin=decoder or decoder_of(dataset)).astype(int)


@pytest.mark.parametrize(("syntax", "bits", "encode", "loss"), CASES, ids=[f"{case[0]}-{case[1]}" for case in CASES])
def test_values_come_back_and_half_a_frame_is_an_error(
    tmp_path: Path, syntax: str, bits: int, encode: Callable[[np.ndarray], bytes], loss: int
) -> None:
    frame = encode(picture(bits))
    values = decoded(dataset_of(tmp_path, syntax, bits, frame))
    assert np.abs(values - picture(bits)).max() <= loss
    with pytest.raises(RuntimeError, match="Unable to decode"):
        decoded(dataset_of(tmp_path, syntax, bits, frame[: len(frame) // 2]))


def test_signed_values(tmp_path: Path) -> None:
    signed = (picture(16).astype(int) - 2**15).astype(np.int16)
    frame = imagecodecs.jpeg8_encode(signed.view(np.uint16), lossless=True, predictor=1, bitspersample=16)
    for syntax, encoded in {JPEG + "70": frame, JPEG + "90": jpeg_2000(level=0, reversible=True)(signed)}.items():
        np.testing.assert_array_equal(decoded(dataset_of(tmp_path, syntax, 16, encoded, signed)), signed)


@pytest.mark.parametrize(
    ("syntax", "encode", "kind"),
    [
        (JPEG + "70", jpeg(lossless=True, predictor=1, colorspace="RGB", outcolorspace="RGB"), "RGB"),
        (JPEG + "80", jpeg_ls(0), "RGB"),
        (JPEG + "90", jpeg_2000(level=0, reversible=True, mct=True), "YBR_RCT"),
        (JPEG + "50", jpeg(level=100, subsampling="444"), "YBR_FULL"),
    ],
)
def test_colours(tmp_path: Path, syntax: str, encode: Callable[[np.ndarray], bytes], kind: str) -> None:
    colour = np.stack([picture(8), picture(8)[::-1], 255 - picture(8)], axis=-1)
    dataset = dataset_of(tmp_path, syntax, 8, encode(colour), colour)
    dataset.PhotometricInterpretation = kind
    assert np.abs(decoded(dataset) - colour).max() <= (6 if syntax == JPEG + "50" else 0)


@pytest.mark.parametrize(
    ("syntax", "bits", "encode", "loss"), CASES[::2], ids=[f"{case[0]}-{case[1]}" for case in CASES[::2]]
)
def test_a_false_size_is_refused_before_memory_is_asked_for(
    tmp_path: Path, syntax: str, bits: int, encode: Callable[[np.ndarray], bytes], loss: int
) -> None:
    frame = encode(picture(bits))
    assert frame.count(b"\x00\x30\x00\x40") + frame.count(b"\x00\x40\x00\x00\x00\x30") >= 1
    false = frame.replace(b"\x00\x30\x00\x40", b"\xff\xff\xff\xff").replace(
        b"\x00\x40\x00\x00\x00\x30", b"\xff\xff\x7f\xff\xff\xff"
    )
    with pytest.raises(RuntimeError, match="the header 64×48"):
        decoded(dataset_of(tmp_path, syntax, bits, false))


def test_decoders_agree_on_real_files(shared_data: Path) -> None:
    """With every other plug-in that happens to be installed; JPEG's own rounding may differ by one."""
    seen: dict[str, int] = {}
    for path in sorted(path for path in shared_data.rglob("*") if path.is_file() and is_dicom(path)):
        if path.parent.name == "dicom_bad":
            continue
        dataset = dcmread(path)
        syntax = dataset.file_meta.TransferSyntaxUID
        # three of each: all would take seconds
        if "PixelData" in dataset and decoder_of(dataset) and seen.get(syntax, 0) < 3:
            seen[syntax] = seen.get(syntax, 0) + 1
            values = decoded(dataset)
            for other in get_decoder(syntax).available_plugins:
                difference = np.abs(decoded(dataset, other) - values).max()
                assert difference <= (1 if syntax == JPEG + "50" else 0), (path.name, other)
    assert set(seen) == {JPEG + "50", JPEG + "70", JPEG + "80", JPEG + "90", RLELossless}


def test_the_table_in_the_docs() -> None:
    rows = [line for line in DOCS.read_text(encoding="utf-8").splitlines() if line.startswith("| `1.2.840.")]
    decoders = {syntax: f"imagecodecs, {codec}" for syntax, codec in CODECS.items()} | {RLE: "pydicom"}
    assert rows == [f"| `{syntax}` | {UID(syntax).name} | {decoder} |" for syntax, decoder in decoders.items()]
    assert {syntax for syntax, *_ in CASES} == set(CODECS)

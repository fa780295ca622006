"""Fields of tissue: the same picture from every kind of file, and one clear message for what cannot be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
import tifffile
from monai.transforms import LoadImage
from PIL import Image

from kdseg.data import MaskReader, PictureReader
from kdseg.errors import UserError
from kdseg.phantom import make_field
from kdseg.phantom.slide import write_slide

FIELD = make_field(80, seed=1)[0][:, :60]


def read(path: Path, **settings):
    return LoadImage(reader=PictureReader(frame=0, **settings), ensure_channel_first=True)(path)


def slide(path: Path, field: np.ndarray = FIELD, sparse: bool = False, tile: int = 32) -> Path:
    write_slide(path, field, tile=tile, sparse=sparse, number=1, seed=0, spacing=0.0005)
    return path


def changed(path: Path, **values) -> Path:
    dataset = pydicom.dcmread(path)
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path)
    return path


WRITERS = {
    "png": lambda path: Image.fromarray(FIELD).save(path.with_suffix(".png")),
    "bmp": lambda path: Image.fromarray(FIELD).save(path.with_suffix(".bmp")),
    "strips": lambda path: tifffile.imwrite(path.with_suffix(".tif"), FIELD, rowsperstrip=7, photometric="rgb"),
    "tiles": lambda path: tifffile.imwrite(path.with_suffix(".tiff"), FIELD, tile=(32, 16), photometric="rgb"),
    "lzw": lambda path: Image.fromarray(FIELD).save(path.with_suffix(".tif"), compression="tiff_lzw"),
    "planes": lambda path: tifffile.imwrite(
        path.with_suffix(".tif"), FIELD.transpose(2, 0, 1), photometric="rgb", planarconfig="separate"
    ),
    "strips of 16 bits": lambda path: tifffile.imwrite(
        path.with_suffix(".tif"), FIELD.astype(np.uint16) * 257, rowsperstrip=9, photometric="rgb"
    ),
    "tiles of 16 bits": lambda path: tifffile.imwrite(
        path.with_suffix(".tif"), FIELD.astype(np.uint16) * 257, tile=(16, 32), photometric="rgb"
    ),
    "planes of 16 bits": lambda path: tifffile.imwrite(
        path.with_suffix(".tif"),
        FIELD.transpose(2, 0, 1).astype(np.uint16) * 257,
        photometric="rgb",
        planarconfig="separate",
    ),
    "whole slide": lambda path: tifffile.imwrite(path.with_suffix(".svs"), FIELD, tile=(32, 32), photometric="rgb"),
    "full tiling": lambda path: slide(path.with_suffix(".dcm")),
    "sparse tiling": lambda path: slide(path.with_suffix(".dcm"), sparse=True),
    "tiles that divide": lambda path: slide(path.with_suffix(".dcm"), tile=20),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_every_file_gives_the_same_field(tmp_path: Path, kind: str) -> None:
    WRITERS[kind](tmp_path / "field")
    path = next(tmp_path.iterdir())
    colour = read(path, colour=True)
    np.testing.assert_allclose(colour.numpy(), FIELD.transpose(2, 1, 0) / 255, atol=1e-6)
    grey = read(path)
    assert grey.shape == (1, 60, 80)
    np.testing.assert_allclose(grey[0].numpy().T, FIELD @ [0.299, 0.587, 0.114] / 255, atol=1e-6)


def test_jpeg_is_near(tmp_path: Path) -> None:
    Image.fromarray(FIELD).save(tmp_path / "field.jpg", quality=95)
    assert np.abs(read(tmp_path / "field.jpg").numpy()[0].T * 255 - FIELD @ [0.299, 0.587, 0.114]).mean() < 3


def test_grey_pictures_in_colour(tmp_path: Path) -> None:
    Image.fromarray(FIELD[..., 0]).save(tmp_path / "grey.png")
    colour = read(tmp_path / "grey.png", colour=True)
    assert colour.shape == (3, 60, 80) and np.array_equal(colour[0], colour[2])


def test_spacing_of_a_slide_in_millimetres(tmp_path: Path) -> None:
    image = read(slide(tmp_path / "a.dcm"))
    assert image.meta["spacing_known"] and image.pixdim.tolist() == [0.0005, 0.0005]
    Image.fromarray(FIELD).save(tmp_path / "a.png", dpi=(300, 300))
    assert not read(tmp_path / "a.png").meta["spacing_known"]


def test_spacing_of_a_whole_slide(tmp_path: Path) -> None:
    path = tmp_path / "a.svs"
    # 0.25 µm, in pixels a centimetre
    tifffile.imwrite(path, FIELD, tile=(32, 32), photometric="rgb", resolution=(40000, 40000), resolutionunit=3)
    assert read(path).pixdim.tolist() == pytest.approx([0.00025, 0.00025])
    tifffile.imwrite(path, FIELD, tile=(32, 32), photometric="rgb", resolution=(300, 300), resolutionunit=2)
    assert not read(path).meta["spacing_known"], "300 dots an inch are a printer's"


def test_what_no_tile_covers_is_white(tmp_path: Path) -> None:
    field = FIELD.copy()
    field[32:64, :32] = 255
    path = slide(tmp_path / "a.dcm", field, sparse=True)
    assert pydicom.dcmread(path).NumberOfFrames == 5, "the white tile is not in the file"
    np.testing.assert_allclose(read(path, colour=True).numpy(), field.transpose(2, 1, 0) / 255, atol=1e-6)


@pytest.mark.parametrize("sparse", [False, True])
def test_compressed_tiles(tmp_path: Path, sparse: bool) -> None:
    path = slide(tmp_path / "a.dcm", sparse=sparse)
    dataset = pydicom.dcmread(path)
    dataset.compress(pydicom.uid.RLELossless, encoding_plugin="pydicom")
    dataset.save_as(path)
    np.testing.assert_allclose(read(path, colour=True).numpy(), FIELD.transpose(2, 1, 0) / 255, atol=1e-6)


def test_levels(tmp_path: Path) -> None:
    Image.fromarray(FIELD).save(tmp_path / "a.png")
    with pytest.raises(UserError, match="no levels"):
        read(tmp_path / "a.png", level=1)


def test_levels_of_a_pyramid(tmp_path: Path) -> None:
    pytest.importorskip("openslide")
    path, field = tmp_path / "a.tif", make_field(64, seed=1)[0]
    with tifffile.TiffWriter(path) as writer:
        writer.write(field, tile=(32, 32), photometric="rgb")
        writer.write(field[::2, ::2], tile=(32, 32), photometric="rgb", subfiletype=1)
    np.testing.assert_allclose(read(path, colour=True).numpy(), field.transpose(2, 1, 0) / 255, atol=1e-6)
    lower = read(path, level=1, colour=True).numpy()
    np.testing.assert_allclose(lower, field[::2, ::2].transpose(2, 1, 0) / 255, atol=1e-6)
    with pytest.raises(UserError, match="a level from 0 to 1"):
        read(path, level=2)


def test_a_slide_that_no_library_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.mrxs").write_bytes(b"slide")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install openslide-python"):
        PictureReader(frame=0).get_data([tmp_path / "a.mrxs"])
    tifffile.imwrite(tmp_path / "a.svs", FIELD, tile=(32, 32), photometric="rgb")
    with pytest.raises(UserError, match="no library that reads level 1"):
        PictureReader(frame=0, level=1).get_data([tmp_path / "a.svs"])


def test_slides_that_are_refused(tmp_path: Path) -> None:
    cases = {
        "label": ({"ImageType": ["ORIGINAL", "PRIMARY", "LABEL", "NONE"]}, "may name the patient"),
        "large": ({"TotalPixelMatrixRows": 100_000, "TotalPixelMatrixColumns": 100_000}, "178 million pixels"),
        "parts": ({"TotalPixelMatrixRows": 160}, "one tile for each place"),
    }
    for name, (values, message) in cases.items():
        path = changed(slide(tmp_path / f"{name}.dcm"), **values)
        with pytest.raises(UserError, match=message):
            read(path)
    path = slide(tmp_path / "planes.dcm", sparse=True)
    groups = pydicom.dcmread(path).PerFrameFunctionalGroupsSequence
    with pytest.raises(UserError, match="one focal plane"):
        read(changed(path, PerFrameFunctionalGroupsSequence=[groups[0], *groups[:-1]]))
    del groups[0].PlanePositionSlideSequence
    with pytest.raises(UserError, match="without a position"):
        read(changed(path, PerFrameFunctionalGroupsSequence=list(groups)))


def test_masks(tmp_path: Path) -> None:
    values = np.array([[0, 255, 128], [0, 250, 3]], dtype=np.uint8)
    Image.fromarray(values).save(tmp_path / "mask.png")

    def mask(**settings):
        return MaskReader(frame=0, **settings).get_data([tmp_path / "mask.png"])[0][0].T.tolist()

    assert mask() == [[0, 1, 1], [0, 1, 0]]
    assert mask(ignored=128) == [[0, 1, 255], [0, 1, 0]]
    Image.fromarray(np.array([[0, 1, 255]], dtype=np.uint8)).save(tmp_path / "mask.png")
    assert mask(ignored=255) == [[0, 1, 255]]
    Image.fromarray(np.array([[255, 255]], dtype=np.uint8)).save(tmp_path / "mask.png")
    assert mask(ignored=255) == [[255, 255]] and mask() == [[1, 1]]
    Image.fromarray(np.array([[0, 2]], dtype=np.uint8)).save(tmp_path / "mask.png")
    with pytest.raises(UserError, match="two values"):
        mask()


def test_the_mask_of_a_slide_as_a_slide(tmp_path: Path) -> None:
    tumour = make_field(80, seed=1)[1][:, :60]
    path = slide(tmp_path / "mask.dcm", np.repeat(tumour[..., None].astype(np.uint8) * 255, 3, axis=2))
    assert np.array_equal(MaskReader(frame=0).get_data([path])[0][0].T, tumour)


def test_settings(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'colour'"):
        PictureReader(frame=0, color=True)


def test_a_real_slide(shared_data: Path) -> None:
    path = shared_data / "dicom_seg" / "sm_image.dcm"
    image = read(path, colour=True)
    dataset = pydicom.dcmread(path)
    assert image.shape == (3, 50, 50)
    assert image.pixdim.tolist() == pytest.approx([0.000499] * 2)
    for number, tile in enumerate(dataset.pixel_array):
        top, left = 10 * (number // 5), 10 * (number % 5)
        np.testing.assert_allclose(
            image[:, left : left + 10, top : top + 10].numpy(), tile.transpose(2, 1, 0) / 255, atol=1e-6
        )

"""A student's page in a browser gives the masks that the student gives in Python, and asks no other place."""

from __future__ import annotations

import base64
import gzip
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

import kdseg
from kdseg.cli.main import main
from kdseg.masks import is_marked
from kdseg.phantom import make_field, make_phantom
from kdseg.phantom.angiogram import Angiogram, acquire
from kdseg.phantom.dicom import ENCODINGS, write_dicom
from kdseg.phantom.vessels import coronary_tree
from tests.data import make_files
from tests.deploy.web_pages import Reader, agree, chromium, npm_packages, served, write_student
from tests.exports import SHALLOW, student_and_list
from tests.tasks import VARIED, tiny_task

# sides that the network's poolings do not divide
GREY = tiny_task(network=VARIED, modality=["XA"], frame="best", description="vessels")
SIDE = 70


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return npm_packages(tmp_path_factory.mktemp("packages"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("grey")


@pytest.fixture(scope="module")
def reader(browser: Any, packages: list[Path], folder: Path) -> Iterator[Reader]:
    """The page of a student of grey pictures, from a server."""
    page = write_student(folder, GREY, packages, role="student_distilled", method="kd")
    with served(page.parent) as address:
        made = Reader(browser, address)
        yield made
        # whatever the tests did: the page asked its own server alone, and its policy was never in the way
        assert {url for url in made.requests if not url.startswith((address, "blob:", "data:"))} == set()
        assert made.complaints == []


def picture(seed: int = 3, side: int = SIDE) -> np.ndarray:
    return make_phantom(np.random.default_rng(seed), side)[0][: side - 13]


def cine(frames: int) -> Angiogram:
    random = np.random.default_rng(5)
    return acquire(random, coronary_tree(random), SIDE, frames)


def python_mask(folder: Path, path: Path, **changes: Any) -> np.ndarray:
    """Class numbers ``HW``, or ``FHW`` of all frames."""
    mask = kdseg.load(folder / "student", device="cpu", **changes)(path)
    if isinstance(mask, Image.Image):
        return np.asarray(mask)
    return np.asarray(mask.dataobj).squeeze().T


def nothing_can_be_sent(browser: Any, reader: Reader, folder: Path) -> None:
    """What the page's policy stops, whoever tries it: a picture and a fetch from a server that has both."""
    folder.mkdir()
    Image.fromarray(picture()).save(folder / "picture.png")
    tries = """async (address) => {
      const image = new Promise((done) => Object.assign(new Image(), {
        onload: () => done("loaded"), onerror: () => done("stopped"), src: address }));
      return [await image, await fetch(address, { mode: "no-cors" }).then(() => "fetched", () => "stopped")];
    }"""
    with served(folder) as other:
        assert reader.page.evaluate(tries, f"{other}picture.png") == ["stopped", "stopped"]
        blank = browser.new_page()
        blank.goto(other)
        assert blank.evaluate(tries, f"{other}picture.png") == ["loaded", "fetched"]
        blank.close()


def test_a_picture(reader: Reader, folder: Path) -> None:
    Image.fromarray(picture()).save(folder / "7.png")
    reader.open(folder / "7.png")
    agree(reader.mask() // 255, python_mask(folder, folder / "7.png"))
    assert reader.saved.suggested_filename == "7_mask.png"
    # known as a mask of ours, which kdseg predict leaves out
    reader.saved.save_as(folder / "7_mask.png")
    assert is_marked(folder / "7_mask.png")


def test_what_the_page_tells(reader: Reader, folder: Path) -> None:
    Image.fromarray(picture()).save(folder / "7.png")
    reader.open(folder / "7.png")
    text = reader.page.inner_text("body")
    for word in (
        "Research only",
        "Not for diagnosis",
        "Vessels",
        "small student",
        "student distilled (kd)",
        "thing",
        "70 × 57 pixels",
    ):
        assert word in text
    share = python_mask(folder, folder / "7.png").mean() * 100
    assert float(reader.page.inner_text(".share").removesuffix("%")) == pytest.approx(share, abs=0.06)
    assert "Segmented in" in reader.page.inner_text("#status")


@pytest.mark.parametrize("encoding", ENCODINGS, ids=str)
def test_dicom_as_machines_and_archives_write_it(encoding: Any, reader: Reader, folder: Path) -> None:
    path = folder / "angiogram.dcm"
    write_dicom(path, cine(1), encoding, patient=1, series=1, seed=1)
    reader.open(path)
    agree(reader.mask() // 255, python_mask(folder, path))


def test_a_cine(reader: Reader, folder: Path) -> None:
    path = folder / "cine.dcm"
    write_dicom(path, cine(4), ENCODINGS[2], patient=1, series=1, seed=1)
    reader.open(path)
    every = python_mask(folder, path, frame="all")
    best = int(reader.page.locator("#frame").input_value()) - 1
    assert np.array_equal(every[best], python_mask(folder, path))
    for frame in (best, 0, 3):
        reader.turn_to(frame)
        agree(reader.mask() // 255, every[frame])
    assert reader.saved.suggested_filename == "cine_frame4_mask.png"
    reader.page.click("#all")
    reader.page.wait_for_selector("#status:has-text('4 frames segmented')")


SCALED = {"RescaleSlope": 2, "RescaleIntercept": -100, "WindowCenter": 150, "WindowWidth": 200}
ELEMENTS: dict[str, dict[str, Any]] = {
    "no window": {},
    "signed, rescaled, window": {"PixelRepresentation": 1, **SCALED},
    "exact window": {**SCALED, "VOILUTFunction": "LINEAR_EXACT"},
    "sigmoid window": {**SCALED, "VOILUTFunction": "SIGMOID"},
    "inverted": {"PhotometricInterpretation": "MONOCHROME1", **SCALED},
}


@pytest.mark.parametrize("name", ELEMENTS)
def test_the_display_of_dicom(name: str, reader: Reader, folder: Path) -> None:
    path = make_files.write_dicom(folder / "shown.dcm", picture(), **ELEMENTS[name])
    reader.open(path)
    agree(reader.mask() // 255, python_mask(folder, path))


def test_nifti(reader: Reader, folder: Path) -> None:
    grey, affine = picture().T, np.diag([0.3, 0.3, 1, 1])
    kinds: list[Any] = [nibabel.Nifti1Image, nibabel.Nifti2Image]
    arrays = [grey, grey.astype(np.float32) / 255, grey.astype(np.int16) - 40, grey.astype(np.uint16) * 257]
    for (kind, array), ending in zip(itertools.product(kinds, arrays), itertools.cycle([".nii", ".nii.gz"])):
        path = folder / f"image{ending}"
        nibabel.save(kind(array, affine), path)
        reader.open(path)
        agree(reader.mask() // 255, python_mask(folder, path))
    assert "0.300 × 0.300 mm" in reader.page.inner_text("#facts")


def test_a_series_of_pictures_in_nifti(reader: Reader, folder: Path) -> None:
    frames = np.stack([picture(seed).T for seed in range(3)], axis=-1)[:, :, None]
    nibabel.save(nibabel.Nifti1Image(frames, np.diag([0.3, 0.3, 1, 1])), folder / "series.nii.gz")
    reader.open(folder / "series.nii.gz")
    every = python_mask(folder, folder / "series.nii.gz", frame="all")
    for frame in range(3):
        reader.turn_to(frame)
        agree(reader.mask() // 255, every[frame])


def test_what_cannot_be_read_is_told(reader: Reader, folder: Path) -> None:
    (folder / "words.txt").write_text("no image at all")
    assert "no image that can be read" in reader.problem(folder / "words.txt")
    (folder / "nothing.png").write_bytes(b"")
    assert "empty" in reader.problem(folder / "nothing.png")
    (folder / "words.dcm").write_text("no image at all")
    assert "DICM" in reader.problem(folder / "words.dcm")
    path = make_files.write_dicom(folder / "ct.dcm", picture(), Modality="CT")
    assert "A CT image" in reader.problem(path)
    path = make_files.write_dicom(folder / "cut.dcm", picture())
    path.write_bytes(path.read_bytes()[:-900])
    assert "damaged or cut off" in reader.problem(path)
    path = folder / "cut.nii.gz"
    path.write_bytes(gzip.compress(bytes(348))[:-20])
    assert "damaged or cut off" in reader.problem(path)
    # and it goes on
    Image.fromarray(picture()).save(folder / "7.png")
    reader.open(folder / "7.png")
    agree(reader.mask() // 255, python_mask(folder, folder / "7.png"))


def test_compressed_dicom(reader: Reader, folder: Path, shared_data: Path) -> None:
    path = shared_data / "angiograms" / "cine_96_frames_jpeg.dcm"
    reader.open(path)
    best = python_mask(folder, path)
    agree(reader.mask() // 255, best)
    other = next((shared_data / "abdomen_ct" / "dicom").iterdir())
    assert "A CT image" in reader.problem(other)


def test_a_file_is_dropped(reader: Reader, folder: Path) -> None:
    Image.fromarray(picture(9)).save(folder / "9.png")
    content = list((folder / "9.png").read_bytes())
    transfer = reader.page.evaluate_handle(
        """(content) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(content)], "9.png"));
          return transfer;
        }""",
        content,
    )
    reader.page.dispatch_event("#stage", "drop", {"dataTransfer": transfer})
    reader.page.wait_for_selector("#facts:has-text('9.png')")
    reader.wait()
    agree(reader.mask() // 255, python_mask(folder, folder / "9.png"))


def test_the_overlay_is_shown_and_hidden(reader: Reader, folder: Path) -> None:
    Image.fromarray(picture()).save(folder / "7.png")
    reader.open(folder / "7.png")
    coloured = """() => {
      const overlay = document.getElementById("overlay");
      const data = overlay.getContext("2d").getImageData(0, 0, overlay.width, overlay.height).data;
      return data.filter((value, place) => place % 4 === 3 && value > 0).length;
    }"""
    assert reader.page.evaluate(coloured) == (reader.mask() > 0).sum()
    reader.page.uncheck(".class input")
    assert reader.page.evaluate(coloured) == 0
    reader.page.check(".class input")
    reader.page.locator("#opacity").fill("20")
    assert reader.page.evaluate("() => document.getElementById('overlay').style.opacity") == "0.2"


def test_nothing_can_be_sent(browser: Any, reader: Reader, folder: Path) -> None:
    before = len(reader.requests), len(reader.complaints)
    nothing_can_be_sent(browser, reader, folder / "other")
    assert any("Content Security Policy" in line for line in reader.complaints[before[1] :])
    del reader.requests[before[0] :], reader.complaints[before[1] :]


def test_everything_has_a_name_and_a_place_on_the_keyboard(reader: Reader, folder: Path) -> None:
    Image.fromarray(picture()).save(folder / "7.png")
    reader.open(folder / "7.png")
    nameless = """() => [...document.querySelectorAll("input, button")].filter(
      (part) => !part.textContent.trim() && !(part.labels && [...part.labels].some((label) => label.textContent.trim()))
    ).length"""
    assert reader.page.evaluate(nameless) == 0
    reached = set()
    reader.page.focus(".skip")
    for _ in range(12):
        reader.page.keyboard.press("Tab")
        reached.add(reader.page.evaluate("() => document.activeElement.id || document.activeElement.className"))
    assert {"file", "opacity", "save-mask", "save-picture"} <= reached


OTHERS = {
    "several classes, sigmoid": GREY.changed({"classes": ["a", "b", "c"]}),
    "softmax, window": GREY.changed({"head": "softmax", "z_score": False, "window": [0.1, 0.8], "classes": ["a", "b"]}),
    "CLAHE": GREY.changed({"clahe": True}),
    "tiles": GREY.changed({"patch_size": [32, 48], "border": 4, "head": "softmax", "classes": ["a", "b"]}),
    "colour, large fields": GREY.changed({"colour": True, "patch_size": [32, 32], "tile": 50, "border": 4}),
    "colour": GREY.changed({"colour": True}),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_tasks(name: str, browser: Any, packages: list[Path], tmp_path: Path) -> None:
    task = OTHERS[name]
    page = write_student(tmp_path, task, packages)
    image = make_field(64, 1)[0][:50] if task.colour else picture()
    Image.fromarray(image).save(tmp_path / "7.png")
    coloured = make_files.write_dicom(tmp_path / "7.dcm", make_field(64, 2)[0][:50])
    with served(page.parent) as address:
        reader = Reader(browser, address)
        for path in (tmp_path / "7.png", coloured):
            reader.open(path)
            expected = python_mask(tmp_path, path)
            agree(reader.mask() // (255 if len(task.classes) == 1 else 1), expected)


def decoded_modules(page: str) -> str:
    modules = re.findall(r"data:text/javascript;base64,([\w+/=]+)", page)
    return "".join(base64.b64decode(module).decode() for module in modules)


def test_one_file_opens_from_the_disk(browser: Any, packages: list[Path], tmp_path: Path) -> None:
    page = write_student(tmp_path, GREY, packages, single_file=True)
    assert [path.name for path in page.parent.iterdir()] == [page.name]
    text = page.read_text(encoding="utf-8")
    assert "Permission is hereby granted" in text and "Licensed under the MIT License" in decoded_modules(text)
    Image.fromarray(picture()).save(tmp_path / "7.png")
    write_dicom(tmp_path / "7.dcm", cine(1), ENCODINGS[1], patient=1, series=1, seed=1)
    reader = Reader(browser, page.as_uri())
    for path in (tmp_path / "7.png", tmp_path / "7.dcm"):
        reader.open(path)
        agree(reader.mask() // 255, python_mask(tmp_path, path))
    assert {url for url in reader.requests if not url.startswith(("data:", "blob:"))} == {page.as_uri()}
    assert reader.complaints == []
    nothing_can_be_sent(browser, reader, tmp_path / "other")


@pytest.mark.parametrize("single_file", [False, True])
def test_the_command_writes_it(single_file: bool, packages: list[Path], tmp_path: Path) -> None:
    student, datalist = student_and_list(tmp_path, tiny_task(network=SHALLOW))
    words = ["export", str(student), "--to", "web", "--datalist", str(datalist), "--out", str(tmp_path / "export")]
    words += [word for path in packages for word in ("--runtime-package", str(path))]
    assert main([*words, *(["--single-file"] if single_file else [])]) == 0
    content = json.loads((tmp_path / "export" / "export.json").read_text(encoding="utf-8"))["formats"]["web"]
    names = {f"web/{path.name}" for path in (tmp_path / "export" / "web").iterdir()}
    assert {one["name"] for one in content["files"]} == names
    assert ("web/page.html" if single_file else "web/index.html") in names
    assert content["parity"]["dice"] > 0.999

"""Whole-slide files at a lower level, with plain masks of that level's size: prepared, checked and trained on."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from kdseg.cli.main import main
from kdseg.configuration import bundle_folder, run_bundle
from kdseg.data import MaskReader, PictureReader
from kdseg.data.formats.frame_source import FrameSource
from kdseg.errors import UserError
from kdseg.phantom import make_field
from tests.data.make_files import prepare_task, write_case

TASK = "gastric_pathology"


@pytest.fixture
def slides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Slides of 128 pixels with a level of 64, and masks of 64; a stand-in where no slide library is installed."""
    folder = tmp_path / "slides"
    folder.mkdir()
    for number in range(4):
        field, tumour = make_field(128, number)
        with tifffile.TiffWriter(folder / f"{number}.svs") as writer:
            writer.write(field, tile=(32, 32), photometric="rgb")
            writer.write(field[::2, ::2], tile=(32, 32), photometric="rgb", subfiletype=1)
        Image.fromarray(np.where(tumour[::2, ::2], 255, 0).astype(np.uint8)).save(folder / f"{number}.png")
    if find_spec("openslide") is None:

        def open_level(path: Path, level: int) -> FrameSource:
            pixels = tifffile.imread(path, key=level).transpose(1, 0, 2)
            return FrameSource(lambda index: pixels, 1, 0.0, 255.0, "picture")

        monkeypatch.setattr("kdseg.data.frames.open_frames.open_whole_slide", open_level)
    return folder


def test_a_lower_level(slides: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "list.json"
    assert main(["prepare", TASK, str(slides), "--out", str(out), "--level", "1"]) == 0
    assert json.loads(out.read_text())["level"] == 1
    assert "left out" not in capsys.readouterr().out
    main(["check", str(out), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert len(told["cases"]) == 4 and not any(finding["grade"] == "error" for finding in told["findings"])
    tiny = {"tile": 32, "patch_size": [32, 32], "border": 4, "epochs": 1, "steps_per_epoch": 1, "batch_size": 2}
    known = {**tiny, "mlflow": False, "level": 1, "datalist": str(out), "output_dir": str(tmp_path / "out")}
    known |= {"network": {"name": "enet"}}
    workflow = run_bundle(bundle_folder(TASK), ["train"], known)
    assert workflow.parser.get_parsed_content("validate#dataset")[0]["image"].shape == (1, 64, 64)


def test_full_resolution_does_not_fit_masks_of_a_lower_level(slides: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the mask is 64×64 pixels and the image 128×128"):
        prepare_task(TASK, slides, tmp_path / "list.json")


def test_a_plain_mask_has_no_levels(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 255]], dtype=np.uint8)).save(tmp_path / "mask.png")
    assert MaskReader(frame=0, level=2).get_data([tmp_path / "mask.png"])[0].ravel().tolist() == [0, 1]


def test_angiograms_have_no_levels(tmp_path: Path) -> None:
    write_case(tmp_path / "data", "7", 7)
    with pytest.raises(UserError, match="level 1 of a file that has no levels"):
        prepare_task("coronary_angiogram", tmp_path / "data", tmp_path / "list.json", level=1)


def test_a_picture_larger_than_memory(tmp_path: Path) -> None:
    # black and white, and so a small file
    Image.new("1", (14000, 13000)).save(tmp_path / "large.png")
    with pytest.raises(UserError, match="at most 178 million pixels"):
        PictureReader(frame=0).get_data([tmp_path / "large.png"])

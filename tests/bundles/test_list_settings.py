"""What a data list says of how its files are read holds in training too, without being said again."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from monai.bundle import ConfigWorkflow
from PIL import Image

from kdseg.configuration import bundle_folder, compose_bundle
from kdseg.errors import UserError
from kdseg.phantom import make_field, make_phantom
from tests.data.make_files import prepare_task


def composed(bundle: str, path: Path) -> ConfigWorkflow:
    workflow = compose_bundle(bundle_folder(bundle), ["train"], {"datalist": str(path)}, own_logging=False)
    return workflow


def test_the_value_of_ignored_pixels(tmp_path: Path) -> None:
    for number in range(3):
        field, tumour = make_field(64, number)
        values = np.where(tumour, 255, 0).astype(np.uint8)
        values[:16] = 128
        Image.fromarray(field).save(tmp_path / f"{number}.png")
        Image.fromarray(values).save(tmp_path / f"{number}_mask.png")
    prepare_task("gastric_pathology", tmp_path, tmp_path / "list.json", ignored=128)
    parser = composed("gastric_pathology", tmp_path / "list.json").parser
    assert (parser.get_parsed_content("validate#dataset")[0]["label"] == 255).float().mean() == 0.25


def test_the_frame_of_a_cine_and_of_its_mask(tmp_path: Path) -> None:
    for number in range(3):
        frames = [make_phantom(np.random.default_rng(seed), 64) for seed in range(3 * number, 3 * number + 3)]
        for folder, index in (("images", 0), ("masks", 1)):
            (tmp_path / folder).mkdir(exist_ok=True)
            array = np.stack([np.asarray(frame[index], dtype=np.float32) for frame in frames], axis=-1)
            nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), tmp_path / folder / f"{number}.nii.gz")
    prepare_task("coronary_angiogram", tmp_path, tmp_path / "list.json", frame=1)
    case = composed("coronary_angiogram", tmp_path / "list.json").parser.get_parsed_content("validate#dataset")[0]
    stored = np.asarray(nibabel.load(tmp_path / "masks" / Path(case["label"].meta["filename_or_obj"]).name).dataobj)
    assert np.array_equal(case["label"][0].numpy(), stored[..., 1])
    with pytest.raises(UserError, match="no image with a usable mask"):
        prepare_task("coronary_angiogram", tmp_path, tmp_path / "best.json")

"""Labels that are missing, or hold a value that the data list does not name, are refused with case or file."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from kdseg.errors import UserError
from kdseg.transforms import LoadLabeld

SHAPE = (4, 5, 3)


def record(folder: Path, *values: int) -> dict[str, object]:
    label = np.zeros(SHAPE, dtype=np.int16)
    label.flat[: len(values)] = values
    nibabel.save(nibabel.Nifti1Image(label, np.eye(4)), folder / "label.nii.gz")
    image = MetaTensor(torch.zeros(1, *SHAPE), affine=torch.eye(4, dtype=torch.float64))
    return {"image": image, "label": str(folder / "label.nii.gz"), "case": "seven"}


def test_values_with_a_name_pass(tmp_path: Path) -> None:
    loaded = LoadLabeld("label", values=[0, 1, 2])(record(tmp_path, 1, 2))["label"]
    assert loaded.unique().tolist() == [0, 1, 2]


@pytest.mark.parametrize("value", [99, -1])
def test_values_without_a_name_are_refused(tmp_path: Path, value: int) -> None:
    with pytest.raises(UserError, match=rf"^label.nii.gz: found label values without a name: {value};"):
        LoadLabeld("label", values=[0, 1])(record(tmp_path, 1, value))


def test_a_missing_label_is_told_by_its_case(tmp_path: Path) -> None:
    without = {key: value for key, value in record(tmp_path, 1).items() if key != "label"}
    with pytest.raises(UserError, match=r"^case seven: found no 'label'"):
        LoadLabeld("label")(without)
    assert set(LoadLabeld("label", allow_missing_keys=True)(without)) == {"image", "case"}

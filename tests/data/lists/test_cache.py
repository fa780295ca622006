"""Cached cases are found again, and never after the transforms or the files changed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, EnsureTyped, Lambdad, LoadImaged, RandFlipd, ScaleIntensityRanged, Zoomd

from kdseg.data import cached_dataset
from kdseg.data.lists import cache
from kdseg.data.lists.cache import transform_key
from kdseg.errors import UserError


def transforms(high: float = 1.0, probability: float = 0.5) -> Compose:
    scaled = ScaleIntensityRanged("image", 0.0, high, 0.0, 1.0, clip=True)
    return Compose(
        [LoadImaged("image"), scaled, EnsureTyped("image", track_meta=False), RandFlipd("image", probability)]
    )


def written(path: Path, value: float) -> dict[str, str]:
    np.save(path, np.full((1, 4, 4), value, dtype=np.float32))
    return {"image": str(path), "case": "a"}


def test_a_changed_transform_or_file_is_never_served_stale(tmp_path: Path) -> None:
    record = written(tmp_path / "a.npy", 0.5)
    folder = tmp_path / "cache"

    def value(transform: Compose) -> float:
        return float(cached_dataset([record], transform, folder)[0]["image"].max())

    assert value(transforms()) == value(transforms()) == 0.5
    assert len(list(folder.rglob("*.pt"))) == 1, "the second time it was found"
    assert value(transforms(high=2.0)) == 0.25
    assert value(transforms(probability=0.1)) == 0.5 and len(list(folder.rglob("*.pt"))) == 2
    written(tmp_path / "a.npy", 0.75)
    assert value(transforms()) == 0.75


def test_spacing_and_inverse_outlive_the_disk(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.arange(24, dtype=np.float32).reshape(4, 6, 1), np.diag([0.5, 0.5, 2.0, 1.0]))
    nibabel.save(image, tmp_path / "a.nii")

    def read_again() -> torch.Tensor:
        # new transforms, as another process has
        steps = Compose(
            [LoadImaged("image", ensure_channel_first=True), Zoomd("image", 2.0, "nearest", keep_size=False)]
        )
        case = cached_dataset([{"image": str(tmp_path / "a.nii")}], steps, tmp_path / "cache")[0]
        return steps.inverse(case)["image"]

    first, second = read_again(), read_again()
    assert isinstance(second, MetaTensor) and second.pixdim.tolist() == first.pixdim.tolist() == [0.5, 0.5, 2.0]
    assert torch.equal(first, second) and second.shape == (1, 4, 6, 1)


def test_the_key_is_the_same_in_another_process() -> None:
    code = "from tests.data.lists.test_cache import *; print(transform_key(transforms()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[3])
    assert done.stdout.strip() == transform_key(transforms()), done.stderr


def test_a_lambda_has_no_key(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="transforms with plain settings"):
        cached_dataset([], Compose([Lambdad("image", lambda image: image + 1)]), tmp_path)


def test_drawing_leaves_the_cached_case_as_it_is(tmp_path: Path) -> None:
    dataset = cached_dataset([written(tmp_path / "a.npy", 0.5)], transforms(probability=1.0))
    for _ in range(3):
        dataset[0]["image"] += 1
    assert torch.equal(dataset[0]["image"], torch.full((1, 4, 4), 0.5))


def test_an_unchanged_file_is_read_for_its_key_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    digest = cache.content_hash
    monkeypatch.setattr(cache, "content_hash", lambda path: read.append(path) or digest(path))
    dataset = cached_dataset([written(tmp_path / "b.npy", 0.5)], transforms(), tmp_path / "cache")
    assert len(read) == 1, "before the first draw: workers inherit it"
    for _ in range(3):
        dataset[0]
    assert len(read) == 1
    written(tmp_path / "b.npy", 0.25)
    assert float(dataset[0]["image"].max()) == 0.25 and len(read) == 2

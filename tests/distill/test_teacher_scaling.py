"""The teacher's intensity scaling computed from the student's, or refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from monai.transforms import (
    Compose,
    CropForegroundd,
    EnsureTyped,
    LambdaD,
    NormalizeIntensityd,
    RandScaleIntensityd,
    ScaleIntensityd,
    ScaleIntensityRanged,
    ScaleIntensityRangePercentilesd,
)

from kdseg.distill.teachers import InputConversion, scaling_of
from kdseg.errors import UserError

WINDOW = ScaleIntensityRanged("image", -200, 300, 0, 1, clip=True)
HALF_WINDOW = ScaleIntensityRanged("image", -100, 200, -1, 1, clip=True)
WIDE = ScaleIntensityRanged("image", -1000, 1000, 0, 1)
Z_SCORE = NormalizeIntensityd("image")
FIXED = NormalizeIntensityd("image", subtrahend=40.0, divisor=120.0)
UNIT = ScaleIntensityd("image")


def run(transforms: list[Any], image: torch.Tensor) -> torch.Tensor:
    return torch.as_tensor(Compose([EnsureTyped("image", track_meta=False), *transforms])({"image": image})["image"])


CONVERTED = {
    "the same": ([Z_SCORE], [Z_SCORE]),
    "window to a narrower one": ([WINDOW], [HALF_WINDOW]),
    "range to a clipped window": ([WIDE], [WINDOW]),
    "fixed z-score to a window": ([FIXED], [WINDOW]),
    "nothing to a window": ([], [WINDOW]),
    "range to another range of the same statistic": ([UNIT], [ScaleIntensityd("image", minv=-1, maxv=1)]),
    "an affine map before a statistic does not matter": ([WIDE, Z_SCORE], [Z_SCORE]),
    "z-score and then a fixed one": ([Z_SCORE], [Z_SCORE, ScaleIntensityRanged("image", -3, 3, 0, 1, clip=True)]),
    "a factor": ([Z_SCORE], [Z_SCORE, ScaleIntensityd("image", minv=None, maxv=None, factor=1.5)]),
    "inverted": ([WIDE], [ScaleIntensityRanged("image", -200, 300, 1, 0)]),
    "percentiles": (
        [ScaleIntensityRangePercentilesd("image", 5, 95, 0, 1)],
        [ScaleIntensityRangePercentilesd("image", 5, 95, -1, 1, clip=True)],
    ),
    "the same clipping before a statistic": ([WINDOW, Z_SCORE], [WINDOW, Z_SCORE, WIDE]),
}


@pytest.mark.parametrize("name", CONVERTED)
def test_the_teacher_sees_its_own_scaling(name: str) -> None:
    student, teacher = CONVERTED[name]
    image = 200 * torch.randn(1, 12, 12, generator=torch.Generator().manual_seed(0))
    conversion = InputConversion(1, 2, scaling_of(Compose(student)), scaling_of(Compose(teacher)))
    # of a crop, as in training: the statistics are those of the whole image
    seen = conversion(run(student, image)[None, :, 2:9, 3:9])
    torch.testing.assert_close(seen, run(teacher, image)[None, :, 2:9, 3:9], rtol=1e-4, atol=1e-4)


REFUSED = {
    "z-score to a window": ([Z_SCORE], [WINDOW], "ScaleIntensityRanged"),
    "window to z-score": ([WINDOW], [Z_SCORE], "mean and standard deviation"),
    "z-score to the range": ([Z_SCORE], [UNIT], "smallest and largest value"),
    "a narrower window to a wider": ([HALF_WINDOW], [WINDOW], "has clipped"),
    "of non-zero voxels": ([Z_SCORE], [NormalizeIntensityd("image", nonzero=True)], "nonzero=True"),
    "an unknown transform": ([Z_SCORE], [LambdaD("image", torch.log1p), Z_SCORE], "Lambda"),
    "of another region": ([Z_SCORE], [CropForegroundd("image", source_key="image"), Z_SCORE], "CropForeground"),
    "other percentiles": (
        [ScaleIntensityRangePercentilesd("image", 1, 99, 0, 1)],
        [ScaleIntensityRangePercentilesd("image", 5, 95, 0, 1)],
        "percentiles 5 and 95",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_computed_is_refused(name: str) -> None:
    student, teacher, told = REFUSED[name]
    with pytest.raises(UserError, match=told) as error:
        InputConversion(1, 2, scaling_of(Compose(student)), scaling_of(Compose(teacher)))
    assert "give the student the teacher's intensity transforms" in error.value.fix


def test_each_colour_has_its_own_scaling() -> None:
    mean, deviation = [0.4, 0.5, 0.6], [0.1, 0.2, 0.3]
    colours = NormalizeIntensityd("image", subtrahend=mean, divisor=deviation, channel_wise=True)
    image = torch.rand(1, 8, 8)
    seen = InputConversion(3, 2, scaling_of(Compose([])), scaling_of(Compose([colours])))(image[None])
    torch.testing.assert_close(seen[0], run([colours], image.repeat(3, 1, 1)))


def test_augmentation_other_keys_and_channel_wise_of_one_channel_do_not_matter() -> None:
    student = Compose([NormalizeIntensityd("image", channel_wise=True), RandScaleIntensityd("image", 0.2)])
    teacher = Compose([ScaleIntensityRanged("label", 0, 255, 0, 1), NormalizeIntensityd(["image", "label"])])
    conversion = InputConversion(1, 2, scaling_of(student), scaling_of(teacher))
    assert not conversion.scales
    with pytest.raises(UserError, match="of each channel"):
        InputConversion(1, 2, scaling_of(student, 3), scaling_of(teacher, 3))


def test_a_reader_with_other_units_matters_for_fixed_numbers_only() -> None:
    from monai.transforms import LoadImaged

    from kdseg.data import PictureReader

    own, monai = LoadImaged("image", reader=PictureReader()), LoadImaged("image")
    InputConversion(1, 2, scaling_of(Compose([own, Z_SCORE])), scaling_of(Compose([monai, Z_SCORE])))
    with pytest.raises(UserError, match="PictureReader"):
        InputConversion(1, 2, scaling_of(Compose([own])), scaling_of(Compose([monai, WINDOW])))

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from kdseg.errors import UserError
from kdseg.transforms import ContrastLimitedHistogramEqualisation, ContrastLimitedHistogramEqualisationd


def faint_line(*size: int) -> torch.Tensor:
    """Dark on one side, bright on the other, with a line that is hardly darker than its surroundings."""
    image = torch.linspace(0.3, 0.6, size[0]).reshape(-1, *[1] * (len(size) - 1)).expand(size).clone()
    image[:, size[1] // 2] -= 0.03
    return image[None]


@pytest.mark.parametrize("size", [(64, 48), (32, 24, 24)])
def test_contrast_of_a_faint_line_grows(size: tuple[int, ...]):
    image = faint_line(*size)
    result = ContrastLimitedHistogramEqualisation()(image)
    middle = size[1] // 2

    def contrast(x: torch.Tensor) -> float:
        return float((x[0, :, middle + 2] - x[0, :, middle]).mean())

    assert result.shape == image.shape and result.dtype == torch.float32
    assert result.min() >= 0 and result.max() <= 1
    assert contrast(result) > 1.5 * contrast(image)


def test_dictionary_form_keeps_meta_data_and_other_keys():
    image = MetaTensor(faint_line(32, 32), meta={"frame": 3})
    result = ContrastLimitedHistogramEqualisationd("image", clip_limit=0.02)({"image": image, "label": 7})
    assert isinstance(result["image"], MetaTensor) and result["image"].meta["frame"] == 3
    assert result["label"] == 7
    assert torch.equal(result["image"], ContrastLimitedHistogramEqualisation(clip_limit=0.02)(image))


def test_each_channel_by_itself():
    frames = torch.cat([faint_line(32, 32), faint_line(32, 32).flip(1) * 0.5])
    result = ContrastLimitedHistogramEqualisation()(frames)
    assert torch.equal(result[1:], ContrastLimitedHistogramEqualisation()(frames[1:]))


def test_single_grey_stays():
    image = torch.full((1, 16, 16), 0.25)
    assert torch.equal(ContrastLimitedHistogramEqualisation()(image), image)


@pytest.mark.parametrize("values", [(0.0, 255.0), (-1.0, 1.0), (0.0, np.nan)])
def test_values_outside_the_unit_range_are_refused(values: tuple[float, float]):
    with pytest.raises(UserError, match=r"expected values in \[0, 1\]"):
        ContrastLimitedHistogramEqualisation()(torch.tensor(values).reshape(1, 1, 2))

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from monai.data import decollate_batch
from monai.handlers import IgniteMetricHandler
from scipy.ndimage import gaussian_filter, label

from kdseg.metrics import CentrelineDiceMetric, centreline_dice
from kdseg.metrics.centreline_dice import centreline


def tube(*shape: int, width: int = 3) -> torch.Tensor:
    mask = torch.zeros(1, 1, *shape)
    middle = tuple(slice(5, 5 + width) for _ in shape[:-1])
    mask[(..., *middle, slice(2, -2))] = 1
    return mask


@pytest.mark.parametrize("shape", [(16, 24), (16, 16, 24)])
def test_a_mask_agrees_with_itself(shape: tuple[int, ...]) -> None:
    assert centreline_dice(tube(*shape), tube(*shape)).item() == 1


def test_half_of_a_vessel_by_hand() -> None:
    truth, half = torch.zeros(1, 1, 9, 24), torch.zeros(1, 1, 9, 24)
    truth[..., 4, 2:22] = 1
    half[..., 4, 2:12] = 1
    # precision 1, sensitivity 10/20
    assert centreline_dice(half, truth).item() == pytest.approx(2 * 0.5 / 1.5)


def test_thickness_does_not_count_but_breaks_do() -> None:
    thick, thin = tube(16, 24, width=5), torch.zeros(1, 1, 16, 24)
    thin[..., 7, 4:20] = 1
    assert centreline_dice(thin, thick).item() > 0.9
    broken = thin.clone()
    broken[..., 8:16] = 0
    assert centreline_dice(broken, thick).item() < 0.75


@pytest.mark.parametrize("shape", [(16, 24), (12, 12, 16)])
def test_empty_masks(shape: tuple[int, ...]) -> None:
    empty, full = torch.zeros(1, 1, *shape), tube(*shape)
    assert math.isnan(centreline_dice(empty, empty).item())
    assert centreline_dice(empty, full).item() == 0
    assert centreline_dice(full, empty).item() == 0
    assert centreline_dice(full, full.roll(8, dims=2)).item() == 0


def test_each_case_and_channel_has_its_own_value() -> None:
    truth = tube(16, 24).repeat(2, 3, 1, 1)
    prediction = truth.clone()
    prediction[1, 2] = 0
    assert centreline_dice(prediction, truth).tolist() == [[1, 1, 1], [1, 1, 0]]


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="one shape"):
        centreline_dice(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 9))
    with pytest.raises(ValueError, match="BCHW"):
        centreline_dice(torch.zeros(1, 8, 8), torch.zeros(1, 8, 8))


@pytest.mark.parametrize("width", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_vessels_of_even_width_keep_their_centreline(width: int, axis: int) -> None:
    vessel = np.zeros((12, 12, 30), dtype=bool)
    vessel[3 : 3 + width, 3 : 3 + width, 5:25] = True
    line = centreline(np.moveaxis(vessel, 2, axis))
    assert 20 - width <= line.sum() <= 22
    assert not (line & ~np.moveaxis(vessel, 2, axis)).any()


@pytest.mark.parametrize("shape", [(48, 48), (20, 20, 20)])
def test_every_part_keeps_a_centreline(shape: tuple[int, ...]) -> None:
    noise = gaussian_filter(np.random.default_rng(0).random(shape), 0.7)
    mask = noise > np.quantile(noise, 0.9)
    parts, count = label(mask, np.ones((3,) * len(shape)))
    line = centreline(mask)
    assert count > 5
    assert set(parts[line]) == set(range(1, count + 1))


def test_as_a_monai_metric_and_handler() -> None:
    truth = tube(16, 24).repeat(2, 2, 1, 1)
    prediction = truth.clone()
    prediction[:, 0] = 0
    metric = CentrelineDiceMetric(include_background=False, get_not_nans=True)
    metric(y_pred=decollate_batch(prediction), y=decollate_batch(truth))
    value, count = metric.aggregate()
    assert (value.item(), count.item()) == (1, 2)
    handler = IgniteMetricHandler(metric_fn=CentrelineDiceMetric(), save_details=False)
    handler.update((prediction, truth))
    assert handler.compute() == pytest.approx(0.5)

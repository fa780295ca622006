"""Surface distances against MONAI's metrics, and TransUNet's rules against their plain statement."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance
from scipy import ndimage

from kdseg.handlers.case_table import summarise
from kdseg.metrics import case_metrics
from kdseg.metrics.surface import surface_distances


def blobs() -> tuple[torch.Tensor, torch.Tensor]:
    first, second = torch.zeros(2, 20, 18, 10, dtype=torch.bool)
    first[3:12, 4:13, 2:7] = True
    second[5:13, 4:15, 3:9] = True
    return first, second


@pytest.mark.parametrize("spacing", [None, [0.5, 0.7, 3.0]])
def test_the_summaries_are_monais(spacing: list[float] | None) -> None:
    first, second = blobs()
    found = surface_distances(first, second, spacing)
    arguments = first[None, None].float(), second[None, None].float()
    known = {"include_background": True, "spacing": spacing}
    assert found.hausdorff_95() == pytest.approx(compute_hausdorff_distance(*arguments, percentile=95, **known).item())
    assert found.average() == pytest.approx(
        compute_average_surface_distance(*arguments, symmetric=True, **known).item()
    )


def test_hd95_of_both_directions_together_as_medpy_has_it() -> None:
    first, second = (mask.numpy() for mask in blobs())
    structure = ndimage.generate_binary_structure(3, 1)
    edges = [mask ^ ndimage.binary_erosion(mask, structure) for mask in (first, second)]
    there = ndimage.distance_transform_edt(~edges[1])[edges[0]]
    back = ndimage.distance_transform_edt(~edges[0])[edges[1]]
    expected = np.percentile(np.hstack([there, back]), 95)
    assert surface_distances(*blobs()).pooled_95() == pytest.approx(expected)


def test_the_published_rules_for_empty_organs() -> None:
    first, second = blobs()
    label, prediction = torch.zeros(1, 20, 18, 10), torch.zeros(1, 20, 18, 10)
    prediction[0, first], label[0, second] = 1, 1
    prediction[0, 0, 0, 0] = 2  # predicted, not there
    label[0, 19, 17, 9] = 3  # there, not predicted
    names = ["both", "made_up", "missed", "absent"]
    row = case_metrics(
        prediction, label, classes=names, metrics=["dice", "hd95", "asd", "dice_transunet", "hd95_transunet"]
    )
    assert row["dice_transunet_both"] == pytest.approx(row["dice_both"])
    assert [row[f"dice_transunet_{name}"] for name in names[1:]] == [1, 0, 0]
    assert [row[f"hd95_transunet_{name}"] for name in names[1:]] == [0, 0, 0]
    assert row["dice_transunet"] == pytest.approx((row["dice_both"] + 1) / 4)
    assert row["hd95_transunet"] == pytest.approx(row["hd95_transunet_both"] / 4)
    assert row["hd95_px_missed"] == row["asd_px_made_up"] == math.inf and math.isnan(row["asd_px_absent"])
    assert math.isnan(row["asd_mm_both"]), "no spacing, no mm"


def test_each_site_has_its_part_of_the_summary() -> None:
    rows = [
        {"case": f"{n}", "site": site, "dice": dice}
        for n, (site, dice) in enumerate([("A", 0.5), ("B", 1), ("A", 0.7)])
    ]
    summary = summarise(rows)
    assert summary["metrics"]["dice"]["count"] == 3
    assert (
        summary["sites"]["A"]["metrics"]["dice"]["mean"] == pytest.approx(0.6) and summary["sites"]["B"]["cases"] == 1
    )

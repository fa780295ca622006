from __future__ import annotations

import math

import pytest
import torch
from monai.metrics import DiceMetric, HausdorffDistanceMetric, MeanIoU
from monai.networks import one_hot

from kdseg.errors import UserError
from kdseg.metrics import METRICS, case_metrics


def squares(*shape: int, shift: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    truth, prediction = torch.zeros(1, *shape), torch.zeros(1, *shape)
    truth[(0, *(slice(2, 8),) * len(shape))] = 1
    prediction[(0, slice(2 + shift, 8 + shift), *(slice(2, 8),) * (len(shape) - 1))] = 1
    return prediction, truth


@pytest.mark.parametrize("shape", [(16, 16), (12, 12, 12)])
def test_agrees_with_monai(shape: tuple[int, ...]) -> None:
    prediction, truth = squares(*shape)
    row = case_metrics(prediction, truth, spacing=(0.5,) * len(shape))
    batch = {"y_pred": prediction[None], "y": truth[None]}
    assert row["dice"] == pytest.approx(DiceMetric()(**batch).item())
    assert row["iou"] == pytest.approx(MeanIoU()(**batch).item())
    distance = HausdorffDistanceMetric(include_background=True, percentile=95)
    assert row["hd95_px"] == pytest.approx(distance(**batch).item()) == 2
    assert row["hd95_mm"] == 1


def test_ratios_by_hand() -> None:
    prediction = torch.tensor([[[1, 1, 0, 0]]])
    truth = torch.tensor([[[1, 0, 1, 0]]])
    row = case_metrics(prediction, truth, metrics=["dice", "iou", "sensitivity", "specificity"])
    assert row == pytest.approx({"dice": 0.5, "iou": 1 / 3, "sensitivity": 0.5, "specificity": 0.5})


def test_distance_follows_unequal_spacing() -> None:
    prediction, truth = squares(16, 16)
    assert case_metrics(prediction, truth, spacing=(3, 1), metrics=["hd95"])["hd95_mm"] == 6
    assert case_metrics(prediction, truth, spacing=(1, 3), metrics=["hd95"])["hd95_mm"] == 2


def test_without_spacing_the_millimetres_are_not_a_number() -> None:
    row = case_metrics(*squares(16, 16), metrics=["hd95"])
    assert row["hd95_px"] == 2
    assert math.isnan(row["hd95_mm"])


def test_probability_gives_the_area_and_its_absence_leaves_it_out() -> None:
    prediction, truth = squares(16, 16)
    assert case_metrics(prediction, truth, probability=truth * 0.4)["auc"] == 1
    assert "auc" not in case_metrics(prediction, truth)


NAN, INFINITE = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("predicted", "true", "expected"),
    [
        (0, 0, {"dice": NAN, "iou": NAN, "sensitivity": NAN, "specificity": 1, "cldice": NAN, "auc": NAN, "hd95": NAN}),
        (1, 0, {"dice": 0, "iou": 0, "sensitivity": NAN, "cldice": 0, "auc": NAN, "hd95": INFINITE}),
        (0, 1, {"dice": 0, "iou": 0, "sensitivity": 0, "specificity": 1, "cldice": 0, "auc": 0.5, "hd95": INFINITE}),
    ],
)
@pytest.mark.parametrize("shape", [(16, 16), (12, 12, 12)])
@pytest.mark.filterwarnings("error")
def test_empty_masks(predicted: int, true: int, expected: dict[str, float], shape: tuple[int, ...]) -> None:
    prediction, truth = squares(*shape)
    probability = torch.full_like(truth, 0.5)
    row = case_metrics(prediction * predicted, truth * true, probability=probability, spacing=(1,) * len(shape))
    for name, value in expected.items():
        for column in ["hd95_px", "hd95_mm"] if name == "hd95" else [name]:
            assert row[column] == pytest.approx(value, nan_ok=True), column


def test_truth_everywhere_has_no_specificity() -> None:
    assert math.isnan(case_metrics(torch.ones(1, 8, 8), torch.ones(1, 8, 8), metrics=["specificity"])["specificity"])


def test_ignored_pixels_do_not_count() -> None:
    prediction, truth = squares(16, 16)
    probability = prediction * 0.5
    perfect = case_metrics(truth, truth, probability=truth * 0.5)
    disputed = truth.clone()
    disputed[prediction != truth] = 255
    row = case_metrics(prediction, disputed, probability=probability)
    assert {name: row[name] for name in ("dice", "iou", "sensitivity", "specificity", "cldice", "auc")} == {
        name: perfect[name] for name in ("dice", "iou", "sensitivity", "specificity", "cldice", "auc")
    }
    assert row["hd95_px"] == 0
    only_half_known = torch.full((1, 1, 4), 255)
    only_half_known[..., 2:] = 0
    specificity = case_metrics(torch.tensor([[[1, 1, 1, 0]]]), only_half_known, metrics=["specificity"])
    assert specificity["specificity"] == 0.5


def test_the_three_forms_of_several_classes_agree() -> None:
    generator = torch.Generator().manual_seed(0)
    prediction, truth = (torch.randint(3, (1, 24, 24), generator=generator) for _ in range(2))
    names = ["dice", "cldice", "hd95"]
    rows = []
    for form in ("numbers", "one binary channel a class", "with background"):
        pair = (prediction, truth)
        if form != "numbers":
            pair = tuple(one_hot(mask[None], 3)[0] for mask in pair)
        if form == "one binary channel a class":
            pair = tuple(mask[1:] for mask in pair)
        rows.append(case_metrics(*pair, classes=["liver", "tumour"], metrics=names))
    assert list(rows[0])[:3] == ["dice", "dice_liver", "dice_tumour"]
    assert rows[0]["dice"] == pytest.approx((rows[0]["dice_liver"] + rows[0]["dice_tumour"]) / 2)
    for row in rows[1:]:
        assert row == pytest.approx(rows[0], nan_ok=True)


def test_the_mean_of_the_classes_leaves_undefined_ones_out() -> None:
    mask = torch.ones(1, 4, 4)
    row = case_metrics(mask, mask, classes=["liver", "tumour"], metrics=["dice"])
    assert math.isnan(row["dice_tumour"])
    assert row["dice"] == 1


def test_softmax_probabilities_may_carry_the_background() -> None:
    truth = torch.tensor([[[0, 1, 2, 0]]])
    probability = one_hot(truth[None], 3)[0]
    for channels in (probability, probability[1:]):
        row = case_metrics(truth, truth, probability=channels, classes=["a", "b"], metrics=["auc"])
        assert row == {"auc": 1, "auc_a": 1, "auc_b": 1}


def test_bad_input_is_told() -> None:
    mask = torch.zeros(1, 8, 8)
    with pytest.raises(UserError, match="did you mean 'cldice'"):
        case_metrics(mask, mask, metrics=["cl_dice"])
    with pytest.raises(UserError, match="hard mask"):
        case_metrics(mask + 0.3, mask)
    with pytest.raises(UserError, match="shape of the label"):
        case_metrics(mask, torch.zeros(1, 8, 9))
    with pytest.raises(UserError, match=r"^probability: found shape \(4, 4\)"):
        case_metrics(mask, mask, probability=torch.zeros(1, 4, 4))
    with pytest.raises(UserError, match="5 channels"):
        case_metrics(torch.zeros(5, 8, 8), mask)
    assert set(METRICS) == {"dice", "iou", "sensitivity", "specificity", "cldice", "auc", "hd95"}

"""Accuracy and mean IoU of all pixels together, against a plain confusion matrix."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.engines import SupervisedEvaluator
from monai.handlers import IgniteMetricHandler, from_engine

from kdseg.errors import UserError
from kdseg.metrics import PooledMetric


def cases(classes: int, seed: int = 0) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Fields of different sizes, some pixels ignored."""
    generator = torch.Generator().manual_seed(seed)
    pairs = []
    for size in ((1, 8, 9), (1, 20, 5), (1, 3, 3)):
        prediction = torch.randint(classes, size, generator=generator).float()
        label = torch.randint(classes, size, generator=generator).float()
        pairs.append((prediction, torch.where(torch.rand(size, generator=generator) < 0.2, 255.0, label)))
    return pairs


def reference(pairs: list[tuple[torch.Tensor, torch.Tensor]], classes: int) -> tuple[float, float]:
    matrix = np.zeros((classes, classes))
    for prediction, label in pairs:
        for guess, truth in zip(prediction.flatten().tolist(), label.flatten().tolist(), strict=True):
            if truth != 255:
                matrix[int(truth), int(guess)] += 1
    hits = np.diag(matrix)
    with np.errstate(invalid="ignore"):
        ious = hits / (matrix.sum(0) + matrix.sum(1) - hits)
    return hits.sum() / matrix.sum(), np.nanmean(ious)


@pytest.mark.parametrize("classes", [2, 4])
def test_against_the_confusion_matrix(classes: int) -> None:
    pairs = cases(classes)
    for name, expected in zip(("accuracy", "mean_iou"), reference(pairs, classes), strict=True):
        metric = PooledMetric(name, classes)
        for prediction, label in pairs:
            metric(prediction[None], label[None])
        assert metric.aggregate() == pytest.approx(expected)


def test_it_is_not_the_mean_of_the_cases() -> None:
    pairs = [(torch.ones(1, 1, 1), torch.zeros(1, 1, 1)), (torch.ones(1, 9, 11), torch.ones(1, 9, 11))]
    metric = PooledMetric("accuracy")
    for prediction, label in pairs:
        metric(prediction[None], label[None])
    assert metric.aggregate() == pytest.approx(99 / 100)


def test_a_class_that_occurs_nowhere_is_left_out() -> None:
    pairs = [(torch.zeros(1, 4, 4), torch.zeros(1, 4, 4))]
    metric = PooledMetric("mean_iou", classes=3)
    metric(pairs[0][0][None], pairs[0][1][None])
    assert metric.aggregate() == 1.0


def test_in_an_evaluator() -> None:
    pairs = cases(2)
    data = [
        {"image": torch.nn.functional.one_hot(p.long(), 2)[0].movedim(-1, 0)[None].float(), "label": y[None]}
        for p, y in pairs
    ]
    accuracy, mean_iou = (
        {name: IgniteMetricHandler(metric_fn=PooledMetric(name), output_transform=from_engine(["pred", "label"]))}
        for name in ("accuracy", "mean_iou")
    )
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=data,
        network=torch.nn.Identity(),
        postprocessing=lambda item: item | {"pred": item["pred"].argmax(0, keepdim=True).float()},
        key_val_metric=mean_iou,
        additional_metrics=accuracy,
    )
    evaluator.run()
    assert (evaluator.state.metrics["accuracy"], evaluator.state.metrics["mean_iou"]) == pytest.approx(
        reference(pairs, 2)
    )


def test_bad_input() -> None:
    with pytest.raises(UserError, match="did you mean 'mean_iou'"):
        PooledMetric("miou")
    with pytest.raises(UserError, match="class numbers of one shape"):
        PooledMetric("accuracy")(torch.zeros(1, 2, 4, 4), torch.zeros(1, 1, 4, 4))

"""Metrics over all pixels of a set together, as papers on pathology report them."""

from __future__ import annotations

from typing import Any

import torch
from monai.metrics import CumulativeIterationMetric, compute_confusion_matrix_metric, get_confusion_matrix
from monai.networks import one_hot
from torch import Tensor

from kdseg.errors import UserError, suggestion
from kdseg.metrics.case_metrics import IGNORED

__all__ = ["POOLED", "PooledMetric"]

POOLED = ("accuracy", "mean_iou")


class PooledMetric(CumulativeIterationMetric):
    """Pixel accuracy or mean IoU from one confusion matrix that gathers the pixels of all cases.

    A large field counts for more than a small one, and a class that one case lacks is no special case: these are not
    the means of the cases' values, which ``kdseg.handlers.CaseTable`` gives. Pixels with the label 255 are left out.

    - ``accuracy``: the share of all pixels whose class is right.
    - ``mean_iou``: the mean over the classes, background included, of TP / (TP + FP + FN); a class that is neither in
      a label nor in a prediction has no IoU and is left out.

    Counts and ratios are MONAI's (``get_confusion_matrix``, ``compute_confusion_matrix_metric``). In a configuration:
    ``IgniteMetricHandler(metric_fn=PooledMetric("mean_iou"))`` among the evaluator's ``additional_metrics``.

    Args:
        name: "accuracy" or "mean_iou".
        classes: number of classes, background included.

    Raises:
        UserError: for another name; for tensors that are not class numbers.

    Example:
        >>> metric = PooledMetric("accuracy")
        >>> _ = metric(torch.tensor([[[[0.0, 1.0, 1.0]]]]), torch.tensor([[[[0.0, 1.0, 255.0]]]]))
        >>> _ = metric(torch.tensor([[[[1.0, 1.0]]]]), torch.tensor([[[[0.0, 1.0]]]]))
        >>> metric.aggregate()
        0.75
    """

    def __init__(self, name: str, classes: int = 2) -> None:
        super().__init__()
        if name not in POOLED:
            raise UserError("metric", found=repr(name), expected=" or ".join(POOLED), fix=suggestion(name, POOLED))
        self.name = name
        self.classes = classes

    def _compute_tensor(self, y_pred: Tensor, y: Tensor | None = None, **kwargs: Any) -> Tensor:
        """Counts of true and false positives and negatives ``BK4`` of class numbers ``B1H[WD]``."""
        if y is None or y_pred.shape != y.shape or y.shape[1] != 1:
            found = f"the shapes {tuple(y_pred.shape)} and {None if y is None else tuple(y.shape)}"
            expected = "class numbers of one shape, in one channel"
            fix = "end the postprocessing of 'pred' with AsDiscreted (argmax or threshold)"
            raise UserError("prediction and label", found=found, expected=expected, fix=fix)
        return torch.cat([self._counts(*pair) for pair in zip(y_pred, y, strict=True)])

    def _counts(self, prediction: Tensor, label: Tensor) -> Tensor:
        counted = label != IGNORED
        # a picture of one row: the pixels that count, one after the other
        predicted, true = (one_hot(tensor[counted][None, None], self.classes) for tensor in (prediction, label))
        return get_confusion_matrix(predicted, true).double()

    def aggregate(self) -> float:
        """The value over everything that was added since the last ``reset``."""
        counts = self.get_buffer()
        if not isinstance(counts, Tensor):
            raise UserError(self.name, found="no cases", expected="at least one", fix="give the evaluator a data list")
        counts = counts.sum(0)
        if self.name == "accuracy":
            # over all classes together every wrong pixel is one class's miss
            return float(compute_confusion_matrix_metric("sensitivity", counts.sum(0)))
        return float(compute_confusion_matrix_metric("threat score", counts).nanmean())

"""All metrics of one case, from its hard mask, its label and, where there is one, its probability map."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from monai.metrics import compute_confusion_matrix_metric, get_confusion_matrix
from monai.utils import convert_to_tensor

from kdseg.errors import UserError, suggestion
from kdseg.metrics.centreline_dice import centreline_dice
from kdseg.metrics.pixel_auc import pixel_auc
from kdseg.metrics.surface import SurfaceDistances, surface_distances
from kdseg.metrics.transunet import transunet_dice, transunet_hd95

__all__ = ["ALL_METRICS", "IGNORED", "METRICS", "case_metrics", "check_metric_names"]

IGNORED = 255

# our name → MONAI's name of the same ratio of true and false positives and negatives
RATIOS = {"dice": "f1 score", "iou": "threat score", "sensitivity": "sensitivity", "specificity": "specificity"}

METRICS = (*RATIOS, "cldice", "auc", "hd95")
"""What is computed unless it is said otherwise."""

ALL_METRICS = (*METRICS, "asd", "dice_transunet", "hd95_transunet")


def check_metric_names(names: Sequence[str]) -> None:
    """Raise a :class:`UserError` for a name that is not in ``ALL_METRICS``."""
    for name in names:
        if name not in ALL_METRICS:
            expected = f"names among {', '.join(ALL_METRICS)}"
            raise UserError("metrics", found=repr(name), expected=expected, fix=suggestion(name, ALL_METRICS))


def case_metrics(
    prediction: torch.Tensor,
    label: torch.Tensor,
    *,
    probability: torch.Tensor | None = None,
    spacing: Sequence[float] | None = None,
    classes: Sequence[str] = ("foreground",),
    metrics: Sequence[str] = METRICS,
) -> dict[str, float]:
    """Measure one case. Pixels whose label is 255 are left out.

    Each tensor is channel-first, ``CHW[D]``, in one of three forms, told apart by the channel count: one channel of
    class numbers (0 = background), one binary channel for each class, or the same with a background channel in front.

    Args:
        prediction: the hard mask.
        label: the truth.
        probability: probabilities of the classes, with or without a background channel; without it there is no ``auc``.
        spacing: pixel size in mm along each axis; ``None`` where it is unknown, then distances in mm are NaN.
        classes: names of the classes without the background.
        metrics: what to compute, names among ``ALL_METRICS``.

    Returns:
        Value by column name. ``hd95`` gives ``hd95_px`` and ``hd95_mm``, ``asd`` (the mean distance between the
        surfaces, of both directions together) likewise; ``dice_transunet`` and ``hd95_transunet`` follow the rules of
        :mod:`kdseg.metrics.transunet`, in voxels. With several classes each metric has a column
        for each class (``dice_liver``) after one for the mean of the classes (``dice``).
        A ratio whose denominator is zero is NaN; so is ``auc``, ``hd95`` or ``asd`` where it is not defined. The
        distances are infinite when only one of the two masks is empty.

    Raises:
        UserError: a metric's name is unknown, the shapes do not fit, or ``prediction`` is not a hard mask.

    Example:
        >>> truth = torch.zeros(1, 8, 8)
        >>> truth[:, 2:6, 2:6] = 1
        >>> case_metrics(truth, truth, metrics=["dice", "hd95"], spacing=(0.3, 0.3))
        {'dice': 1.0, 'hd95_px': 0.0, 'hd95_mm': 0.0}
    """
    check_metric_names(metrics)
    prediction, label = (convert_to_tensor(tensor, track_meta=False).float() for tensor in (prediction, label))
    if not torch.equal(prediction, prediction.round()):
        fix = "end the postprocessing of 'pred' with AsDiscreted (argmax or threshold)"
        raise UserError("prediction", found="values that are not whole numbers", expected="a hard mask", fix=fix)
    valid = (label != IGNORED).all(dim=0)
    for name, tensor in {"prediction": prediction, "probability": probability}.items():
        if tensor is not None and tensor.shape[1:] != valid.shape:
            found = f"shape {tuple(tensor.shape[1:])}"
            fix = "bring both to one grid in the postprocessing, with Invertd or by not resizing the label"
            raise UserError(name, found=found, expected=f"the shape of the label, {tuple(valid.shape)}", fix=fix)
    predicted = _class_masks(prediction, len(classes), "prediction") & valid
    true = _class_masks(label, len(classes), "label") & valid

    columns: dict[str, list[float]] = {}
    surfaces = _Surfaces(predicted, true, None if spacing is None else tuple(float(length) for length in spacing))
    confusion = get_confusion_matrix(predicted[:, valid][None].float(), true[:, valid][None].float())[0]
    for name in metrics:
        if name in RATIOS:
            columns[name] = compute_confusion_matrix_metric(RATIOS[name], confusion).tolist()
        elif name == "cldice":
            columns[name] = centreline_dice(predicted[None], true[None])[0].tolist()
        elif name == "auc" and probability is not None:
            scores = _class_channels(convert_to_tensor(probability, track_meta=False), len(classes), "probability")
            columns[name] = [pixel_auc(score[valid], mask[valid]) for score, mask in zip(scores, true, strict=True)]
        elif name == "hd95":
            columns |= surfaces.columns(name, SurfaceDistances.hausdorff_95)
        elif name == "asd":
            columns |= surfaces.columns(name, SurfaceDistances.average)
        elif name == "dice_transunet":
            columns[name] = [transunet_dice(one, other) for one, other in zip(predicted, true, strict=True)]
        elif name == "hd95_transunet":
            columns[name] = [transunet_hd95(distances) for distances in surfaces.of(None)]
    return _with_class_columns(columns, classes)


def _class_channels(tensor: torch.Tensor, count: int, name: str) -> torch.Tensor:
    """The channels of the classes, without the background's."""
    if tensor.shape[0] not in (count, count + 1):
        expected = f"{count} channels, one a class, or {count + 1} with the background"
        fix = "name the classes in 'classes', without the background"
        raise UserError(name, found=f"{tensor.shape[0]} channels", expected=expected, fix=fix)
    return tensor[-count:]


def _class_masks(tensor: torch.Tensor, count: int, name: str) -> torch.Tensor:
    """One boolean mask for each class from any of the three forms."""
    if tensor.shape[0] == 1 and count > 1:
        return torch.cat([tensor == number for number in range(1, count + 1)])
    return _class_channels(tensor, count, name) == 1


class _Surfaces:
    """The surface distances of each class, in pixels and in mm, found when first asked for and kept for all metrics."""

    def __init__(self, predicted: torch.Tensor, true: torch.Tensor, spacing: tuple[float, ...] | None) -> None:
        self.pairs = list(zip(predicted, true, strict=True))
        self.spacing = spacing
        self.found: dict[tuple[float, ...] | None, list[SurfaceDistances | None]] = {}

    def of(self, spacing: tuple[float, ...] | None) -> list[SurfaceDistances | None]:
        """For each class; None where one of the two masks is empty."""
        if spacing not in self.found:
            size = None if spacing is None else list(spacing)
            self.found[spacing] = [
                surface_distances(one, other, size) if one.any() and other.any() else None for one, other in self.pairs
            ]
        return self.found[spacing]

    def columns(self, name: str, summary: Callable[[SurfaceDistances], float]) -> dict[str, list[float]]:
        """A column in pixels and one in mm: infinite where one mask is empty, NaN where both are or mm are unknown."""
        empty = [float("inf") if bool(one.any()) != bool(other.any()) else float("nan") for one, other in self.pairs]
        unknown = [float("nan")] * len(self.pairs)

        def summarised(spacing: tuple[float, ...] | None) -> list[float]:
            distances = zip(self.of(spacing), empty, strict=True)
            return [instead if distance is None else summary(distance) for distance, instead in distances]

        in_mm = unknown if self.spacing is None else summarised(self.spacing)
        return {f"{name}_px": summarised(None), f"{name}_mm": in_mm}


def _with_class_columns(columns: dict[str, list[float]], classes: Sequence[str]) -> dict[str, float]:
    row: dict[str, float] = {}
    for name, values in columns.items():
        defined = [value for value in values if not np.isnan(value)]
        row[name] = float(np.mean(defined)) if defined else float("nan")
        if len(classes) > 1:
            row.update({f"{name}_{label}": value for label, value in zip(classes, values, strict=True)})
    return row

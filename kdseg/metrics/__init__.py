"""What MONAI's metrics lack for vessels and per-case reports."""

from __future__ import annotations

from kdseg.metrics.case_metrics import METRICS, case_metrics
from kdseg.metrics.centreline_dice import CentrelineDiceMetric, centreline_dice
from kdseg.metrics.pixel_auc import pixel_auc

__all__ = ["METRICS", "CentrelineDiceMetric", "case_metrics", "centreline_dice", "pixel_auc"]

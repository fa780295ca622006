"""What MONAI's metrics lack for vessels, whole sets and per-case reports."""

from __future__ import annotations

from kdseg.metrics.case_metrics import ALL_METRICS, METRICS, case_metrics
from kdseg.metrics.centreline_dice import CentrelineDiceMetric, centreline_dice
from kdseg.metrics.improvement import improvement, last_quarter_gain
from kdseg.metrics.pixel_auc import pixel_auc
from kdseg.metrics.pooled import PooledMetric

__all__ = [
    "ALL_METRICS",
    "METRICS",
    "CentrelineDiceMetric",
    "PooledMetric",
    "case_metrics",
    "centreline_dice",
    "improvement",
    "last_quarter_gain",
    "pixel_auc",
]

"""Writes one row of metrics for each case of an evaluation, and their summary."""

from __future__ import annotations

import csv
import json
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events
from monai.data import MetaTensor

from kdseg.data.open import file_stem
from kdseg.engines import is_main_process
from kdseg.errors import UserError
from kdseg.files import whole_file
from kdseg.metrics.case_metrics import METRICS, case_metrics, check_metric_names

__all__ = ["CaseTable", "case_name", "known_spacing", "log_summary", "summarise"]

logger = logging.getLogger(__name__)


class CaseTable:
    """Ignite handler for a MONAI evaluator: all metrics of each case, as ``cases.csv`` and ``summary.json``.

    It reads what the postprocessing left in ``engine.state.output``: ``pred`` (hard mask), ``label``, ``image`` and,
    for ``auc``, ``probability``. Without the latter ``auc`` is left out. The means go to ``engine.state.metrics`` under
    the metrics' names when the epoch ends, so handlers that stand after this one in the list see them. The key metric
    of the evaluator stays MONAI's own; what the evaluator's own metrics say of all cases together, such as
    :class:`kdseg.metrics.PooledMetric`, is in the summary under "whole_set". In distributed evaluation rank 0 writes
    the cases of all ranks.

    Args:
        output_dir: folder for the two files; ``None`` writes nothing, for validation while training.
        metrics: names among ``kdseg.metrics.ALL_METRICS``; choose cheap ones (``dice``, ``iou``) while training.
        classes: names of the classes without the background; see :func:`kdseg.metrics.case_metrics`.

    Raises:
        UserError: at once for an unknown metric; in the evaluation for a case whose prediction and label do not fit.

    Example:
        >>> from monai.engines import SupervisedEvaluator
        >>> evaluator = SupervisedEvaluator(
        ...     device="cpu",
        ...     val_data_loader=[{"image": torch.ones(1, 1, 8, 8), "label": torch.ones(1, 1, 8, 8), "case": ["a"]}],
        ...     network=torch.nn.Identity(),
        ...     val_handlers=[CaseTable(metrics=["dice", "cldice"])],
        ... )
        >>> evaluator.run()
        >>> evaluator.state.metrics
        {'dice': 1.0, 'cldice': 1.0}
    """

    def __init__(
        self,
        output_dir: str | Path | None = None,
        metrics: Sequence[str] = METRICS,
        classes: Sequence[str] = ("foreground",),
    ) -> None:
        check_metric_names(metrics)
        self.output_dir = None if output_dir is None else Path(output_dir)
        self.metrics = tuple(metrics)
        self.classes = tuple(classes)
        self.rows: list[dict[str, Any]] = []

    def attach(self, engine: Engine) -> None:
        """Register with an evaluator whose output is a list of cases (MONAI's ``decollate=True``)."""
        engine.add_event_handler(Events.EPOCH_STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._measure)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._finish)

    def _start(self, engine: Engine) -> None:
        self.rows = []

    def _measure(self, engine: Engine) -> None:
        output = engine.state.output
        if not isinstance(output, list):
            fix = "leave 'decollate' of the evaluator at true"
            raise UserError("evaluator", found="output that is still a batch", expected="a list of cases", fix=fix)
        for record, item in zip(engine.state.batch, output, strict=True):
            case = case_name(record, item, number=len(self.rows))
            # the prediction's own grid counts: it differs from the image's when the postprocessing inverts a resampling
            on_grid = item["pred"] if isinstance(item["pred"], MetaTensor) else item["image"]
            try:
                values = case_metrics(
                    item["pred"],
                    item["label"],
                    probability=item.get("probability"),
                    spacing=known_spacing(on_grid),
                    classes=self.classes,
                    metrics=self.metrics,
                )
            except UserError as error:
                where = f"case {case}, {error.where}"
                raise UserError(where, found=error.found, expected=error.expected, fix=error.fix) from error
            site = {"site": str(record["site"])} if "site" in record else {}
            self.rows.append({"case": case, **site, **values})

    def _finish(self, engine: Engine) -> None:
        self.rows = _of_all_ranks(self.rows)
        summary = {**summarise(self.rows), "whole_set": _numbers(engine.state.metrics)}
        # a metric without one defined value has no mean that another handler could use
        means = {name: entry["mean"] for name, entry in summary["metrics"].items() if entry["mean"] is not None}
        engine.state.metrics.update(means)
        if self.output_dir is not None and self.rows and is_main_process():
            with (
                whole_file(self.output_dir / "cases.csv") as path,
                path.open("w", newline="", encoding="utf-8") as file,
            ):
                writer = csv.DictWriter(file, fieldnames=list(self.rows[0]))
                writer.writeheader()
                writer.writerows(self.rows)
            with whole_file(self.output_dir / "summary.json") as path:
                path.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")


def _numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The metrics that are one number, by name; a number that is not defined has no place in JSON."""
    return {
        name: float(value)
        for name, value in metrics.items()
        if isinstance(value, (int, float)) and math.isfinite(value)
    }


def summarise(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean, standard deviation and counts of each metric over the rows of a case table.

    Mean and sample standard deviation are over the finite values (``None`` where there are too few); how many values
    were NaN or infinite stands beside them, because a mean over fewer cases is another mean. "sites" has the same for
    the rows of each site, where they name one.

    Example:
        >>> summarise([{"case": "a", "dice": 0.5}, {"case": "b", "dice": float("nan")}])
        {'cases': 2, 'metrics': {'dice': {'mean': 0.5, 'sd': None, 'count': 1, 'nan': 1, 'infinite': 0}}}
    """
    metrics = {}
    for name in (key for key in (rows[0] if rows else ()) if key not in ("case", "site")):
        values = [row[name] for row in rows]
        finite = [value for value in values if math.isfinite(value)]
        metrics[name] = {
            "mean": fmean(finite) if finite else None,
            "sd": stdev(finite) if len(finite) > 1 else None,
            "count": len(finite),
            "nan": sum(math.isnan(value) for value in values),
            "infinite": sum(math.isinf(value) for value in values),
        }
    summary: dict[str, Any] = {"cases": len(rows), "metrics": metrics}
    if sites := sorted({row["site"] for row in rows if "site" in row}):
        parts = {site: summarise([_without_site(row) for row in rows if row.get("site") == site]) for site in sites}
        summary["sites"] = parts
    return summary


def log_summary(output_dir: str | Path) -> None:
    """Tell in one line what a :class:`CaseTable` wrote into a folder."""
    if not is_main_process():
        return
    summary = json.loads(Path(output_dir, "summary.json").read_text(encoding="utf-8"))
    means = {name: entry["mean"] for name, entry in summary["metrics"].items() if entry["mean"] is not None}
    told = ", ".join(f"{name} {value:.4f}" for name, value in {**means, **summary["whole_set"]}.items())
    logger.info(f"{summary['cases']} cases: {told}; each case in {output_dir}/cases.csv")


def _without_site(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != "site"}


def known_spacing(image: torch.Tensor) -> tuple[float, ...] | None:
    """The pixel size of an image in mm, or ``None`` where its file does not say.

    kdseg's readers note in ``spacing_known`` whether the file said it. MONAI's readers do not; those of medical formats
    name the world space, those of plain pictures and arrays do not.
    """
    if not isinstance(image, MetaTensor) or not image.meta.get("spacing_known", "space" in image.meta):
        return None
    return tuple(float(length) for length in image.pixdim)


def case_name(record: Mapping[str, Any], item: Mapping[str, Any], number: int) -> str:
    if "case" in record:
        return str(record["case"])
    image = item.get("image")
    file_name = image.meta.get("filename_or_obj") if isinstance(image, MetaTensor) else None
    return file_stem(Path(str(file_name))) if file_name else f"case{number}"


def _of_all_ranks(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of all ranks by case name; samplers repeat cases to fill the last batches, so each counts once."""
    if idist.get_world_size() == 1:
        return rows
    gathered: Any = idist.all_gather(rows)
    by_case = {row["case"]: row for part in gathered for row in part}
    return [by_case[case] for case in sorted(by_case)]

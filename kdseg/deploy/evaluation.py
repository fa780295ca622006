"""A trained network on the cases of a data list, case by case, as it was trained to see them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from monai.data import DataLoader, Dataset
from monai.engines import SupervisedEvaluator
from monai.handlers import IgniteMetricHandler, from_engine
from monai.transforms import Compose
from torch import nn

from kdseg.data import cached_dataset, load_datalist
from kdseg.data.modality import check_modality
from kdseg.handlers import CaseOverlays, CaseTable, Tracking
from kdseg.metrics.pooled import POOLED, PooledMetric
from kdseg.task import Task, TrainedFolder, inferer, postprocessing, validation_transforms

__all__ = ["evaluate", "evaluation_data", "run_evaluation"]


def evaluate(
    trained: TrainedFolder,
    datalist: str | Path,
    section: str = "test",
    fold: int | None = None,
    output_dir: str | Path | None = None,
    device: str | torch.device = "cpu",
    mlflow: bool = True,
) -> tuple[dict[str, Any], Path]:
    """Measure a trained network.

    Args:
        trained: see :func:`kdseg.task.open_trained`.
        datalist: where the cases are.
        section, fold: see :func:`kdseg.data.load_datalist`.
        output_dir: for ``cases.csv``, ``summary.json`` and ``overlays.png``; by default ``evaluation_<section>`` in
            the network's folder.
        device: where the network runs.
        mlflow: record it in MLflow, beside the training.

    Returns:
        the content of ``summary.json``, and the folder.

    Raises:
        UserError: when a file is missing or a case cannot be measured.
    """
    folder = Path(output_dir) if output_dir is not None else trained.path / f"evaluation_{section}"
    # where the list names frame or level, those are the cases
    task = listed(trained.task, datalist)
    data = evaluation_data(task, datalist, section, fold)
    extra: list[Any] = [CaseOverlays(folder)]
    if mlflow:
        history = trained.history
        tracking = Tracking(
            trained.path,
            history.get("role", "student_alone"),
            experiment=task.name,
            datalist=datalist,
            parameters={"method": history.get("method"), "seed": history.get("seed"), "section": section},
            artifacts=[folder],
        )
        extra.append(tracking)
    run_evaluation(task, trained.network(), data, folder, extra, device)
    return json.loads((folder / "summary.json").read_text(encoding="utf-8")), folder


def listed(task: Task, datalist: str | Path) -> Task:
    """The task with the frame and level that a data list says."""
    from kdseg.data.lists.datalist import read_datalist

    content = read_datalist(Path(datalist))
    return task.changed({key: content[key] for key in ("frame", "level") if key in content})


def evaluation_data(task: Task, datalist: str | Path, section: str = "test", fold: int | None = None) -> Dataset:
    """The cases of a section, prepared as for validation, and kept in memory.

    Raises:
        UserError: for a list without these cases or classes, and for images of another modality than the task's.
    """
    records = load_datalist(datalist, section, fold)
    for record in records:
        check_modality(Path(record["image"]), task.modality, task.name)
    return cached_dataset(records, Compose(validation_transforms(task, datalist)))


def run_evaluation(
    task: Task,
    network: nn.Module,
    data: Dataset,
    output_dir: Path,
    handlers: Sequence[Any] = (),
    device: str | torch.device = "cpu",
) -> SupervisedEvaluator:
    """Run a network over prepared cases and write the case table.

    Args:
        task: what the network is fed and what comes out.
        network: with its weights; a :class:`~kdseg.distill.Teacher` too.
        data: see :func:`evaluation_data`.
        output_dir: for ``cases.csv`` and ``summary.json``.
        handlers: further ones of the evaluator.
        device: where the network runs.
    """
    device = torch.device(device)
    numbers = from_engine(["pred", "label"])
    pooled: Any = {
        name: IgniteMetricHandler(metric_fn=PooledMetric(name, len(task.labels)), output_transform=numbers)
        for name in task.metrics
        if name in POOLED
    }
    single = [name for name in task.metrics if name not in POOLED]
    finish = Compose(postprocessing(task, data.transform, images=True))
    evaluator = SupervisedEvaluator(
        device=device,
        val_data_loader=DataLoader(data, batch_size=1),
        network=network.to(device),
        inferer=inferer(task),
        postprocessing=finish,
        # as its key metrics: MONAI passes additional ones over where there is no key metric
        key_val_metric=pooled or None,
        val_handlers=[CaseTable(output_dir, metrics=single, classes=task.classes), *handlers],
        amp=device.type == "cuda",
    )
    evaluator.run()
    return evaluator

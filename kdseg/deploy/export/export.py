"""A student as files that run without kdseg's training half: written, measured on real cases, kept or refused."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kdseg._version import __version__
from kdseg.data.lists.datalist import load_datalist
from kdseg.data.open import content_hash
from kdseg.deploy.evaluation import listed, run_evaluation
from kdseg.deploy.export.cases import calibration_images, cases_of, feed, measured_section
from kdseg.deploy.export.formats import ExportFormat, chosen_formats
from kdseg.deploy.export.job import Job, Written
from kdseg.deploy.export.outputs import with_output
from kdseg.deploy.export.parity import measure_parity
from kdseg.deploy.export.words import write_words
from kdseg.deploy.model_network import ModelNetwork
from kdseg.errors import UserError
from kdseg.files import whole_folder
from kdseg.networks import count_parameters
from kdseg.runtime.exports import EXPORT_FILE, EXPORT_VERSION
from kdseg.task import HISTORY_FILE, TASK_FILE, TrainedFolder, write_json

__all__ = ["DICE_LIMIT", "Exported", "export"]

DICE_LIMIT = 0.01
"""Of an int8 model: the Dice that it may lose on the measured cases."""


@dataclass
class Exported:
    """What :func:`export` did.

    Attributes:
        path: the export's folder.
        content: of its ``export.json``.
        refused: format → why it is not there.
    """

    path: Path
    content: dict[str, Any]
    refused: dict[str, str] = field(default_factory=dict)


def export(
    trained: TrainedFolder,
    datalist: str | Path,
    out: str | Path,
    to: Sequence[str] = ("onnx",),
    int8: bool = False,
    output: str = "logits",
    dice_limit: float = DICE_LIMIT,
    single_file: bool = False,
    runtime_packages: Sequence[str | Path] = (),
) -> Exported:
    """Write a student in formats that other programs run.

    Each model is compared with the network on real cases of the data list, the validation section where there is one.
    A float32 model beyond the tolerance (:mod:`kdseg.deploy.export.parity`) and an int8 model that loses more Dice
    than the limit are refused, and leave no file.

    Args:
        trained: see :func:`kdseg.task.open_trained`.
        datalist: of the task.
        out: a new or empty folder.
        to: names of :data:`kdseg.deploy.export.formats.FORMATS`.
        int8: the int8 forms of these as well, calibrated on training cases.
        output: "logits", "probabilities" or "classes"; kdseg itself takes logits.
        dice_limit: see :data:`DICE_LIMIT`.
        single_file: the web page as one file that opens from the disk.
        runtime_packages: files of the npm packages of the web page; npm fetches those that are not given.

    Raises:
        UserError: for a format that is unknown or cannot be written here, a folder with something in it, and when
            every format was refused.

    Example::

        export(open_trained("out/student"), "data/angio.json", "out/export", to=["onnx", "openvino"], int8=True)
    """
    formats = chosen_formats(to, int8)
    if int8 and output != "logits":
        fix = "leave --output out, or export without --int8"
        raise UserError("--int8", found=f"--output {output}", expected="logits, whose Dice can be measured", fix=fix)
    if (single_file or runtime_packages) and "web" not in formats:
        found, fix = f"--to {','.join(to)}", "add web to --to"
        raise UserError("--single-file, --runtime-package", found=found, expected="a web page", fix=fix)
    network = with_output(trained.task, trained.network().float(), output)
    section = measured_section(datalist)
    if not load_datalist(datalist, section):
        fix = "name the list that the student was trained with"
        raise UserError(datalist, found=f"no case in '{section}'", expected="cases to measure on", fix=fix)
    task = listed(trained.task, datalist)
    with whole_folder(out) as folder, tempfile.TemporaryDirectory() as work:
        job = Job(trained, network, output, _size(trained, datalist, section), folder, Path(work))
        job.single_file, job.runtime_packages = single_file, runtime_packages
        if int8:
            job.calibration = calibration_images(task, datalist)
        written = {name: one.write(job) for name, one in formats.items()}
        kept, refused = _measured(job, written, datalist, section, dice_limit)
        for name in refused:
            for file in written[name].files:
                (folder / file).unlink()
        if not kept:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in refused.items())
            fix = "use another format; --debug shows what was written"
            raise UserError(out, found=reasons, expected="a model that does what the network does", fix=fix)
        content = _content(trained, output, kept, formats, folder)
        write_json(content, folder / EXPORT_FILE)
        write_words(folder, trained.task, content, formats)
    return Exported(Path(out), content, refused)


def _size(trained: TrainedFolder, datalist: str | Path, section: str) -> tuple[int, ...]:
    """Spatial size of what the network is fed of the first case."""
    sizes: list[tuple[int, ...]] = []

    def note(batch: Any) -> Any:
        sizes.append(tuple(batch.shape[2:]))
        return batch.new_zeros(len(batch), trained.task.out_channels, *batch.shape[2:])

    task = listed(trained.task, datalist)
    feed(task, cases_of(task, datalist, section, most=1)[0], note)
    return sizes[0]


def _measured(
    job: Job, written: Mapping[str, Written], datalist: str | Path, section: str, dice_limit: float
) -> tuple[dict[str, Written], dict[str, str]]:
    """What is good enough, with what was measured of it, and why the rest is not."""
    task = listed(job.task, datalist)
    cases = cases_of(task, datalist, section)
    models = {name: one.run for name, one in written.items() if one.run is not None}
    parities = measure_parity(task, job.network, models, cases, job.output)
    refused = {}
    for name, parity in parities.items():
        facts = written[name].facts
        facts["parity"] = {"section": section, **parity.facts}
        if not name.endswith("_int8"):
            if parity.fault:
                refused[name] = parity.fault
            continue
        facts["dice_float32"], facts["dice_int8"] = (
            _dice(task, model, cases, job.work / f"measured_{name}_{number}")
            for number, model in enumerate((job.network, ModelNetwork(models[name])))
        )
        facts["dice_lost"] = facts["dice_float32"] - facts["dice_int8"]
        if not facts["dice_lost"] <= dice_limit:
            refused[name] = f"a Dice of {facts['dice_lost']:.4f} lost, {dice_limit:g} at most is allowed"
    return {name: one for name, one in written.items() if name not in refused}, refused


def _dice(task: Any, network: Any, cases: Any, folder: Path) -> float:
    """The mean Dice against the labels, as ``kdseg evaluate`` measures it."""
    run_evaluation(task.changed({"metrics": ["dice"]}), network, cases, folder)
    return float(json.loads((folder / "summary.json").read_text(encoding="utf-8"))["metrics"]["dice"]["mean"])


def _content(
    trained: TrainedFolder,
    output: str,
    kept: Mapping[str, Written],
    formats: Mapping[str, ExportFormat],
    folder: Path,
) -> dict[str, Any]:
    """``export.json``, after the task and the history were put beside the models."""
    trained.task.write(folder)
    if (trained.path / HISTORY_FILE).is_file():
        shutil.copy(trained.path / HISTORY_FILE, folder / HISTORY_FILE)
    return {
        "schema": EXPORT_VERSION,
        "kdseg_version": __version__,
        "student": trained.path.resolve().name,
        "network": dict(trained.task.network),
        "parameters": count_parameters(trained.network()),
        "weights": content_hash(trained.weights),
        "task": content_hash(folder / TASK_FILE),
        "output": output,
        "formats": {
            name: {
                "what": formats[name].words,
                "files": [{"name": file, "sha256": content_hash(folder / file)} for file in one.files],
                **one.facts,
            }
            for name, one in kept.items()
        },
    }

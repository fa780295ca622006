"""A whole comparison: teacher, student alone and student distilled, over methods, seeds and folds."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from kdseg._version import __version__
from kdseg.compare.budget import steps_of
from kdseg.compare.fold_lists import compare_lists
from kdseg.compare.measuring import collect_cases, collect_cells, composed_task, measure
from kdseg.compare.plan import Cell, groups, plan
from kdseg.compare.request import TEACHER, CompareRequest
from kdseg.compare.store import record
from kdseg.compare.training import check_unchanged, fail, write_json
from kdseg.compare.tuning import check_optuna, tune
from kdseg.compare.workers import Engine, train_here
from kdseg.distill import held_out_cases
from kdseg.distill.teachers.seen_cases import check_unseen
from kdseg.errors import UserError
from kdseg.handlers.provenance import data_list_facts
from kdseg.report import write_report

__all__ = ["FORMAT", "compare"]

FORMAT = 1
"""Of the files in a comparison's folder."""


@dataclass(frozen=True)
class _Prepared:
    request: CompareRequest
    lists: Mapping[str, Path]
    steps: int | None
    command: str
    cells: Sequence[Cell]


def compare(request: CompareRequest, command: str = "", engine: Engine = train_here) -> list[dict[str, Any]]:
    """Run what is not finished yet of a comparison, measure it and write its report.

    Args:
        request: what to compare.
        command: the command line, for the report.
        engine: where the cells are trained.

    Returns:
        The rows of ``cells.json``, those of the parts with few labels too; "folder" is below ``request.out``.

    Raises:
        UserError: before any training, for whatever in the request cannot be done.
    """
    # a training that resumes knows its teacher by the path
    request = replace(request, out=request.out.absolute())
    with _alone_in(request.out):
        return _run(request, command, engine)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Two comparisons at once in one folder would train the same cells over one another."""
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        # the system lets go of it when the process ends, however it ends
        lock.acquire(timeout=0)
    except Timeout:
        fix = "wait for it, or give another folder"
        raise UserError(folder, found="a comparison that is at work there", expected="none", fix=fix) from None
    try:
        yield
    finally:
        lock.release()


def _run(request: CompareRequest, command: str, engine: Engine) -> list[dict[str, Any]]:
    if request.tune:
        check_optuna()
    steps = steps_of(request, _known(request.out))
    prepared = [_prepare(part, steps, command) for part in request.parts]
    if request.tune:
        prepared = [_tuned(part, engine) for part in prepared]
    for part in prepared:
        _train(part, engine)
    measured = [part for part in prepared if _measure(part)]
    rows = []
    # the whole comparison last: its report shows the parts with few labels too
    for part in reversed(prepared):
        write_report(part.request.out)
        if part in measured and request.settings_of(None).get("mlflow", True):
            record(part.cells, part.request.out, store=request.out)
        prefix = part.request.out.relative_to(request.out)
        found = collect_cells(part.cells, part.request.out)
        rows += [{**row, "folder": (prefix / row["folder"]).as_posix()} for row in found]
    return rows


def _prepare(request: CompareRequest, steps: int | None, command: str) -> _Prepared:
    lists = compare_lists(request.datalist, request.out / "lists", request.folds, request.labelled)
    _check_teacher(request, lists)
    known = _known(request.out)
    cells = plan(request, lists, steps)
    # what a search will change can be checked only after it
    check_unchanged([cell for cell in cells if cell.arm == TEACHER or not request.tune])
    part = _Prepared(request, lists, steps, command, cells)
    _describe(part, {"tuned": known.get("tuned", {})})
    return part


def _tuned(part: _Prepared, engine: Engine) -> _Prepared:
    """The same with the settings that a search on the validation cases has found."""
    request = part.request
    _train(replace(part, cells=[cell for cell in part.cells if cell.arm == TEACHER]), engine)
    if any(not cell.finished for cell in part.cells if cell.arm == TEACHER):
        # nothing to be tuned with: the methods fail with their teacher
        return part
    found = tune(part.cells, request.tune, request.out / "tuning", engine)
    part = replace(part, cells=plan(request, part.lists, part.steps, found))
    check_unchanged(part.cells)
    _describe(part, {"tuned": {"/".join(place): dict(settings) for place, settings in found.items()}})
    return part


def _train(part: _Prepared, engine: Engine) -> None:
    """What is not finished: teachers first, then all that they teach."""
    for teachers in (True, False):
        cells = [cell for cell in part.cells if (cell.arm == TEACHER) is teachers and not cell.finished]
        todo = [able for group in groups(cells) if (able := _with_teacher(group, part.cells))]
        engine(todo, lambda: collect_cells(part.cells, part.request.out))


def _measure(part: _Prepared) -> bool:
    """Whether there was something left to measure."""
    out = part.request.out
    read = measure(part.cells)
    if read is not None:
        content = json.loads((out / "comparison.json").read_text(encoding="utf-8"))
        content["test_split_read"].append(read)
        write_json(out / "comparison.json", content)
    collect_cases(part.cells, out)
    collect_cells(part.cells, out)
    return read is not None


def _with_teacher(task: Sequence[Cell], cells: Sequence[Cell]) -> list[Cell]:
    """The cells whose teacher is there; the others have failed with it."""
    teachers = {cell.fold: cell for cell in cells if cell.arm == TEACHER}
    able = []
    for cell in task:
        teacher = teachers[cell.fold]
        if cell.arm == TEACHER or teacher.finished or "teacher" not in cell.settings:
            able.append(cell)
        elif not cell.finished:
            reason = teacher.notes("failed").get("reason", "it is not trained")
            fail(cell, RuntimeError(f"its teacher failed: {reason}"))
    return able


def _check_teacher(request: CompareRequest, lists: dict[str, Path]) -> None:
    for fold, datalist in lists.items():
        paths = [Path(name.replace("{fold}", fold)) for name in request.teacher]
        for path in paths:
            if not path.exists():
                fix = "check the path; leave --teacher out to have it trained here"
                raise UserError("--teacher", found=f"no {path}", expected="a trained teacher", fix=fix)
        check_unseen(paths, held_out_cases(datalist))


def _known(out: Path) -> dict[str, Any]:
    path = out / "comparison.json"
    if not path.is_file():
        return {}
    content = json.loads(path.read_text(encoding="utf-8"))
    if content.get("format") != FORMAT or content.get("kdseg_version") != __version__:
        found = f"a comparison of kdseg {content.get('kdseg_version')} (format {content.get('format')})"
        expected = f"an empty folder, or a comparison of this version ({__version__}, format {FORMAT})"
        raise UserError(out, found=found, expected=expected, fix="choose another --out, or delete that folder")
    return content


def _describe(part: _Prepared, more: Mapping[str, Any]) -> None:
    """Write ``comparison.json``."""
    request, cells = part.request, part.cells
    known = _known(request.out)
    student = next(cell for cell in cells if cell.arm != TEACHER)
    task = composed_task(student)
    cuda = torch.cuda.is_available() and not str(request.device or "cuda").startswith("cpu")
    content = {
        "format": FORMAT,
        **request.described(),
        "datalist": {"name": request.datalist.name, **data_list_facts(request.datalist)},
        "students": list(dict.fromkeys(cell.student for cell in cells if cell.student)),
        "folds": sorted({cell.fold for cell in cells}),
        "steps": student.settings["epochs"] * student.settings["steps_per_epoch"],
        "epochs": student.settings["epochs"],
        "key_metric": "dice",
        "classes": list(task.classes),
        "kdseg_version": __version__,
        "versions": {name: metadata.version(name) for name in ("torch", "monai", "pytorch-ignite", "numpy")},
        "machine": {
            "cpu": _cpu(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "device": torch.cuda.get_device_name() if cuda else "cpu",
        },
        "budget_steps": part.steps,
        "command": part.command,
        "test_split_read": known.get("test_split_read", []),
        **more,
    }
    write_json(request.out / "comparison.json", content)


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())

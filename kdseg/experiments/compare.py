"""A whole comparison: teacher, student alone and student distilled, over methods, seeds and folds."""

from __future__ import annotations

import json
import logging
import os
import platform
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import torch

from kdseg._version import __version__
from kdseg.configuration import compose_bundle
from kdseg.distill import held_out_cases
from kdseg.distill.teachers.seen_cases import check_unseen
from kdseg.errors import UserError
from kdseg.experiments.compare_lists import compare_lists
from kdseg.experiments.compare_measuring import collect_cases, collect_cells, measure
from kdseg.experiments.compare_plan import Cell, groups, plan
from kdseg.experiments.compare_request import TEACHER, CompareRequest
from kdseg.experiments.compare_training import check_unchanged, fail, train_group, write_json
from kdseg.handlers.provenance import data_list_facts

__all__ = ["FORMAT", "compare"]

logger = logging.getLogger(__name__)

FORMAT = 1
"""Of the files in a comparison's folder."""


def compare(request: CompareRequest, command: str = "") -> list[dict[str, Any]]:
    """Run what is not finished yet of a comparison, measure it and write its report.

    Args:
        request: what to compare.
        command: the command line, for the report.

    Returns:
        The content of ``cells.json``.

    Raises:
        UserError: before any training, for whatever in the request cannot be done.
    """
    # a training that resumes knows its teacher by the path
    request = replace(request, out=request.out.absolute())
    lists = compare_lists(request.datalist, request.out / "lists", request.folds, request.labelled)
    _check_teacher(request, lists)
    known = _known(request.out)
    cells = plan(request, lists, _steps(request))
    check_unchanged(cells)
    write_json(request.out / "comparison.json", _described(request, cells, known, command))
    tasks = groups(cells)
    for number, task in enumerate(tasks, start=1):
        todo = [cell for cell in task if not cell.finished]
        if not todo:
            continue
        names = dict.fromkeys(cell.arm for cell in todo)
        where = "" if task[0].fold == "all" else f"fold {task[0].fold}, "
        logger.info(f"[{number}/{len(tasks)}] {where}seed {task[0].seed}: {', '.join(names)}")
        train_group(_with_teacher(task, cells))
        collect_cells(cells, request.out)
    read = measure(cells)
    if read is not None:
        content = json.loads((request.out / "comparison.json").read_text(encoding="utf-8"))
        content["test_split_read"].append(read)
        write_json(request.out / "comparison.json", content)
    collect_cases(cells, request.out)
    rows = collect_cells(cells, request.out)
    if (Path(__file__).parent / "report" / "report.html").is_file():
        import_module("kdseg.experiments.report.write").write_report(request.out)
    return rows


def _with_teacher(task: Sequence[Cell], cells: Sequence[Cell]) -> list[Cell]:
    """The cells whose teacher is there; the others have failed with it."""
    teachers = {cell.fold: cell for cell in cells if cell.arm == TEACHER}
    able = []
    for cell in task:
        teacher = teachers.get(cell.fold)
        if teacher is None or teacher.finished or "teacher" not in cell.settings:
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
        check_unseen(
            [path / "models" / "model.pt" if path.is_dir() else path for path in paths], held_out_cases(datalist)
        )


def _known(out: Path) -> dict[str, Any]:
    path = out / "comparison.json"
    if not path.is_file():
        return {}
    content = json.loads(path.read_text(encoding="utf-8"))
    if content.get("format") != FORMAT or content.get("kdseg_version") != __version__:
        raise UserError(
            out,
            found=f"a comparison of kdseg {content.get('kdseg_version')} (format {content.get('format')})",
            expected=f"an empty folder, or a comparison of this version ({__version__}, format {FORMAT})",
            fix="choose another --out",
        )
    return content


def _steps(request: CompareRequest) -> int | None:
    return None if request.budget is None else int(request.budget)


def _described(request: CompareRequest, cells: Sequence[Cell], known: dict[str, Any], command: str) -> dict[str, Any]:
    student = next(cell for cell in cells if cell.arm != TEACHER)
    parser = compose_bundle(request.bundle, ["train", "evaluate"], {}, own_logging=False).parser
    cuda = torch.cuda.is_available() and not str(request.device or "cuda").startswith("cpu")
    return {
        "format": FORMAT,
        **request.described(),
        "datalist": {"name": request.datalist.name, **data_list_facts(request.datalist)},
        "students": list(dict.fromkeys(cell.student for cell in cells if cell.student)),
        "folds": sorted({cell.fold for cell in cells}),
        "steps": student.settings["epochs"] * student.settings["steps_per_epoch"],
        "epochs": student.settings["epochs"],
        "key_metric": "dice",
        "classes": parser.get_parsed_content("classes"),
        "kdseg_version": __version__,
        "versions": {name: metadata.version(name) for name in ("torch", "monai", "pytorch-ignite", "numpy")},
        "machine": {
            "cpu": _cpu(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "device": torch.cuda.get_device_name() if cuda else "cpu",
        },
        "command": command,
        "test_split_read": known.get("test_split_read", []),
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())

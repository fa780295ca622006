"""How long a picture takes: the coronary bundle's teacher and students, in torch and in each runtime, in turns."""

from __future__ import annotations

import ctypes
import gc
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from kdseg.deploy.export.formats import FORMATS as EXPORTED
from kdseg.deploy.export.job import Job
from kdseg.errors import UserError, reason_of, suggestion
from kdseg.networks import count_macs, count_parameters
from kdseg.runtime import open_session
from kdseg.task import Task, TrainedFolder, network

__all__ = ["FORMATS", "STUDENTS", "TEACHER", "benchmark_latency"]

logger = logging.getLogger(__name__)

FORMATS = ("eager", "onnx", "openvino", "onnx_int8", "openvino_int8")
TEACHER: Mapping[str, Any] = {"name": "unet", "base_channels": 64}
STUDENTS: Sequence[Mapping[str, Any]] = (
    {"name": "thin_unet", "base_channels": 2},
    {"name": "thin_unet", "base_channels": 4},
    {"name": "unet", "base_channels": 8},
    {"name": "folded_unet", "base_channels": 8, "fold": 2},
    {"name": "folded_unet", "base_channels": 8, "fold": 4},
    {"name": "folded_unet", "base_channels": 16, "fold": 4},
)
"""Networks of :func:`kdseg.networks.build_network`."""
# for the scales of int8, which matter to the masks and not to the time
CALIBRATION_SIZE = 64
# ms, and forwards
TURN, MOST_IN_A_TURN = 100.0, 5

Forward = Callable[[np.ndarray], Any]


def benchmark_latency(
    size: int = 512,
    threads: int = 1,
    formats: Sequence[str] | None = None,
    rounds: int = 3,
    students: Sequence[Mapping[str, Any]] = STUDENTS,
    teacher: Mapping[str, Any] = TEACHER,
) -> list[dict[str, Any]]:
    """Measure one picture through each network in each format, on this machine's CPU.

    All take turns, round after round, the quick ones with several forwards in each, so that what else the machine does
    falls on all of them: ratios within one run are what counts. Weights are fresh; they do not matter to the time.

    Args:
        size: sides of the picture in pixels, a multiple of 16.
        threads: that each computes with.
        formats: of :data:`FORMATS`; None: those whose packages are installed.
        rounds: that count, after one that does not.
        students, teacher: networks as a task names them.

    Returns:
        One dictionary for each network and format: ``network``, ``role`` ("teacher" or "student"), ``format``,
        ``size``, ``threads``, ``params``, ``macs``, ``ms`` (median), ``spread`` (between the quartiles, ms),
        ``memory_mb`` (by which the process grew at most while the model was opened and run once; None where the
        system does not tell), ``frames_per_second``.

    Raises:
        UserError: for another size, number of threads or format, and a format whose packages are not installed.
    """
    chosen = _chosen(formats)
    if size < 16 or size % 16:
        raise UserError("--size", found=str(size), expected="a multiple of 16", fix="use 512")
    if threads < 1:
        raise UserError("--threads", found=str(threads), expected="1 or more", fix="leave it out")
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    image = np.random.default_rng(0).standard_normal((1, 1, size, size)).astype(np.float32)
    roles = [("teacher", teacher), *(("student", one) for one in students)]
    rows: list[dict[str, Any]] = []
    forwards: list[Forward] = []
    try:
        with tempfile.TemporaryDirectory() as work:
            for number, (role, spec) in enumerate(roles):
                made, forward = _opened(role, spec, chosen, image, threads, Path(work) / str(number))
                rows, forwards = rows + made, forwards + forward
            times: list[list[float]] = [[] for _ in rows]
            for turn in range(rounds + 1):
                for found, forward_of in zip(times, forwards, strict=True):
                    found.extend(_turn(forward_of, image) if turn else [])
    finally:
        torch.set_num_threads(before)
    return [_finished(row, found) for row, found in zip(rows, times, strict=True)]


def _turn(forward: Forward, image: np.ndarray) -> list[float]:
    """Milliseconds of one forward of a slow model, of several of a quick one."""
    found: list[float] = []
    while not found or (len(found) < MOST_IN_A_TURN and sum(found) < TURN):
        started = time.perf_counter()
        forward(image)
        found.append(1000 * (time.perf_counter() - started))
    return found


def _chosen(formats: Sequence[str] | None) -> list[str]:
    if formats is None:
        return [name for name in FORMATS if name == "eager" or not EXPORTED[name].missing()]
    for name in formats:
        if name not in FORMATS:
            fix = suggestion(name, FORMATS)
            raise UserError("--formats", found=f"'{name}'", expected=", ".join(FORMATS), fix=fix)
        if name != "eager":
            EXPORTED[name].check(name)
    return list(formats)


def _opened(
    role: str, spec: Mapping[str, Any], formats: Sequence[str], image: np.ndarray, threads: int, work: Path
) -> tuple[list[dict[str, Any]], list[Forward]]:
    """A row and a forward of each format of a network."""
    task = Task(name="latency", kind="picture", classes=["vessel"], head="sigmoid", network=spec)
    torch.manual_seed(0)
    made = network(task).eval()
    known = {
        "network": "_".join(str(value) for value in spec.values()),
        "role": role,
        "size": image.shape[-1],
        "threads": threads,
        "params": count_parameters(made),
        "macs": count_macs(made, image.shape),
    }
    (work / "models").mkdir(parents=True)
    few = np.random.default_rng(1).standard_normal((2, 1, 1, CALIBRATION_SIZE, CALIBRATION_SIZE)).astype(np.float32)
    trained = TrainedFolder(work, task, work / "none")
    job = Job(trained, made, "logits", (CALIBRATION_SIZE,) * 2, work / "models", work, list(few))
    rows, forwards = [], []
    for name in formats:
        opening = _eager(made) if name == "eager" else _of_runtime(job, name, threads)
        try:
            forward, memory = _with_memory(opening, image)
        except Exception as error:
            # of a runtime that cannot take the network the others are still of interest
            logger.warning(f"{known['network']} in {name} is left out: {reason_of(error)}")
            continue
        rows.append({**known, "format": name, "memory_mb": memory})
        forwards.append(forward)
        logger.info(f"{known['network']}: {name}")
    return rows, forwards


def _eager(made: nn.Module) -> Callable[[], Forward]:
    def open_it() -> Forward:
        # channels innermost in memory, as students are used
        placed = made.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

        def forward(image: np.ndarray) -> Any:
            with torch.inference_mode():
                return placed(torch.from_numpy(image).to(memory_format=torch.channels_last))

        return forward

    return open_it


def _of_runtime(job: Job, name: str, threads: int) -> Callable[[], Forward]:
    def open_it() -> Forward:
        return open_session(name, path, threads)

    path = job.folder / EXPORTED[name].write(job).files[0]
    return open_it


def _with_memory(opening: Callable[[], Forward], image: np.ndarray) -> tuple[Forward, float | None]:
    """What was opened and run once, and the MB by which the process grew at most meanwhile."""
    _give_back()
    before = _resident("VmRSS")
    if before is not None:
        # Linux: the highest value so far is forgotten
        Path("/proc/self/clear_refs").write_text("5")
    forward = opening()
    forward(image)
    highest = _resident("VmHWM")
    return forward, None if before is None or highest is None else round(highest - before, 1)


def _give_back() -> None:
    """Memory that was freed goes back to the system, so that it is not taken again unseen."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def _resident(name: str) -> float | None:
    """MB of the process as Linux tells them; None elsewhere."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:")), None)


def _finished(row: Mapping[str, Any], times: Sequence[float]) -> dict[str, Any]:
    middle = statistics.median(times)
    low, _, high = statistics.quantiles(times, n=4) if len(times) > 1 else (middle,) * 3
    order = ("network", "role", "format", "size", "threads", "params", "macs", "ms", "spread", "memory_mb")
    facts = {**row, "ms": round(middle, 3), "spread": round(high - low, 3)}
    return {**{name: facts[name] for name in order}, "frames_per_second": round(1000 / middle, 2)}

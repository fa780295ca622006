"""Where the cells of a comparison are trained: here, one group after the other, or on a Ray cluster side by side."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

from kdseg.compare.plan import Cell
from kdseg.compare.training import fail, train_group
from kdseg.errors import UserError

__all__ = ["Engine", "RayEngine", "train_here"]

logger = logging.getLogger(__name__)

Group = Sequence[Cell]
Engine = Callable[[Sequence[Group], Callable[[], Any]], None]
"""Trains groups that do not wait for one another; calls the second argument after each."""


def train_here(groups: Sequence[Group], after: Callable[[], Any]) -> None:
    """One group after the other, in this process."""
    for number, group in enumerate(groups, start=1):
        logger.info(f"[{number}/{len(groups)}] {_described(group)}")
        train_group(group)
        after()


class RayEngine:
    """Groups side by side on a Ray cluster, one a worker. All nodes must see the same files under the same paths.

    Args:
        address: of the cluster; None: the one that is running here, or a new one on this machine.
        gpus: GPUs of each group, parts of one too.

    Raises:
        UserError: when Ray is not installed or the cluster does not answer.
    """

    def __init__(self, address: str | None = None, gpus: float = 0.0) -> None:
        if find_spec("ray") is None:
            fix = "pip install 'kdseg[ray]'"
            raise UserError("--engine ray", found="no package 'ray'", expected="it to be installed", fix=fix)
        import ray

        if not ray.is_initialized():
            try:
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
            except (ConnectionError, ValueError, RuntimeError) as error:
                found = f"no cluster at {address} ({str(error).splitlines()[0]})"
                fix = "start one with 'ray start --head', or leave --address out"
                raise UserError("--address", found=found, expected="a running Ray cluster", fix=fix) from error
        self.train = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=0)(_train_there)

    def __call__(self, groups: Sequence[Group], after: Callable[[], Any]) -> None:
        """Train all groups; a worker that dies fails its cells alone."""
        import ray

        running = {self.train.remote(list(group)): group for group in groups}
        for number in range(1, len(running) + 1):
            (done,), _ = ray.wait(list(running), num_returns=1)
            group = running.pop(done)
            try:
                ray.get(done)
            # whatever ended the worker: the cells say so, the others go on
            except Exception as error:
                for cell in (cell for cell in group if not cell.finished):
                    fail(cell, error)
            logger.info(f"[{number}/{len(groups)}] {_described(group)}")
            after()


def _train_there(group: Group) -> None:
    # the log files of the cells want more than warnings
    logging.getLogger("kdseg").setLevel(logging.INFO)
    train_group(group)


def _described(group: Group) -> str:
    first = group[0]
    labelled = next((part[9:] + " labelled, " for part in first.folder.parts if part.startswith("labelled_")), "")
    where = "" if first.fold == "all" else f"fold {first.fold}, "
    return f"{labelled}{where}seed {first.seed}: {', '.join(dict.fromkeys(cell.arm for cell in group))}"

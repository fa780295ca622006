"""Several processes that train together: joined, asked and left in one place, through Ignite."""

from __future__ import annotations

import atexit
import gc
import logging
from collections.abc import Iterable

import ignite.distributed as idist
import torch
from torch import Tensor

__all__ = ["average", "is_main_process", "join_process_group", "leave_process_group"]


def join_process_group(device: torch.device) -> None:
    """Join the processes that torchrun has started: NCCL between GPUs, gloo between CPUs; the first one talks.

    Args:
        device: of this process.
    """
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    # Ignite's first question is asked of all processes: here all of them are sure to be
    idist.sync()
    logging.getLogger("kdseg").setLevel("INFO" if is_main_process() else "WARNING")


def is_main_process() -> bool:
    """Whether this process writes files and talks to the user: the first, or the only one."""
    return idist.get_rank() == 0


def average(tensors: Iterable[Tensor]) -> None:
    """Mean over the processes, in place; nothing where there is one."""
    count = idist.get_world_size()
    if count > 1:
        for tensor in tensors:
            tensor.copy_(torch.as_tensor(idist.all_reduce(tensor)) / count)


def leave_process_group() -> None:
    """Leave the processes that train together, so that this one can end at any time; nothing where there are none.

    Leaving alone leaves the gloo threads running for as long as a ``DistributedDataParallel`` holds
    the group. One that is still handing back a tensor while Python shuts down aborts the process ("terminate called
    without an active exception"). So what holds the group is collected before that: the group then waits for its
    threads.
    """
    if torch.distributed.is_initialized():
        # Ignite ends a group that it knows
        idist.sync()
        idist.finalize()
        atexit.register(gc.collect)

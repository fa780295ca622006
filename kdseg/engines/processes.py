"""The end of a training in several processes."""

from __future__ import annotations

import atexit
import gc

import torch

__all__ = ["leave_process_group"]


def leave_process_group() -> None:
    """Leave the processes that train together, so that this one can end at any time; nothing where there are none.

    ``destroy_process_group`` alone leaves the gloo threads running for as long as a ``DistributedDataParallel`` holds
    the group. One that is still handing back a tensor while Python shuts down aborts the process ("terminate called
    without an active exception"). So what holds the group is collected before that: the group then waits for its
    threads.
    """
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
        atexit.register(gc.collect)

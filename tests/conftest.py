"""Shared fixtures: real files where this machine has them, one thread, and nothing that reaches the network."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")

pytest_plugins = ["tests.mlflow_server"]

SHARED_DATA = Path(os.environ.get("KDSEG_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real images (see its README); tests that need it skip where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("real images are absent: set KDSEG_SHARED_DATA to a copy of shared/data")
    return SHARED_DATA


@pytest.fixture(autouse=True)
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """A bundle's logging.conf puts handlers on the captured output, which is closed when the test ends."""
    loggers = [logging.getLogger(), logging.getLogger("kdseg")]
    before = [(logger, logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    yield
    for logger, handlers, level, propagate in before:
        logger.handlers[:], logger.propagate = handlers, propagate
        logger.setLevel(level)

"""One pass over a data loader, read by several trainings that go in step."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from kdseg.engines.random_numbers import RandomNumbers

__all__ = ["SharedBatches"]


@dataclass(frozen=True)
class _Draw:
    """What was drawn from the loader, and where the random numbers stood before and after."""

    value: Any
    before: RandomNumbers
    after: RandomNumbers


class SharedBatches:
    """What every training iterates over in place of the loader: the first to ask draws a batch, the others get it too.

    Making an iterator and asking for a batch may draw random numbers (the order of a sampler). Whoever gets what
    another has drawn goes on as if it had drawn it itself, with the random numbers as they stood afterwards.

    Args:
        loader: a loader with a length.

    Raises:
        RuntimeError: when a batch depends on random numbers in which the trainings differ, so that there is no batch
            that is right for all of them.
    """

    def __init__(self, loader: Iterable[Any]) -> None:
        self.loader = loader
        self.step: int | None = None
        """Number of the batch that is being trained on, counted over all epochs; None between two epochs."""
        self.seconds = 0.0
        """Time that drawing batches has taken in the current epoch."""
        self._count = 0
        self._draws: dict[Hashable, _Draw] = {}
        self._batches: Iterator[Any] = iter(())

    def __len__(self) -> int:
        return len(self.loader)  # type: ignore[arg-type]

    def start_epoch(self) -> None:
        """The next one to ask opens the loader anew."""
        self._draws, self.seconds = {}, 0.0

    def start_step(self) -> None:
        """The next one to ask draws a new batch."""
        self._draws.pop(self._count, None)
        self._count += 1
        self.step = self._count

    def end_steps(self) -> None:
        """What is computed from here on belongs to no batch."""
        self.step = None

    def __iter__(self) -> Iterator[Any]:
        self._shared("iterator", self._open)
        for _ in range(len(self)):
            yield self._shared(self._count, lambda: next(self._batches))

    def _open(self) -> None:
        self._batches = iter(self.loader)

    def _shared(self, key: Hashable, draw: Callable[[], Any]) -> Any:
        known = self._draws.get(key)
        now = RandomNumbers.now()
        if known is None:
            started = time.perf_counter()
            value = draw()
            self.seconds += time.perf_counter() - started
            known = self._draws[key] = _Draw(value, now, RandomNumbers.now())
        elif now == known.before:
            known.after.restore()
        elif known.before != known.after:
            raise RuntimeError(
                "these trainings cannot share their batches: drawing one takes random numbers, and the trainings' "
                "differ (seed every epoch with kdseg.handlers.ReproducibleEpochs, and the same seed)"
            )
        return known.value

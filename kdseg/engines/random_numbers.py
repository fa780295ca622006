"""The state of all random number generators of the process, to be kept and put back."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["RandomNumbers"]


@dataclass(frozen=True)
class RandomNumbers:
    """Where Python's, NumPy's and torch's generators stand.

    Example:
        >>> kept = RandomNumbers.now()
        >>> first = torch.rand(3)
        >>> kept == RandomNumbers.now()
        False
        >>> kept.restore()
        >>> torch.equal(first, torch.rand(3))
        True
    """

    python: tuple[Any, ...]
    numpy: tuple[Any, ...]
    torch: Tensor
    cuda: tuple[Tensor, ...]

    @classmethod
    def now(cls) -> RandomNumbers:
        """The state at this moment; that of GPUs only where CUDA is in use."""
        in_use = torch.cuda.is_available() and torch.cuda.is_initialized()
        cuda = tuple(torch.cuda.get_rng_state_all()) if in_use else ()
        return cls(random.getstate(), np.random.get_state(), torch.get_rng_state(), cuda)  # type: ignore[arg-type]

    def restore(self) -> None:
        """Go on drawing from here."""
        random.setstate(self.python)
        np.random.set_state(self.numpy)
        torch.set_rng_state(self.torch)
        if self.cuda:
            torch.cuda.set_rng_state_all(list(self.cuda))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RandomNumbers):
            return NotImplemented
        return (
            torch.equal(self.torch, other.torch)
            and self.python == other.python
            and self.numpy[2:] == other.numpy[2:]
            and np.array_equal(self.numpy[1], other.numpy[1])
            and len(self.cuda) == len(other.cuda)
            and all(map(torch.equal, self.cuda, other.cuda))
        )

    __hash__ = None  # type: ignore[assignment]

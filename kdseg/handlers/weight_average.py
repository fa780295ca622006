"""The running mean of the weights: what is validated and saved in place of the weights of the last step."""

from __future__ import annotations

from typing import Any

import torch
from ignite.engine import Events
from monai.engines import Workflow
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from kdseg.errors import UserError

__all__ = ["WeightAverage"]


class WeightAverage:
    """Keeps ``average ← average + (weights − average) / steps`` of a network, renewed after every step.

    A single step of a training is noisy, and which epoch validates best is luck to some extent; the mean over the last
    steps is neither. At first it is a mean over fewer steps, ``(n + 10) / 9`` after n of them, so that the first
    weights, which know nothing, are soon forgotten. Means and variances of normalisation layers are averaged alike,
    since they belong to the weights; what is no number with a fraction is copied. In a distillation the average is of
    the student alone. It is part of the training's checkpoint; Ignite's ``EMAHandler`` has no ``state_dict``, and
    with it a training that goes on would not be the same one.

    Make it before a :class:`~kdseg.distill.Distiller` puts its hooks on the network.

    Args:
        network: what is trained.
        steps: over how many steps the mean goes, the last ones most; 0: ``network`` itself, no mean.

    Raises:
        UserError: for a number below 0.

    Example:
        >>> network = nn.Linear(1, 1)
        >>> average = WeightAverage(network, steps=100)
        >>> average.network is network, WeightAverage(network, 0).network is network
        (False, True)
    """

    def __init__(self, network: nn.Module, steps: int) -> None:
        if not isinstance(steps, int) or isinstance(steps, bool) or steps < 0:
            fix = "use 500, or 0 to validate and save the weights of the last step"
            raise UserError("averaged_steps", found=repr(steps), expected="a whole number, 0 or more", fix=fix)
        self.trained = network
        self.steps = steps
        self._mean = AveragedModel(network, multi_avg_fn=self._renew, use_buffers=True) if steps else None

    @property
    def network(self) -> nn.Module:
        """The network with the averaged weights."""
        return self.trained if self._mean is None else self._mean.module

    def attach(self, trainer: Workflow) -> None:
        if self._mean is not None:
            trainer.add_event_handler(Events.ITERATION_COMPLETED, self)

    def __call__(self, trainer: Workflow) -> None:
        assert self._mean is not None
        self._mean.update_parameters(self.trained)

    def state_dict(self) -> dict[str, Any]:
        return {} if self._mean is None else self._mean.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self._mean is not None:
            self._mean.load_state_dict(state)

    def _renew(self, means: Any, weights: Any, count: Tensor | int) -> None:
        if not torch.is_floating_point(means[0]):
            for mean, weight in zip(means, weights, strict=True):
                mean.copy_(weight)
            return
        kept = min(1 - 1 / self.steps, (1 + int(count)) / (10 + int(count)))
        get_ema_multi_avg_fn(kept)(means, weights, count)

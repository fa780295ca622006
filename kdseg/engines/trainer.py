"""The training step of a distilled student. All that happens around the step is a handler's business."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from monai.data import MetaTensor
from monai.engines import SupervisedTrainer
from monai.engines.utils import IterationEvents
from monai.utils.enums import CommonKeys as Keys
from torch import Tensor

from kdseg.distill import SOFT_LABELS, Distiller, Mixing
from kdseg.errors import UserError

__all__ = ["TERMS", "DistillationTrainer", "loss_terms"]

TERMS = "terms"
"""Key of the unweighted distillation terms in ``engine.state.output``; "supervised" is one of them."""
_NUMBERS = "numbers"


class DistillationTrainer(SupervisedTrainer):
    """MONAI's SupervisedTrainer with a teacher: one teacher forward, one forward of student and terms, one step.

    The loss is ``supervised + Σ weight · term``. After a step ``engine.state.output`` holds image, label, pred, loss
    and under "terms" each part by name. All of MONAI's iteration events fire. With ``amp`` the step runs under autocast
    of the trainer's own device type (float16 with a scaler on CUDA, bfloat16 on CPU).

    Args:
        network: the :class:`~kdseg.distill.Distiller`, plain or wrapped (DDP, compile); trained as ``student`` inside.
        distiller: the plain distiller when ``network`` is a wrapper.
        mixing: adds mixed images, which learn from the teacher alone.
        kwargs: as of MONAI's SupervisedTrainer: device, max_epochs, train_data_loader, optimizer, loss_function, …

    Raises:
        UserError: when the method needs labels and a batch has none, or when there are fewer images in a batch than a
            batch-relational term needs.
    """

    def __init__(
        self,
        *,
        distiller: Distiller | None = None,
        mixing: Mixing | None = None,
        decollate: bool = False,
        **kwargs: Any,
    ) -> None:
        # a list of decollated losses and feature maps serves nobody in training
        super().__init__(decollate=decollate, **kwargs)
        inner = distiller if distiller is not None else self.network
        if not isinstance(inner, Distiller):
            raise UserError(
                "train#trainer#network",
                found=type(self.network).__name__,
                expected="a Distiller",
                fix="give the distiller as network, or the plain one as distiller when it is wrapped",
            )
        self.distiller = inner
        self.mixing = mixing
        if mixing is not None and mixing.share and inner.soft_labels:
            fix = "set mixing to 0, or soft_labels to null for a teacher that is asked in every step"
            raise UserError("mixing", found="soft labels", expected="a teacher that sees the mixtures", fix=fix)

    @property
    def active_scaler(self) -> torch.amp.GradScaler | None:
        """The scaler of the gradients, where the step scales them: under float16 on CUDA alone."""
        return self.scaler if self.amp and self.state.device.type == "cuda" else None

    def _autocast(self) -> AbstractContextManager[Any]:
        if not self.amp:
            return nullcontext()
        kind = self.state.device.type
        settings: dict[str, Any] = {"dtype": torch.bfloat16} if kind == "cpu" else {}
        return torch.autocast(kind, **{**settings, **self.amp_kwargs})

    def _iteration(self, engine: Any, batchdata: dict[str, Tensor]) -> dict[str, Any]:
        """One step; the parts of the loss are left in ``engine.state.output["terms"]``."""
        image, label = self.prepare_batch(batchdata, self.state.device, self.non_blocking, **self.to_kwargs)[:2]
        # metadata ends here: MetaTensor slows every operation and breaks compiled regions
        image, label = _plain(image), _plain(label)
        if self.mixing is not None:
            image, label = self.mixing(image, label, self.state.iteration)
        soft = batchdata.get(SOFT_LABELS)
        soft = None if soft is None else _plain(soft).to(image.device, non_blocking=self.non_blocking)
        output: dict[str, Any] = {Keys.IMAGE: image, Keys.LABEL: label}
        self.state.output = output
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        with self._autocast():
            teacher_taps = self.distiller.taught(image, soft)
            logits, values = self.inferer(image, self.network, teacher_taps, label)
            output[Keys.PRED] = logits
            supervised = self.loss_function(logits, label).mean()
        output[TERMS] = {"supervised": supervised, **values}
        # the terms' weights may follow from their gradients: the parts have their graphs until here
        self.fire_event(IterationEvents.FORWARD_COMPLETED)
        loss = supervised + self.distiller.total(values)
        output[Keys.LOSS] = loss
        parts = output[TERMS].items()
        output[TERMS] = {name: part.detach() if isinstance(part, Tensor) else part for name, part in parts}
        self.fire_event(IterationEvents.LOSS_COMPLETED)
        scaler = self.active_scaler
        (loss if scaler is None else scaler.scale(loss)).backward()
        self.fire_event(IterationEvents.BACKWARD_COMPLETED)
        if scaler is None:
            self.optimizer.step()
        else:
            scaler.step(self.optimizer)
            scaler.update()
        # the graph goes with the step: whoever reads the output later must not keep it alive
        output[Keys.LOSS], output[Keys.PRED] = loss.detach(), logits.detach()
        self.fire_event(IterationEvents.MODEL_COMPLETED)
        return output


def loss_terms(output: Any) -> dict[str, float]:
    """The loss and its named parts as numbers, from the output of a plain or a distilling trainer.

    The numbers stay in the output, so that an accelerator is stopped once a step, however many handlers ask.

    Example:
        >>> loss_terms({"loss": torch.tensor(0.5), "terms": {"logits": torch.tensor(0.25)}})
        {'loss': 0.5, 'logits': 0.25}
    """
    first = output[0] if isinstance(output, (list, tuple)) else output
    parts = {"loss": first[Keys.LOSS], **first.get(TERMS, {})}
    known: dict[str, float] = first.setdefault(_NUMBERS, {})
    new = {name: torch.as_tensor(value).detach() for name, value in parts.items() if name not in known}
    if new:
        device = first[Keys.LOSS].device
        values = torch.stack([value.to(device, torch.float64).reshape(()) for value in new.values()]).tolist()
        known.update(zip(new, values, strict=True))
    return dict(known)


def _plain(tensor: Tensor) -> Tensor:
    return tensor.as_tensor() if isinstance(tensor, MetaTensor) else tensor

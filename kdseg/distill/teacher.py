"""The teacher: loaded strictly, frozen for good, in eval mode whatever happens around it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING

import torch
from monai.data import MetaTensor
from torch import Tensor, nn

from kdseg.distill.taps import IMAGE, LOGITS, TapRecorder
from kdseg.errors import UserError

if TYPE_CHECKING:
    from kdseg.distill.teachers.input import InputConversion

__all__ = ["Teacher"]


class Teacher(nn.Module):
    """A frozen network that gives its taps without gradient.

    ``train()`` leaves it in eval mode, no parameter wants a gradient, and its buffers never change. It is a module so
    that ``.to(device)`` and MONAI's evaluator work on it; the distiller keeps it outside its own module tree.

    Args:
        network: the teacher, with its weights.
        taps: named taps of the user's, see :func:`kdseg.distill.tap_paths`.
        conversion: what stands between the student's input and the teacher's, where they differ; see
            :class:`kdseg.distill.teachers.InputConversion`.
        class_map: what turns the teacher's logits into logits of the student's classes, where they differ.
        only_logits: why there are no other taps ("a TorchScript file"); asking for one is then refused.
        in_bfloat16: compute :meth:`taps` in bfloat16 (relative error some thousandths); :meth:`forward` never is.

    Example:
        >>> teacher = Teacher(nn.Conv2d(1, 2, 1)).train()
        >>> teacher.training, teacher(torch.zeros(1, 1, 4, 4)).requires_grad
        (False, False)
    """

    def __init__(
        self,
        network: nn.Module,
        taps: Mapping[str, str] | None = None,
        conversion: InputConversion | None = None,
        class_map: nn.Module | None = None,
        only_logits: str = "",
        in_bfloat16: bool = False,
    ) -> None:
        super().__init__()
        self.network = network
        for parameter in network.parameters():  # TorchScript networks lack requires_grad_()
            parameter.requires_grad_(False)
        self.named_taps = dict(taps or {})
        self.conversion = conversion
        self.class_map = class_map
        self.only_logits = only_logits
        self.in_bfloat16 = in_bfloat16
        self.recorder: TapRecorder | None = None
        super().train(False)

    def train(self, mode: bool = True) -> Teacher:
        """Stays in eval mode: batch statistics and dropout of a teacher in train mode spoil every target."""
        return super().train(False)

    def record(self, wanted: Iterable[str]) -> None:
        """Choose the taps that :meth:`taps` gives.

        Raises:
            UserError: for a tap that the teacher does not have.
        """
        wanted = set(wanted)
        self.require(wanted)
        if self.recorder is not None:
            self.recorder.remove()
        self.recorder = TapRecorder(self.network, wanted, self.named_taps).eval()

    def require(self, wanted: Iterable[str]) -> None:
        """Refuse features of a teacher that gives logits only.

        Args:
            wanted: taps, or patterns of taps such as ``enc{level}``.

        Raises:
            UserError: when there is something else than "logits" and "image" among them.
        """
        features = sorted(set(wanted) - {LOGITS, IMAGE})
        if self.only_logits and features:
            raise UserError(
                "teacher",
                found=f"{self.only_logits}, which gives logits only, for a method that reads {', '.join(features)}",
                expected="one checkpoint or bundle whose network has these taps",
                fix="choose a method that reads logits alone, such as kd, or switch the other terms off "
                "(method_args, weight 0)",
            )

    def forward(self, image: Tensor) -> Tensor:
        """Logits ``BKH[WD]`` of the student's input and classes, so that the teacher is evaluated like any network."""
        with torch.no_grad():
            output = self.network(self.seen(image))
            logits = self._logits(output[0] if isinstance(output, (list, tuple)) else output, image)
        # the conversion works on plain tensors, and distances in mm need the spacing
        return MetaTensor(logits).copy_meta_from(image) if isinstance(image, MetaTensor) else logits

    def taps(self, image: Tensor) -> dict[str, Tensor]:
        """The chosen taps of an image batch ``BCH[WD]``; plain tensors, usable in a student's backward."""
        if self.recorder is None:
            self.record(())
        assert self.recorder is not None
        # no_grad, not inference_mode: tensors of the latter fail where a trained adapter needs them in its backward
        with torch.no_grad():
            # where it is not wanted the step's own autocast stays as it is
            with torch.autocast(image.device.type, torch.bfloat16) if self.in_bfloat16 else nullcontext():
                logits, taps = self.recorder(self.seen(image))
            if self.in_bfloat16:
                logits, taps = logits.float(), {name: tap.float() for name, tap in taps.items()}
            if self.conversion is not None:
                taps = {name: self.conversion.back(tap, image) for name, tap in taps.items() if name != IMAGE}
            # a discriminator compares pairs of image and logits: the image must be the student's
            return {**taps, LOGITS: self._logits(logits, image), IMAGE: image}

    def seen(self, image: Tensor) -> Tensor:
        """What the network is given for a batch of the student's: converted where the two differ."""
        return image if self.conversion is None else self.conversion(image)

    def _logits(self, logits: Tensor, image: Tensor) -> Tensor:
        if self.conversion is not None:
            logits = self.conversion.back(logits, image)
        return logits if self.class_map is None else self.class_map(logits)

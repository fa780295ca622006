"""What the teacher sees of the student's input: its own scaling, its channels, its dimensions; and the way back."""

from __future__ import annotations

import torch
from monai.data import MetaTensor
from torch import Tensor, nn

from kdseg.distill.teachers.scaling import Scaling, convertible
from kdseg.errors import UserError

__all__ = ["InputConversion", "input_layer"]


class InputConversion(nn.Module):
    """Converts a batch of the student to one of the teacher, and the teacher's taps to the student's dimensions.

    *Intensity*: the student's scaling is undone and the teacher's done, clipping included.

    *Channels*: one channel is repeated for a teacher that takes more. Of several channels, which stand for neighbouring
    slices (2.5-D), a teacher that takes fewer sees those in the middle; of colours, it is green.

    *Dimensions*: a 2-D teacher of a volume ``BCHWD`` sees each slice along the last axis as an image of its own, and
    its taps become volumes again. A 3-D teacher of a 2.5-D image ``BCHW`` sees the slices as the depth of a volume, and
    the middle of its taps is taken; it must accept volumes of that depth.

    Args:
        channels: that the teacher takes; None leaves them as they are.
        dims: spatial dimensions of the teacher; None for those of the student.
        student: the student's intensity scaling; None where the teacher's is the same.
        teacher: the teacher's.

    Raises:
        UserError: where an intensity scaling cannot be converted.

    Example:
        >>> InputConversion(channels=3)(torch.zeros(2, 1, 8, 8)).shape
        torch.Size([2, 3, 8, 8])
    """

    undo: Tensor
    redo: Tensor
    window: Tensor

    def __init__(
        self,
        channels: int | None = None,
        dims: int | None = None,
        student: Scaling | None = None,
        teacher: Scaling | None = None,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.dims = dims
        self.scales = student is not None and teacher is not None and not _same(student, teacher)
        if student is not None and teacher is not None:
            convertible(student, teacher)
            self.register_buffer("undo", torch.stack(torch.broadcast_tensors(student.scale, student.shift)))
            self.register_buffer("redo", torch.stack(torch.broadcast_tensors(teacher.scale, teacher.shift)))
            self.register_buffer("window", torch.stack(torch.broadcast_tensors(teacher.low, teacher.high)))

    def forward(self, image: Tensor) -> Tensor:
        """The teacher's input from the student's ``BCH[WD]``.

        Raises:
            UserError: when there is no way from the student's channels to the teacher's.
        """
        if isinstance(image, MetaTensor):
            image = image.as_tensor()  # its meta data would not follow the channels and dimensions
        if self.scales:
            scale, shift = _along_channels(self.undo, image)
            image = (image - shift) / scale
        student_dims = image.ndim - 2
        dims = self.dims or student_dims
        if dims < student_dims:
            image = image.movedim(-1, 1).flatten(0, 1)
        elif dims > student_dims:
            image = image.movedim(1, -1).unsqueeze(1)
        if self.channels is not None:
            image = _match_channels(image, self.channels)
        if self.scales:
            low, high = _along_channels(self.window, image)
            scale, shift = _along_channels(self.redo, image)
            image = image.clamp(low, high) * scale + shift
        return image

    def back(self, tap: Tensor, image: Tensor) -> Tensor:
        """A tap of the teacher, in the dimensions of the student's ``image``."""
        student_dims = image.ndim - 2
        dims = self.dims or student_dims
        if dims < student_dims:
            return tap.unflatten(0, (image.shape[0], image.shape[-1])).movedim(1, -1)
        return tap[..., tap.shape[-1] // 2] if dims > student_dims else tap


def input_layer(network: nn.Module) -> tuple[int | None, int | None]:
    """Input channels and spatial dimensions of a network, from its first convolution; None where unknown.

    Example:
        >>> input_layer(nn.Sequential(nn.Conv3d(2, 4, 3), nn.Conv3d(4, 1, 1)))
        (2, 3)
    """
    own = getattr(network, "in_channels", None)
    # a TorchScript network has weights, but no classes of layers
    weights = (weight for weight in network.parameters() if weight.ndim in (4, 5))
    first = next(weights, None)
    if first is None:
        return (own if isinstance(own, int) else None), None
    layers = (layer for layer in network.modules() if isinstance(layer, (nn.Conv2d, nn.Conv3d)))
    layer = next(layers, None)
    channels = first.shape[1] if layer is None else layer.in_channels
    return (own if isinstance(own, int) else channels), first.ndim - 2


def _match_channels(image: Tensor, channels: int) -> Tensor:
    given = image.shape[1]
    if given == channels:
        return image
    if given == 1:
        return image.expand(-1, channels, *image.shape[2:])
    first, odd = divmod(given - channels, 2)
    if first < 0 or odd:
        raise UserError(
            "channels of the teacher",
            found=f"{channels}, where the student's input has {given}",
            expected="as many, or fewer by an even number (the slices in the middle), or a student with one channel",
            fix="choose another teacher, or in_channels of the student so that the two have a common middle",
        )
    return image[:, first : first + channels]


def _along_channels(numbers: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
    """Two rows of numbers, shaped to be used with ``image``."""
    first, second = numbers.to(image).unsqueeze(1).unflatten(2, (-1, *[1] * (image.ndim - 2)))
    return first, second


def _same(student: Scaling, teacher: Scaling) -> bool:
    pairs = zip(*((s.scale, s.shift, s.low, s.high) for s in (student, teacher)), strict=True)
    return all(a.shape == b.shape and torch.allclose(a, b) for a, b in pairs)

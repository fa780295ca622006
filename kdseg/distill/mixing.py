"""Mixed images: two images of a batch laid over one another, of which the teacher alone knows what they show."""

from __future__ import annotations

import torch
from torch import Tensor

from kdseg.errors import UserError
from kdseg.losses import IGNORED

__all__ = ["Mixing"]


class Mixing:
    """Adds mixed images to a batch: ``λ·image + (1 − λ)·other image``, λ uniform between 0 and 1 (arXiv 2106.05237).

    Teacher and student see the same mixture, so the student learns the teacher as a function, also where there are no
    images. No label is right for a mixture: its label is 255 everywhere, the supervised loss does not see it and stays
    that of the unmixed images. What is drawn depends on the seed and the step alone: trainings in step mix alike, and
    one that resumes goes on as if it had not been stopped.

    Args:
        share: mixed images in proportion to those of the batch, rounded up; 0: none.
        seed: of the draw.

    Raises:
        UserError: for a share below 0 or above 1, and for a batch of one image.

    Example:
        >>> image, label = Mixing(0.5)(torch.rand(4, 1, 8, 8), torch.zeros(4, 1, 8, 8), step=1)
        >>> len(image), label[4:].unique().tolist()
        (6, [255.0])
    """

    def __init__(self, share: float, seed: int = 0) -> None:
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
            fix = "use 0.5, or 0 for none"
            raise UserError("mixing", found=repr(share), expected="a number from 0 to 1", fix=fix)
        self.share = share
        self.seed = seed

    def __call__(self, image: Tensor, label: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """The batch with mixtures behind it.

        Args:
            image: ``BCH[WD]``.
            label: ``B?H[WD]``.
            step: number of the training's step.
        """
        count = -int(-self.share * len(image) // 1)
        if count == 0:
            return image, label
        if len(image) < 2:
            raise UserError("batch_size", found="1", expected="2 or more, to mix", fix="raise it, or set mixing to 0")
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + step) % 2**63)
        first = torch.randperm(len(image), generator=generator)
        # the next one in the order: never the image itself
        second = first.roll(-1)
        parts = torch.rand(count, generator=generator).view(-1, *[1] * (image.ndim - 1)).to(image)
        first, second = first[:count].to(image.device), second[:count].to(image.device)
        mixed = parts * image[first] + (1 - parts) * image[second]
        return torch.cat([image, mixed]), torch.cat([label, torch.full_like(label[first], IGNORED)])

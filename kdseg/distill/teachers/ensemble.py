"""Several teachers as one: the running mean of their probabilities."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kdseg.losses.labels import Head

__all__ = ["ProbabilityMean"]


class ProbabilityMean(nn.Module):
    """The mean of the members' probabilities, given back as logits ``BKH[WD]``.

    For a softmax head the logits are ``log p̄``, for a sigmoid head ``log p̄ − log(1 − p̄)``, with p̄ the mean over the
    members. The mean is kept as a running sum of exponentials in the log domain: one accumulator and one member's
    logits are in memory whatever the number of members, and nothing rounds to 0 or 1 on the way.

    Args:
        members: networks that give logits of the same classes.
        head: of the members: "softmax" or "sigmoid".

    Example:
        >>> ensemble = ProbabilityMean([nn.Identity(), nn.Tanh()], "sigmoid")
        >>> z = torch.tensor([[[[3.0]]]])
        >>> torch.allclose(ensemble(z).sigmoid(), (z.sigmoid() + z.tanh().sigmoid()) / 2)
        True
    """

    def __init__(self, members: Iterable[nn.Module], head: Head) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.head = head

    def forward(self, image: Tensor) -> Tensor:
        """Logits of an image batch ``BCH[WD]``, in float32."""
        yes: Tensor | None = None
        no: Tensor | None = None
        for member in self.members:
            logits = member(image).float()
            if self.head == "softmax":
                yes = _log_sum(yes, F.log_softmax(logits, 1))
            else:
                yes, no = _log_sum(yes, F.logsigmoid(logits)), _log_sum(no, F.logsigmoid(-logits))
            del logits  # before the next member's forward: its activations are the peak of memory
        assert yes is not None
        # the factor 1 / number of members cancels in the difference
        return yes - no if no is not None else yes - torch.tensor(float(len(self.members))).log().to(yes)


def _log_sum(total: Tensor | None, log_probability: Tensor) -> Tensor:
    return log_probability if total is None else torch.logaddexp(total, log_probability)

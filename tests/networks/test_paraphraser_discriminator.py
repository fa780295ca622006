"""The auto-encoder of a tap, and the discriminator with spectral norm and self-attention."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from kdseg.losses import gradient_penalty
from kdseg.networks.paraphraser import Paraphraser
from kdseg.networks.sagan_discriminator import SAGANDiscriminator, SelfAttention


def test_paraphraser_has_the_published_layers() -> None:
    paraphraser = Paraphraser(2, 8, 3)
    widths = [
        (m.in_channels, m.out_channels) for m in paraphraser.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)
    ]
    assert widths == [(8, 8), (8, 3), (3, 3), (3, 3), (3, 8), (8, 8)]
    assert all(m.negative_slope == 0.1 for m in paraphraser.modules() if isinstance(m, nn.LeakyReLU))
    assert not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in paraphraser.modules())
    assert Paraphraser(3, 8, 3).reconstruct(torch.zeros(2, 8, 4, 4, 2)).shape == (2, 8, 4, 4, 2)


def test_scaled_biases_undo_the_scale_of_the_taps() -> None:
    torch.manual_seed(0)
    paraphraser, features = Paraphraser(2, 4, 2).double(), torch.randn(2, 4, 5, 5, dtype=torch.float64)
    wanted = 7 * paraphraser.reconstruct(features / 7)
    paraphraser.scale_biases(7.0)
    torch.testing.assert_close(paraphraser.reconstruct(features), wanted)


def test_spectral_norm_by_hand() -> None:
    discriminator = SAGANDiscriminator(2, 1, (8, 8))
    convolution = discriminator.layers[0]
    with torch.no_grad():
        # rows that are multiples of unit vectors: the largest singular value is the largest factor, 5
        weight = torch.zeros_like(convolution.parametrizations.weight.original)
        for row in range(16):
            weight.view(64, 16)[row, row] = 1.0 + row % 5
        convolution.parametrizations.weight.original.copy_(weight)
    for _ in range(40):
        convolution.weight  # noqa: B018  each look is one step of the power iteration in training mode
    discriminator.eval()
    torch.testing.assert_close(convolution.weight, weight / 5, rtol=1e-4, atol=1e-6)
    assert torch.linalg.matrix_norm(convolution.weight.flatten(1), 2).item() == pytest.approx(1, rel=1e-4)


def test_gradient_penalty_by_hand() -> None:
    linear = nn.Sequential(nn.Flatten(), nn.Linear(4, 1))
    with torch.no_grad():
        linear[1].weight.copy_(torch.tensor([[3.0, 0.0, 4.0, 0.0]]))
    # the gradient of a linear map is its weight, of length 5, wherever it is taken
    real, fake = torch.randn(3, 1, 2, 2), torch.randn(3, 1, 2, 2)
    assert gradient_penalty(linear, real, fake).item() == pytest.approx(16.0, rel=1e-5)


@pytest.mark.parametrize(
    ("size", "stages", "attentions"),
    [((64, 64), 4, 2), ((100, 64), 4, 2), ((32, 32), 3, 1), ((9, 9), 1, 0), ((3, 5), 0, 0), ((16, 16, 4), 2, 0)],
)
def test_fewer_stages_on_small_crops(size: tuple[int, ...], stages: int, attentions: int) -> None:
    discriminator = SAGANDiscriminator(len(size), 2, size)
    normed = [m for m in discriminator.layers if parametrize.is_parametrized(m)]
    assert len(normed) == stages
    assert sum(isinstance(m, SelfAttention) for m in discriminator.layers) == attentions
    scores = discriminator(torch.randn(2, 2, *size))
    assert scores.shape[:2] == (2, 1) and scores.isfinite().all()


def test_penalty_reaches_the_attention_twice() -> None:
    torch.manual_seed(0)
    discriminator = SAGANDiscriminator(2, 1, (64, 64), channels=(8, 8, 16, 16), attention=(16,))
    for module in discriminator.modules():
        if isinstance(module, SelfAttention):
            nn.init.ones_(module.gamma)
    gradient_penalty(discriminator, torch.randn(2, 1, 64, 64), torch.randn(2, 1, 64, 64)).backward()
    weights = {name: p for name, p in discriminator.named_parameters() if name.endswith(("original", "query.weight"))}
    assert len(weights) == 6
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in weights.values())


def test_attention_pools_its_keys_on_large_maps() -> None:
    torch.manual_seed(0)
    attention, sizes = SelfAttention(2, 8, most_keys=16), []
    nn.init.ones_(attention.gamma)
    attention.key.register_forward_hook(lambda _, inputs, out: sizes.append(tuple(out.shape[2:])))
    for side, keys in ((4, (4, 4)), (5, (3, 3)), (16, (4, 4))):
        features = torch.randn(1, 8, side, side)
        assert attention(features).shape == features.shape
        assert sizes[-1] == keys

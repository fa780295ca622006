"""The contract of a network of ours: a subclass names the network and inherits every test."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from torch import nn

from kdseg.errors import UserError
from kdseg.networks import find_taps
from tests.networks.test_taps import assert_before_activation, assert_sizes, record_taps


class NetworkContract:
    """Set the class attributes; everything runs on the smallest image that leaves more than one value per channel."""

    constructor: ClassVar[type[nn.Module]]
    dims: ClassVar[int] = 2
    multiple_of: ClassVar[int]
    taps: ClassVar[set[str]]
    settings: ClassVar[dict[str, Any]] = {}
    activated: ClassVar[set[str]]
    """Taps that end on an activation."""

    def build(self, in_channels: int = 1, out_channels: int = 2) -> nn.Module:
        torch.manual_seed(0)
        return self.constructor(in_channels=in_channels, out_channels=out_channels, **self.settings)

    def image(self, batch: int = 3, channels: int = 1) -> torch.Tensor:
        sizes = [2 * self.multiple_of, *[self.multiple_of] * (self.dims - 1)]
        return torch.rand(batch, channels, *sizes, generator=torch.Generator().manual_seed(0))

    @pytest.mark.parametrize(("in_channels", "out_channels"), [(1, 1), (1, 2), (3, 5)])
    def test_logits_have_the_size_of_the_image(self, in_channels: int, out_channels: int) -> None:
        image = self.image(batch=1, channels=in_channels)
        network = self.build(in_channels, out_channels).eval()
        with torch.no_grad():
            for parameter in network.head.parameters():
                parameter.mul_(1e3)
            logits = network(image)
        assert logits.shape == (1, out_channels, *image.shape[2:])
        assert logits.abs().max() > 1, "a probability, not a logit"

    def test_taps_have_the_size_that_their_number_tells(self) -> None:
        network, image = self.build(), self.image()
        taps = find_taps(network)
        assert set(taps) == self.taps
        assert_sizes(record_taps(network, taps, image), image)

    def test_before_its_activation_a_tap_is_what_the_activation_gets(self) -> None:
        network, image = self.build().eval(), self.image()
        found = assert_before_activation(network, image)
        assert {tap for tap in found if tap.startswith(("enc", "dec"))} >= self.activated

    def test_taps_are_not_changed_after_they_are_seen(self) -> None:
        network, image = self.build().eval(), self.image()
        copies: dict[str, torch.Tensor] = {}
        taps = find_taps(network)
        for name, path in taps.items():
            network.get_submodule(path).register_forward_hook(
                lambda _, __, output, name=name: copies.update({name: output.clone()})
            )
        for name, features in record_taps(network, taps, image).items():
            assert torch.equal(features, copies[name]), name

    def test_gradient_reaches_every_trainable_parameter(self) -> None:
        network = self.build().train()
        network(self.image()).square().mean().backward()
        without = [name for name, its in network.named_parameters() if its.requires_grad and its.grad is None]
        assert without == []

    def test_state_dict_round_trip(self) -> None:
        network, image = self.build(), self.image()
        network.train()(image)  # moves the running statistics
        torch.manual_seed(1)
        other = self.constructor(in_channels=1, out_channels=2, **self.settings)
        other.load_state_dict(network.state_dict(), strict=True)
        with torch.no_grad():
            assert torch.equal(network.eval()(image), other.eval()(image))

    def test_evaluation_is_deterministic_and_leaves_the_network_as_it_was(self) -> None:
        network, image = self.build().eval(), self.image()
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        with torch.no_grad():
            assert torch.equal(network(image), network(image))
        assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())

    def test_images_of_a_batch_do_not_mix_in_evaluation(self) -> None:
        network, image = self.build().eval(), self.image()
        with torch.no_grad():
            torch.testing.assert_close(network(image)[1:2], network(image[1:2]), rtol=1e-4, atol=1e-5)

    def test_compiles_in_one_graph(self) -> None:
        network, image = self.build().eval(), self.image()
        torch._dynamo.reset()
        compiled = torch.compile(network, backend="eager", fullgraph=True)
        with torch.no_grad():
            torch.testing.assert_close(compiled(image), network(image))

    def test_traces(self) -> None:
        network, image = self.build().eval(), self.image()
        with torch.no_grad():
            traced = torch.jit.trace(network, image, check_trace=False)
            torch.testing.assert_close(traced(image), network(image))

    def test_scripts(self) -> None:
        network, image = self.build().eval(), self.image()
        with torch.no_grad():
            torch.testing.assert_close(torch.jit.script(network)(image), network(image))

    def test_a_size_that_does_not_fit_is_refused_with_one_that_does(self) -> None:
        sizes = [self.multiple_of + 1, *[self.multiple_of] * (self.dims - 1)]
        with pytest.raises(UserError) as caught:
            self.build().eval()(torch.zeros(1, 1, *sizes))
        good = [2 * self.multiple_of, *sizes[1:]]
        assert "×".join(map(str, [1, 1, *sizes])) in str(caught.value)
        assert f"multiples of {self.multiple_of}" in str(caught.value)
        assert "×".join(map(str, good)) in str(caught.value)

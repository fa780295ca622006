"""Taps: named features of any network, gathered by one forward that returns the logits and the features."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn

from kdseg.errors import UserError, suggestion
from kdseg.networks.taps import before_activation, find_taps

__all__ = ["BEFORE", "IMAGE", "LOGITS", "TapRecorder", "tap_paths"]

IMAGE = "image"
"""The tap that is no feature: what the network was given, for losses that look at the image too."""

LOGITS = "logits"
"""The tap that every network has: its output."""

BEFORE = ":pre"
"""At the end of a tap's name: before the activation."""


def tap_paths(network: nn.Module, named: Mapping[str, str] | None = None) -> dict[str, str]:
    """Semantic tap name → module path for ``network``: what is known of its class, completed by the user's names.

    Two kinds are added: every tap before its activation, as ``enc3:pre`` (the same as ``enc3`` where no activation is
    seen), and ``up3`` where there is only a ``dec3``.

    Args:
        network: any network.
        named: taps that the user names, for instance ``{"enc3": "encoder.layer2"}``; a path that ends in ``:in`` means
            the module's input. These win over the known ones.

    Raises:
        UserError: when a path leads nowhere; the near paths are told.

    Example:
        >>> tap_paths(nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU()), {"enc1": "1"})
        {'enc1': '1', 'enc1:pre': '1:in'}
    """
    named = named or {}
    known = {tap: path for tap, path in find_taps(network).items() if tap.removesuffix(BEFORE) not in named}
    paths = {**known, **named}
    modules = dict(network.named_modules())
    for tap, path in paths.items():
        if path.removesuffix(":in") not in modules:
            raise UserError(
                f"tap {tap!r} of {type(network).__name__}",
                found=f"the path {path!r}, which leads to no module",
                expected="a path as named_modules() gives it",
                fix=suggestion(path.removesuffix(":in"), [name for name in modules if name][:2000]),
            )
    for tap in [tap for tap in paths if tap.startswith("dec") and ":" not in tap]:
        paths.setdefault(tap.replace("dec", "up"), paths[tap])
    for tap in [tap for tap in paths if ":" not in tap]:
        paths.setdefault(tap + BEFORE, before_activation(network, paths[tap]))
    return paths


class TapRecorder(nn.Module):
    """Runs ``network`` and returns ``(logits, taps)``; hooks do the gathering and are made here, once.

    Hooks that exist before ``torch.compile`` are compiled with the network, later ones are not seen. Of a module that
    runs more than once the last run counts. The recorder holds nothing after a forward. :meth:`remove` takes the hooks
    out again.

    Args:
        network: returns logits ``BKH[WD]``, or a list or tuple whose first item they are (deep supervision).
        wanted: names of the taps to gather; "logits" and "image" are always given.
        named: see :func:`tap_paths`.

    Raises:
        UserError: when a wanted tap is unknown, or a path leads nowhere.

    Example:
        >>> import torch
        >>> recorder = TapRecorder(nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU()), ["enc1"], {"enc1": "0"})
        >>> logits, taps = recorder(torch.zeros(1, 1, 4, 4))
        >>> sorted(taps)
        ['enc1', 'image', 'logits']
    """

    def __init__(self, network: nn.Module, wanted: Iterable[str], named: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.network = network
        paths = tap_paths(network, named)
        self._seen: dict[str, Tensor] = {}
        self._handles: list[Any] = []
        modules = dict(network.named_modules())
        for tap in sorted(set(wanted) - {LOGITS, IMAGE}):
            if tap not in paths:
                raise UserError(
                    f"tap {tap!r} of {type(network).__name__}",
                    found="no such tap",
                    expected=f"one of {', '.join([*paths, LOGITS, IMAGE])}",
                    fix="name its module path in student_taps or teacher_taps, or "
                    + suggestion(tap, [*paths, LOGITS, IMAGE]),
                )
            path = paths[tap]
            module = modules[path.removesuffix(":in")]
            if path.endswith(":in"):
                self._handles.append(module.register_forward_pre_hook(partial(_keep_input, self._seen, tap)))
            else:
                self._handles.append(module.register_forward_hook(partial(_keep_output, self._seen, tap)))

    def forward(self, image: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Logits and taps of an image batch ``BCH[WD]``."""
        output = self.network(image)
        logits = output[0] if isinstance(output, (list, tuple)) else output
        taps = {**self._seen, LOGITS: logits, IMAGE: image}
        self._seen.clear()
        return logits, taps

    def remove(self) -> None:
        """Take the hooks out; the network is as it was before."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()


def _keep_output(seen: dict[str, Tensor], tap: str, module: nn.Module, inputs: Any, output: Any) -> None:
    seen[tap] = output[0] if isinstance(output, (list, tuple)) else output


def _keep_input(seen: dict[str, Tensor], tap: str, module: nn.Module, inputs: tuple[Any, ...]) -> None:
    # an activation in place would change what was seen
    seen[tap] = inputs[0].clone() if getattr(module, "inplace", False) else inputs[0]

"""The teacher's forward made faster without a change of what it gives: normalisation folded in, memory layout."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from kdseg.distill.taps import IMAGE, LOGITS, TapRecorder
from kdseg.distill.teacher import Teacher

__all__ = ["Candidate", "accelerate", "fold_normalisation", "measure_teachers"]

logger = logging.getLogger(__name__)

TOLERANCE = 1e-4
"""Largest relative error of a tap (L2 norm of the difference over that of the plain teacher's tap)."""

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@dataclass(frozen=True)
class Candidate:
    """A way to run the teacher, as measured: time of a forward, and the largest relative error among its taps."""

    name: str
    milliseconds: float
    error: float
    kept: bool = False


def fold_normalisation(network: nn.Module, example: Tensor) -> nn.Module:
    """A copy in eval mode whose batch normalisations are part of the convolutions before them, an Identity in place.

    Folded are the pairs that one forward shows: the normalisation's input is the convolution's output, untouched, and
    both are called once. The Identity keeps the path, so that a tap on the normalisation still gives the same tensor. A
    convolution that is a tap itself, or whose output goes elsewhere too, would give something else then: compare, as
    :func:`accelerate` does.

    Args:
        network: any network.
        example: an input ``BCH[WD]`` that it accepts.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.ReLU()).eval()
        >>> fold_normalisation(network, torch.zeros(1, 1, 4, 4))[1]
        Identity()
    """
    network = copy.deepcopy(network).eval()
    calls: dict[str, int] = {}
    made: dict[int, tuple[str, Tensor, int]] = {}
    pairs: dict[str, str] = {}

    def watch(name: str) -> Callable[..., None]:
        def seen(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            calls[name] = calls.get(name, 0) + 1
            if isinstance(module, _CONVOLUTIONS):
                # the tensor is kept, so that no other takes its identity
                made[id(output)] = name, output, output._version
            elif id(inputs[0]) in made and made[id(inputs[0])][2] == inputs[0]._version:
                pairs[name] = made[id(inputs[0])][0]

        return seen

    modules = dict(network.named_modules())
    kinds = (*_CONVOLUTIONS, nn.modules.batchnorm._BatchNorm)
    handles = [part.register_forward_hook(watch(name)) for name, part in modules.items() if isinstance(part, kinds)]
    with torch.no_grad():
        network(example)
    for handle in handles:
        handle.remove()
    for norm_name, convolution_name in pairs.items():
        norm, convolution = modules[norm_name], modules[convolution_name]
        if calls[norm_name] > 1 or calls[convolution_name] > 1 or getattr(norm, "running_mean", None) is None:
            continue
        transposed = isinstance(convolution, _CONVOLUTIONS[3:])
        _put(network, convolution_name, fuse_conv_bn_eval(convolution, norm, transpose=transposed))
        _put(network, norm_name, nn.Identity())
    return network


def measure_teachers(
    teacher: Teacher, example: Tensor, tolerance: float = TOLERANCE, compiled: bool = False, repeats: int = 5
) -> tuple[list[Candidate], TapRecorder | None]:
    """Time and error of every way to run the teacher: folded, channels last, in reduced precision, compiled.

    The candidates alternate, repeat after repeat; the shortest time counts.

    Args:
        teacher: with its taps chosen (:meth:`~kdseg.distill.Teacher.record`).
        example: a batch of the training's size ``BCH[WD]``.
        tolerance: largest relative error of a candidate that may be kept.
        compiled: also compile, which takes a minute.
        repeats: forwards of each.

    Returns:
        The candidates, the plain teacher first, the fastest within the tolerance marked as kept; and its recorder, None
        where that is the plain teacher's own.
    """
    plain = teacher.recorder
    assert plain is not None, "the teacher's taps are chosen first"
    with torch.no_grad():
        given = plain(example)[1]
    wanted = set(given) - {LOGITS, IMAGE}

    def recorder(network: nn.Module) -> TapRecorder:
        return TapRecorder(network, wanted, teacher.named_taps).eval()

    # copies without the hooks of the plain teacher's recorder
    bare = _without_hooks(teacher.network)
    folded = fold_normalisation(bare, example)
    last = torch.channels_last if example.ndim == 4 else torch.channels_last_3d
    ways: dict[str, tuple[Any, AbstractContextManager[Any]]] = {
        "plain": (plain, nullcontext()),
        "folded": (recorder(folded), nullcontext()),
    }
    if example.ndim > 3:
        for name, network in (("channels last", bare), ("folded, channels last", folded)):
            laid_out = copy.deepcopy(network)
            laid_out.to(memory_format=last)  # type: ignore[call-overload]
            ways[name] = recorder(laid_out), nullcontext()
    half = torch.autocast(example.device.type, dtype=torch.bfloat16)
    ways["folded, bfloat16"] = ways["folded"][0], half
    if compiled:
        ways["folded, compiled"] = torch.compile(recorder(copy.deepcopy(folded))), nullcontext()
    times: dict[str, list[float]] = {name: [] for name in ways}
    errors: dict[str, float] = {}
    for repeat in range(repeats + 1):
        for name, (way, context) in ways.items():
            with torch.no_grad(), context:
                seconds, taps = _timed(way, example)
            if repeat:
                times[name].append(seconds)
            else:
                errors[name] = max(_relative_error(taps[tap], given[tap]) for tap in (*wanted, LOGITS))
    allowed = [name for name in ways if errors[name] <= tolerance and "bfloat16" not in name]
    best = min(allowed, key=lambda name: min(times[name]))
    found = [Candidate(name, 1000 * min(times[name]), errors[name], name == best) for name in ways]
    return found, None if best == "plain" else ways[best][0]


def accelerate(teacher: Teacher, example: Tensor, tolerance: float = TOLERANCE) -> list[Candidate]:
    """Run the teacher's taps in the fastest way that keeps to the tolerance on this device; its network stays as it is.

    Whatever reads the teacher's modules (OFD its normalisation) sees them unfolded. What is fastest is measured, in a
    second or two, and so may differ from run to run where two ways are close: the taps then differ by rounding.

    Args:
        teacher: with its taps chosen, as it is inside of a :class:`~kdseg.distill.Distiller`.
        example: a batch of the training's size, on the training's device.
        tolerance: largest relative error of a tap.

    Returns:
        What was measured. Nothing where the teacher has no taps of one network (an ensemble), or an input of its own.

    Example:
        >>> from kdseg.networks import TinyUNet
        >>> teacher = Teacher(TinyUNet(base_channels=2))
        >>> teacher.record(["enc1"])
        >>> [candidate.name for candidate in accelerate(teacher, torch.zeros(1, 1, 16, 16)) if candidate.kept] != []
        True
    """
    if teacher.recorder is None or teacher.recorder.network is not teacher.network or teacher.conversion is not None:
        return []
    measured, recorder = measure_teachers(teacher, example, tolerance)
    for candidate in measured:
        kept = ", kept" if candidate.kept else ""
        logger.info(f"teacher {candidate.name}: {candidate.milliseconds:.1f} ms, error {candidate.error:.1e}{kept}")
    if recorder is not None:
        teacher.recorder.remove()
        teacher.recorder = recorder
    return measured


def _timed(way: Any, example: Tensor) -> tuple[float, dict[str, Tensor]]:
    start = time.perf_counter()
    taps = way(example)[1]
    if example.device.type == "cuda":
        torch.cuda.synchronize(example.device)
    return time.perf_counter() - start, taps


def _relative_error(tap: Tensor, plain: Tensor) -> float:
    return float((tap.float() - plain.float()).norm() / plain.float().norm().clamp_min(1e-30))


def _without_hooks(network: nn.Module) -> nn.Module:
    network = copy.deepcopy(network)
    for module in network.modules():
        module._forward_hooks.clear()
        module._forward_pre_hooks.clear()
    return network


def _put(network: nn.Module, path: str, module: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(network.get_submodule(parent), name, module)

"""What the commands that run a bundle share: their options, and the settings that these stand for."""

from __future__ import annotations

import argparse
import re
from typing import Any

from kdseg.errors import UserError
from kdseg.settings import parse_setting

__all__ = ["DATALIST", "DEVICE", "add_bundle_arguments", "add_set", "bundle_settings", "check_device", "with_overlays"]

DATALIST = "data list, as kdseg prepare writes it"
DEVICE = "cpu, cuda, cuda:1, …; by default CUDA where it is"


def add_set(parser: argparse.ArgumentParser, text: str, form: str = "KEY=VALUE") -> None:
    """The option ``--set``, which may be repeated."""
    parser.add_argument("--set", action="append", default=[], metavar=form, dest="settings", help=text)


def add_bundle_arguments(parser: argparse.ArgumentParser) -> None:
    """The bundle, the data list, the output folder, and ``--set`` for every other key of the configuration."""
    parser.add_argument("bundle", help="folder of a bundle, or the name of one that comes with kdseg")
    parser.add_argument("--datalist", required=True, help=DATALIST)
    parser.add_argument("--fold", type=int, help="validate on this fold, train on the others")
    parser.add_argument("--output-dir", help="where results go")
    parser.add_argument("--device", help=DEVICE)
    text = "a further configuration file of the bundle, for instance train_3d or semi_supervised (may be repeated)"
    parser.add_argument("--overlay", action="append", default=[], metavar="NAME", help=text)
    add_set(parser, "change a key of the configuration or task: --set epochs=100 --set clahe=true (may be repeated)")
    parser.add_argument("--seed", type=int, help="seed of weights, batches and augmentation")
    parser.add_argument("--epochs", type=int, help="length of the training")


def bundle_settings(arguments: argparse.Namespace, *names: str) -> dict[str, Any]:
    """Configuration key → value of the options that were given; ``--set`` wins.

    What stands in an option is data: it reaches the configuration as it is, whatever characters it has. ``--set`` alone
    speaks the configuration's own language.
    """
    from kdseg.configuration import literal

    settings: dict[str, Any] = {}
    for name in ("datalist", "fold", "output_dir", "seed", "epochs", *names):
        value = getattr(arguments, name)
        if isinstance(value, list):
            settings[name] = [literal(part) for part in value]
        elif value is not None:
            settings[name] = literal(value) if isinstance(value, str) else value
    if arguments.device is not None:
        settings["device"] = f"$torch.device('{check_device(arguments.device)}')"
    settings.update(parse_setting(text) for text in arguments.settings)
    return settings


def check_device(device: str | None) -> str:
    """The name of a device that PyTorch can use; CUDA where it is, when none is named.

    Raises:
        UserError: for another name, or one that is not there.
    """
    import torch

    if device is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", device):
        fix = "leave --device out to have CUDA where it is"
        raise UserError("--device", found=repr(device), expected="cpu, mps, cuda, cuda:1, …", fix=fix)
    if device.startswith("cuda") and not torch.cuda.is_available():
        fix = "leave --device out, or install the PyTorch build for your GPU"
        raise UserError("--device", found=f"'{device}', and no GPU that PyTorch can use", expected="cpu", fix=fix)
    return device


def with_overlays(arguments: argparse.Namespace, first: str, *others: str) -> list[str]:
    """The configuration files of a command: the overlays that were asked for come right after the first."""
    return [first, *(name.removesuffix(".json") for name in arguments.overlay), *others]

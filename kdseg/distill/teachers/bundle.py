"""A MONAI bundle as a teacher: its network, its weights, its pre-processing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from kdseg.errors import UserError
from kdseg.networks.weights import load_weights

__all__ = ["BundleTeacher", "read_bundle"]

_CONFIGS = [f"{name}{suffix}" for name in ("inference", "train") for suffix in (".json", ".yaml", ".yml")]
_PREPROCESSING = ("preprocessing", "validate#preprocessing", "train#preprocessing")


@dataclass(frozen=True)
class BundleTeacher:
    """What :func:`read_bundle` finds."""

    network: nn.Module
    preprocessing: Any
    weights: Path


def read_bundle(folder: str | Path) -> BundleTeacher:
    """The network of a bundle directory with its weights, and its pre-processing.

    ``network_def`` and the pre-processing come from ``configs/inference.json`` (or ``train.json``, or YAML), the
    weights from ``models/model.pt``. Like ``monai.bundle run`` this runs code that the configuration names.

    Raises:
        UserError: when one of these is missing or cannot be made, and when the weights do not fit the network.
    """
    folder = Path(folder)
    config = next((folder / "configs" / name for name in _CONFIGS if (folder / "configs" / name).is_file()), None)
    if config is None:
        checkpoint = folder / "model.pt"
        fix = f"give {checkpoint}, the checkpoint in it" if checkpoint.is_file() else "check the path"
        expected = "a bundle, with configs/inference.json and models/model.pt"
        raise UserError(f"teacher {folder}", found="a folder without these", expected=expected, fix=fix)
    weights = folder / "models" / "model.pt"
    if not weights.is_file():
        fix = "train the bundle, or download its weights (python -m monai.bundle download)"
        raise UserError(f"teacher {folder}", found="no models/model.pt", expected="the bundle's weights", fix=fix)
    from monai.bundle import ConfigParser

    parser = ConfigParser()
    parser.read_config(str(config))
    metadata = folder / "configs" / "metadata.json"
    if metadata.is_file():
        parser.read_meta(str(metadata))
    parser["bundle_root"] = str(folder)
    preprocessing = next((key for key in _PREPROCESSING if _has(parser, key)), None)
    with _importable(folder):
        network = _made(parser, "network_def", config)
        transforms = None if preprocessing is None else _made(parser, preprocessing, config)
    if not isinstance(network, nn.Module):
        raise UserError(
            f"teacher {config}", found="no network under network_def", expected="a network", fix="check the bundle"
        )
    return BundleTeacher(load_weights(network, weights, "teacher checkpoint"), transforms, weights)


def _has(parser: Any, key: str) -> bool:
    value: Any = parser.get()
    for part in key.split("#"):
        value = value.get(part) if isinstance(value, dict) else None
    return value is not None


def _made(parser: Any, key: str, config: Path) -> Any:
    try:
        return parser.get_parsed_content(key)
    except UserError:
        raise
    except Exception as error:  # anything can go wrong in somebody else's configuration
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        fix = "check that the bundle runs on its own; it may need a package that is not installed"
        raise UserError(
            f"teacher {config}", found=f"{key}, which fails ({reason})", expected="a bundle", fix=fix
        ) from error


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Bundles bring modules of their own along, which their configuration imports from the bundle's root."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))

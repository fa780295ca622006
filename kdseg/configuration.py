"""Bundle configurations: found, composed and run as ``python -m monai.bundle run`` does, with every key checked."""

from __future__ import annotations

import logging
import shutil
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdseg.errors import UserError, explain_uncaught, suggestion
from kdseg.settings import check_keys

if TYPE_CHECKING:
    from monai.bundle import ConfigWorkflow

__all__ = [
    "bundle_folder",
    "compose_bundle",
    "run_bundle",
    "shipped_bundles",
    "start",
]


def shipped_bundles() -> dict[str, Path]:
    """Name → folder of the bundles that come with kdseg, from a checkout or from an installed wheel.

    Example:
        >>> "coronary_angiogram" in shipped_bundles()
        True
    """
    here = Path(__file__).parent
    for root in (here / "_bundles", here.parent / "bundles"):
        found = {path.parents[1].name: path.parents[1] for path in sorted(root.glob("*/configs/metadata.json"))}
        if found:
            return found
    return {}


def bundle_folder(name_or_folder: str | Path) -> Path:
    """The folder of a bundle, given as a folder or by the name of a shipped one.

    Raises:
        UserError: when it is neither.
    """
    folder = Path(name_or_folder)
    if (folder / "configs" / "train.json").is_file() or (folder / "configs" / "inference.json").is_file():
        return folder
    shipped = shipped_bundles()
    if str(name_or_folder) in shipped:
        return shipped[str(name_or_folder)]
    expected = f"the folder of a bundle (with configs/train.json), or one of {', '.join(shipped)}"
    fix = suggestion(Path(name_or_folder).name, shipped)
    raise UserError("bundle", found=repr(str(name_or_folder)), expected=expected, fix=fix)


def copy_bundle(name_or_folder: str | Path, folder: str | Path) -> Path:
    """An own copy of a bundle in ``folder``, which is empty or not there yet; trained weights are copied with it.

    Raises:
        UserError: when there is no such bundle, or something is in the folder.
    """
    source, folder = bundle_folder(name_or_folder), Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        fix = "name another folder; nothing was copied"
        raise UserError(folder, found="something there", expected="an empty folder, or none yet", fix=fix)
    shutil.copytree(source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "out", "eval"))
    return folder


def compose_bundle(
    folder: Path, layers: Sequence[str], settings: Mapping[str, Any], kind: str = "train", own_logging: bool = True
) -> ConfigWorkflow:
    """Lay ``configs/<layer>.json`` over one another from left to right and change ``settings``; nothing is built yet.

    Args:
        folder: of the bundle.
        layers: names of configuration files without ``.json``: ``["train", "distill"]``.
        settings: configuration key → value.
        kind: "train" or "infer".
        own_logging: set logging up as the bundle's ``logging.conf`` says.

    Raises:
        UserError: when a layer is not there, or a setting has no place in them.
    """
    files = [folder / "configs" / f"{layer}.json" for layer in layers]
    for file in files:
        if not file.is_file():
            there = sorted(path.stem for path in (folder / "configs").glob("*.json"))
            fix = suggestion(file.stem, there)
            raise UserError(folder, found=f"no configs/{file.name}", expected=", ".join(there), fix=fix)
    # MONAI warns at every start that a configuration can run code: the user named the bundle to be run
    warnings.filterwarnings("ignore", message="parsing config_file")
    from monai.bundle import ConfigWorkflow

    logger = logging.getLogger("monai.bundle.workflows")
    logger.setLevel(logging.WARNING if own_logging else logging.ERROR)
    names = [str(file) for file in files]
    try:
        return ConfigWorkflow(names, workflow_type=kind, logging_file=None if own_logging else False, **settings)
    except (KeyError, ValueError, IndexError, TypeError) as error:
        parts = [key for key in settings if "#" in key]
        if not parts:
            raise
        raise UserError(
            ", ".join(parts),
            found="a key without a place in the configuration",
            expected="keys of what is written out there",
            fix="where a key only refers to another ('@teacher_def'), change the other",
        ) from error


def run_bundle(folder: Path, layers: Sequence[str], settings: Mapping[str, Any], kind: str = "train") -> ConfigWorkflow:
    """Compose (see :func:`compose_bundle`) and run; the workflow that has run.

    The same as ``python -m monai.bundle run --config_file "[…]" --key value …``.
    """
    workflow = compose_bundle(folder, layers, settings, kind)
    workflow.initialize()
    try:
        workflow.run()
    finally:
        workflow.finalize()
    return workflow


def start() -> None:
    """First line of every configuration's ``initialize``: errors are told in one message, keys checked, noise kept out.

    Raises:
        UserError: for a setting that nothing uses, see :func:`kdseg.settings.check_keys`.
    """
    explain_uncaught()
    # MONAI makes all of its readers with every LoadImage, and this one warns wherever there is no GPU decoder
    warnings.filterwarnings("ignore", module="monai.data.image_reader")
    logging.getLogger("monai.data.nvimgcodec_pydicom_plugin").setLevel(logging.ERROR)
    # Ignite logs every error once an engine before it raises it
    logging.getLogger("ignite.engine.engine").setLevel(logging.CRITICAL)
    check_keys()

"""Bundle configurations: found, composed and run as ``python -m monai.bundle run`` does, with every key checked."""

from __future__ import annotations

import inspect
import json
import logging
import re
import shutil
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdseg.errors import UserError, explain_uncaught, suggestion

if TYPE_CHECKING:
    from monai.bundle import ConfigWorkflow

__all__ = [
    "bundle_folder",
    "calling_config",
    "check_keys",
    "compose_bundle",
    "parse_setting",
    "run_bundle",
    "shipped_bundles",
    "start",
]

# what MONAI and its consumers look for by name, whether or not the configuration itself refers to it
_KNOWN = {"_desc_", "_meta_", "_requirements_", "imports", "initialize", "run", "finalize", "bundle_root", "device"}
_KNOWN |= {
    "dataset_dir",
    "dataset",
    "dataset_data",
    "evaluator",
    "inferer",
    "handlers",
    "key_metric",
    "train",
    "validate",
}
_KNOWN |= {"network_def", "preprocessing", "postprocessing", "val_interval", "loss", "optimizer", "lr_scheduler"}


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


def parse_setting(text: str) -> tuple[str, Any]:
    """Split ``key=value``; the value is JSON where it can be read as such, else text.

    Raises:
        UserError: when there is no "=".

    Example:
        >>> parse_setting("epochs=3"), parse_setting("method=kd")
        (('epochs', 3), ('method', 'kd'))
    """
    key, mark, value = text.partition("=")
    if not mark or not key:
        raise UserError("--set", found=repr(text), expected="key=value", fix="for instance --set epochs=100")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


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
        UserError: when a layer is not there.
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
    return ConfigWorkflow(names, workflow_type=kind, logging_file=None if own_logging else False, **settings)


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
        UserError: for a setting that nothing uses, see :func:`check_keys`.
    """
    explain_uncaught()
    # MONAI makes all of its readers with every LoadImage, and this one warns wherever there is no GPU decoder
    warnings.filterwarnings("ignore", module="monai.data.image_reader")
    logging.getLogger("monai.data.nvimgcodec_pydicom_plugin").setLevel(logging.ERROR)
    # Ignite logs every error once an engine before it raises it
    logging.getLogger("ignite.engine.engine").setLevel(logging.CRITICAL)
    check_keys()


def calling_config() -> dict[str, Any] | None:
    """The merged bundle configuration, overrides included, that is building the caller; ``None`` outside of one.

    MONAI hands its configuration to nothing that it builds, and the command line does not tell it (argument files,
    commands and tests compose configurations too). The parser is on the call stack whichever way it was started.
    """
    from monai.bundle import ConfigParser

    frame = inspect.currentframe()
    while frame is not None:
        parser = frame.f_locals.get("self")
        if isinstance(parser, ConfigParser):
            return dict(parser.get())
        frame = frame.f_back
    return None


def check_keys(config: Mapping[str, Any] | None = None) -> None:
    """Refuse top-level keys that nothing in the configuration refers to: a mistyped ``--epoch`` would change nothing.

    Args:
        config: the merged configuration; the one that is being run when it is left out.

    Raises:
        UserError: for the first such key, with the near name.

    Example:
        >>> try:
        ...     check_keys({"epochs": 3, "epoch": 4, "train": {"max_epochs": "@epochs"}})
        ... except UserError as error:
        ...     print(error.where, error.fix)
        epoch did you mean 'epochs'?
    """
    config = calling_config() if config is None else config
    if config is None:
        return
    used = set(re.findall(r"[@%]([A-Za-z_]\w*)", json.dumps(config, default=str)))
    for key, value in config.items():
        # definitions of components may wait for an overlay, as teacher_def does in train.json
        is_definition = isinstance(value, Mapping) and "_target_" in value
        if key not in used and key not in _KNOWN and not is_definition:
            known = sorted(used & set(config))
            expected = f"one of {', '.join(known)}"
            raise UserError(key, found="a setting that nothing uses", expected=expected, fix=suggestion(key, known))

"""Bundle configurations: found, composed and run as ``python -m monai.bundle run`` does, with every key checked."""

from __future__ import annotations

import dataclasses
import logging
import shutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdseg.errors import UserError, explain_uncaught, suggestion
from kdseg.settings import check_keys
from kdseg.task.task import TASK_FILE, Task, read_task

if TYPE_CHECKING:
    from monai.bundle import ConfigParser, ConfigWorkflow

__all__ = [
    "Configuration",
    "bundle_folder",
    "compose_bundle",
    "literal",
    "new_bundle",
    "quiet",
    "run_bundle",
    "set_value",
    "shipped_bundles",
    "start",
    "task_folder",
    "with_literal_paths",
]


PATHS = ("datalist", "output_dir", "teacher", "cache_dir", "soft_labels", "alone")
"""Settings that are paths."""


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


def task_folder(name_or_folder: str | Path) -> Path:
    """The folder with a ``task.json``: of a trained network, or of a bundle, given also by its name.

    Raises:
        UserError: when it is neither.
    """
    folder = Path(name_or_folder)
    return folder if (folder / TASK_FILE).is_file() else bundle_folder(name_or_folder)


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


def new_bundle(
    like: str | Path, folder: str | Path, description: str = "", changes: Mapping[str, Any] | None = None
) -> Path:
    """A bundle of a task of one's own: how it learns is copied, what it is comes from the folder's name and changes.

    Args:
        like: name or folder of a bundle.
        folder: empty or not there yet; its name becomes the task's.
        description: what the images show.
        changes: names of a task and their values; "layout" is "generic" unless it is among them.

    Raises:
        UserError: when there is no such bundle, something is in the folder, or a change is none of a task.
    """
    source, folder = bundle_folder(like), Path(folder)
    own = {"name": folder.absolute().name, "description": description, "layout": "generic", **(changes or {})}
    from kdseg.task import bundle_metadata, inference_config, write_json

    # what the other task's images are says nothing of these; checked before anything is written
    theirs: dict[str, Any] = {"modality": [], "series": None, "plane": None, "refuse": []}
    task = read_task(source).changed({**theirs, **own})
    copy_bundle(source, folder)
    for part in ("docs", "models"):
        shutil.rmtree(folder / part, ignore_errors=True)
    task.write(folder)
    for name, content in (("metadata", bundle_metadata(task)), ("inference", inference_config(task))):
        write_json(content, folder / "configs" / f"{name}.json")
    return folder


@dataclass(frozen=True)
class Configuration:
    """The merged configuration that a workflow runs, as it stood when it began; a plain value for MONAI's parser."""

    content: dict[str, Any]


def _workflow_class() -> type[ConfigWorkflow]:
    """MONAI's workflow with every setting checked. Made when it is first named, because MONAI takes seconds to load."""
    # MONAI warns at every start that a configuration can run code: the user named the bundle to be run
    warnings.filterwarnings("ignore", message="parsing config_file")
    from monai.bundle import ConfigWorkflow

    class Workflow(ConfigWorkflow):
        """For ``python -m monai.bundle run --workflow_name kdseg.Workflow``, and for kdseg's commands.

        Refuses settings that nothing uses, and hands the configuration to the components that record it.
        """

        def initialize(self) -> Any:
            # under MONAI's command nobody else tells a wrong setting in one message
            explain_uncaught()
            content = dict(self.parser.get())
            check_keys(content, [entry.name for entry in dataclasses.fields(Task)])
            self.parser["configuration"] = Configuration(content)
            return super().initialize()

    return Workflow


def compose_bundle(
    folder: Path, layers: Sequence[str], settings: Mapping[str, Any], kind: str = "train", own_logging: bool = True
) -> ConfigWorkflow:
    """Lay ``configs/<layer>.json`` over one another from left to right and change ``settings``; nothing is built yet.

    Args:
        folder: of the bundle.
        layers: names of configuration files without ``.json``: ``["train", "distill"]``.
        settings: configuration key → value; a name of the task, such as "window" or "network#base_channels", changes
            the bundle's task.
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
    workflow_class = _workflow_class()
    logger = logging.getLogger("monai.bundle.workflows")
    logger.setLevel(logging.WARNING if own_logging else logging.ERROR)
    workflow = workflow_class(
        [str(file) for file in files], workflow_type=kind, logging_file=None if own_logging else False
    )
    parser = workflow.parser
    if "task" in parser:
        parser["task#path"] = literal(folder.absolute())
    for key, value in settings.items():
        set_value(parser, key, value)
    return workflow


def set_value(parser: ConfigParser, key: str, value: Any) -> None:
    """Change a key of a configuration, or of its task.

    Raises:
        UserError: when the key has no place there.
    """
    key = key.replace("::", "#")
    first, _, rest = key.partition("#")
    if "task" in parser and first not in parser and first in {entry.name for entry in dataclasses.fields(Task)}:
        if first == "network" and rest and not isinstance(parser.get("task#network", {}), dict):
            raise UserError(key, found="the network of a teacher", expected=f"teacher_def#{rest}", fix="change that")
        if rest and f"task#{first}" not in parser:
            parser[f"task#{first}"] = {}
        key = f"task#{key}"
    try:
        parser[key] = value
    except (KeyError, ValueError, IndexError, TypeError) as error:
        found = "a key without a place in the configuration"
        fix = "where a key only refers to another ('@record'), change the other"
        raise UserError(key, found=found, expected="keys of what is written out there", fix=fix) from error


def literal(value: str | Path) -> str:
    """Text of the user's, such as a path, as a configuration takes it for nothing but text.

    MONAI evaluates what begins with "$", looks up what "@" and "%" name, and turns "#" into "::", wherever it stands.

    Example:
        >>> literal("data/angio.json"), eval(literal("$HOME/a#b")[1:])
        ('data/angio.json', '$HOME/a#b')
    """
    text = str(value)
    if not any(mark in text for mark in ("$", "@", "%", "#", "::")):
        return text
    return f"$bytes.fromhex('{text.encode('utf-8', 'surrogateescape').hex()}').decode('utf-8', 'surrogateescape')"


def with_literal_paths(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings whose paths are taken for nothing but text, see :func:`literal`."""

    def plain(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [plain(part) for part in value]
        return literal(value) if isinstance(value, (str, Path)) else value

    return {key: plain(value) if key in PATHS else value for key, value in settings.items()}


def run_bundle(folder: Path, layers: Sequence[str], settings: Mapping[str, Any], kind: str = "train") -> ConfigWorkflow:
    """Compose (see :func:`compose_bundle`) and run; the workflow that has run.

    The same as ``python -m monai.bundle run --workflow_name kdseg.Workflow --config_file "[…]" --key value …``.
    """
    workflow = compose_bundle(folder, layers, settings, kind)
    workflow.initialize()
    try:
        workflow.run()
    finally:
        workflow.finalize()
    return workflow


def start() -> None:
    """First line of every configuration's ``initialize``: errors are told in one message, noise is kept out."""
    explain_uncaught()
    quiet()
    # Ignite logs every error once an engine before it raises it
    logging.getLogger("ignite.engine.engine").setLevel(logging.CRITICAL)


def quiet() -> None:
    """Keep out what MONAI says of readers that nobody asked for."""
    # MONAI makes all of its readers with every LoadImage, and this one warns wherever there is no GPU decoder
    warnings.filterwarnings("ignore", module="monai.data.image_reader")
    logging.getLogger("monai.data.nvimgcodec_pydicom_plugin").setLevel(logging.ERROR)


def __getattr__(name: str) -> Any:
    if name == "Workflow":
        return _workflow_class()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""What a run records so that it can be repeated, without anything that could name a patient, a person or a machine."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import torch

from kdseg.data.open import content_hash
from kdseg.errors import UserError

__all__ = ["data_list_facts", "environment", "without_folder", "without_private_parts"]


def environment(device: torch.device | str = "cpu") -> dict[str, Any]:
    """Versions of Python and all installed packages, and the kind of device: no host, user or folder.

    Example:
        >>> sorted(environment())
        ['device', 'packages', 'python', 'system']
    """
    device = torch.device(device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    # the metadata of a broken installation may lack its name
    packages = {str(one.metadata["Name"]): one.version for one in metadata.distributions() if one.metadata["Name"]}
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "device": f"{device.type}: {name}",
        "packages": dict(sorted(packages.items(), key=lambda item: item[0].lower())),
    }


def data_list_facts(path: str | Path) -> dict[str, str | int]:
    """The hash of a data list file and the number of cases in each of its sections; no case, no path.

    Raises:
        UserError: when the file is not a data list.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        sections = {key: value for key, value in content.items() if isinstance(value, list)}
    except (OSError, ValueError, AttributeError) as error:
        found = f"no readable data list ({type(error).__name__})"
        expected = "a JSON file with the sections training, validation, test"
        raise UserError(path, found=found, expected=expected, fix="make one with 'kdseg prepare'") from error
    return {"sha256": content_hash(path), **{name: len(cases) for name, cases in sections.items()}}


def without_private_parts(value: Any) -> Any:
    """A copy of a configuration with plain values only: lists of cases become their count, paths lose their folders.

    Example:
        >>> without_private_parts({"datalist": "/home/anna/angio.json", "train": {"lr": 0.001}})
        {'datalist': '…/angio.json', 'train': {'lr': 0.001}}
        >>> without_private_parts([{"image": "MEIER_HANS.dcm"}])
        '1 cases'
    """
    if isinstance(value, Mapping):
        return {str(key): without_private_parts(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        if any(isinstance(entry, Mapping) and "image" in entry for entry in value):
            return f"{len(value)} cases"
        return [without_private_parts(entry) for entry in value]
    if isinstance(value, (str, Path)):
        return _without_folders(str(value))
    return value if value is None or isinstance(value, (bool, int, float)) else type(value).__name__


def without_folder(word: str) -> str:
    """A word of a command line, perhaps ``key=value``, with the name alone of what lies at an absolute path.

    Example:
        >>> without_folder("soft_labels=/home/anna/maps"), without_folder("epochs=3")
        ('soft_labels=maps', 'epochs=3')
    """
    key, mark, value = word.rpartition("=")
    return f"{key}{mark}{Path(value).name}" if Path(value).is_absolute() else word


def _without_folders(text: str) -> str:
    if PurePosixPath(text).is_absolute() or PureWindowsPath(text).is_absolute():
        return f"…/{PureWindowsPath(text).name}"
    # expressions name folders too; the home folder is the part that names a person
    return text.replace(str(Path.home()), "~")

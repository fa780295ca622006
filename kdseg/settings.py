"""Settings of a configuration: read from the command line, checked, and told apart from mere places."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from kdseg.errors import UserError, suggestion

__all__ = ["check_keys", "nested", "parse_setting", "training_settings"]

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
_KNOWN |= {"network_def", "preprocessing", "postprocessing", "val_interval", "loss", "optimizer"}
_KNOWN |= {"lr_scheduler"}
# what other files of a bundle wait for, and what kdseg's own workflow sets
_KNOWN |= {"teacher_def", "configuration"}
# MONAI's command reads values as Python's, kdseg's as JSON or Python's
_JSON = {"true": "True", "false": "False", "null": "None"}
# where things are, how they are recorded and on what they run: with another of these it is the same training, though
# other workers draw other augmentation
_ASIDE = {"imports", "initialize", "run", "finalize", "bundle_root", "datalist", "dataset_dir", "output_dir", "device"}
_ASIDE |= {"num_workers", "cache_dir", "resume", "mlflow", "record", "handlers", "configuration", "alone"}


def parse_setting(text: str) -> tuple[str, Any]:
    """Split ``key=value``; the value is JSON, or a list, dictionary, True, False or None of Python, else text.

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
        pass
    if value.startswith(("[", "{")) or value in _JSON.values():
        with suppress(ValueError, SyntaxError):
            return key, ast.literal_eval(value)
    return key, value


def nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Keys with "#" as dictionaries in one another.

    Example:
        >>> nested({"network#base_channels": 8, "tile": 512})
        {'network': {'base_channels': 8}, 'tile': 512}
    """
    result: dict[str, Any] = {}
    for key, value in settings.items():
        *folders, last = key.replace("::", "#").split("#")
        place = result
        for folder in folders:
            place = place.setdefault(folder, {})
        place[last] = value
    return result


def check_keys(config: Mapping[str, Any], also: Iterable[str] = ()) -> None:
    """Refuse settings that would not do what they say.

    Those are top-level keys that nothing in the configuration refers to (a mistyped ``--epoch`` would change nothing),
    and the texts "true", "false" and "null" (``--mlflow false`` is text for MONAI's command, and any text is true).

    Args:
        config: the merged configuration.
        also: names that may have been meant besides the configuration's own.

    Raises:
        UserError: for the first such key, with the near name, or the first such value.

    Example:
        >>> try:
        ...     check_keys({"epochs": 3, "epoch": 4, "train": {"max_epochs": "@epochs"}})
        ... except UserError as error:
        ...     print(error.where, error.fix)
        epoch did you mean 'epochs'?
    """
    used = set(re.findall(r"[@%]([A-Za-z_]\w*)", json.dumps(config, default=str)))
    for key, value in config.items():
        if isinstance(value, str) and value in _JSON:
            fix = f"write {_JSON[value]} with python -m monai.bundle run"
            raise UserError(key, found=f"the text '{value}'", expected=_JSON[value], fix=fix)
        # definitions of components may wait for an overlay, as teacher_def does in train.json
        is_definition = isinstance(value, Mapping) and "_target_" in value
        if key not in used and key not in _KNOWN and not is_definition:
            known = sorted(used & set(config))
            expected = f"one of {', '.join(known)}"
            near = suggestion(key, [*known, *also])
            # the list of all of them is long enough once
            fix = near if near.startswith("did you mean") else "leave it out, or see what the bundle's files refer to"
            raise UserError(key, found="a setting that nothing uses", expected=expected, fix=fix)


def training_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a configuration that decides what a training gives: a killed one may go on only with the same.

    Left out is where things are, how they are recorded and on what they run, workers included.

    Args:
        config: the merged configuration.

    Example:
        >>> training_settings({"epochs": 3, "output_dir": "out", "train": {"handlers": [], "inferer": "@inferer"}})
        {'epochs': 3, 'train': {'inferer': '@inferer'}}
    """
    return {
        key: training_settings(value) if isinstance(value, Mapping) else value
        for key, value in config.items()
        if key not in _ASIDE
    }

"""What a network is fed and what its output means, as data: one object for training, evaluation, prediction, export."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from kdseg._version import __version__
from kdseg.errors import UserError, suggestion
from kdseg.files import whole_file

__all__ = ["SCHEMA_VERSION", "TASK_FILE", "Task", "load_task", "read_task"]

SCHEMA_VERSION = 1
TASK_FILE = "task.json"
_NEEDED: Any = dataclasses.MISSING


def _entry(default: Any = _NEEDED, **schema: Any) -> Any:
    """A field of the task with the JSON schema of its value."""
    return field(default=default, metadata={"schema": schema})


def _words(**more: Any) -> dict[str, Any]:
    return {"type": "array", "items": {"type": "string", "minLength": 1}, **more}


def _numbers(least: int, most: int, kind: str = "integer") -> dict[str, Any]:
    return {"type": ["array", "null"], "items": {"type": kind}, "minItems": least, "maxItems": most}


@dataclass(frozen=True)
class Task:
    """A task: which images, how they are prepared, which network, what comes out. Plain values only, no code.

    It is ``task.json`` of a bundle, and, as a training has really used it, of every trained network's folder.

    Attributes:
        name, description: for people; the name is also the MLflow experiment.
        kind: "picture": single frames of XA DICOM, PNG, JPEG, TIFF, slides; "volume": DICOM series and NIfTI volumes.
        classes: names of the classes 1, 2, …; 0 is the background.
        head: "softmax", or "sigmoid" where each class is its own yes or no.
        network: {"name": …} of :func:`kdseg.networks.build_network`, and its settings.
        modality: DICOM modalities that are taken; empty: any.
        layout: how ``kdseg prepare`` finds images and masks, see docs/data.md.
        frame: of a cine: a number from 0, "best" or "all".
        colour: three channels of a picture; else its luminance.
        level: of whole-slide files; 0 is full resolution.
        ignored: value in the masks that marks pixels to be left out, where the data list's labels name none.
        series: a word of the description of the DICOM series that is meant.
        plane: "axial", "coronal" or "sagittal", of the DICOM series that is meant.
        uneven: "refuse" or "resample" series with gaps, uneven spacing or tilt.
        n4: bias-field correction of MRI.
        clahe: contrast-limited adaptive histogram equalisation of pictures.
        window: [low, high], in HU for CT: scaled to 0 and 1 and cut off there.
        z_score: mean 0 and standard deviation 1 of each image.
        dimensions: of the network: a volume is cut into slices for 2.
        patch_size: what the network sees at once, in pixels: of pictures a tile, of slices the size that they are
            brought to, of volumes a window. None: the whole picture.
        tile: of pictures: width in the file of what a patch shows; pictures are reduced by patch_size / tile.
        border: pixels at each edge of a tile whose result is not trusted.
        spacing: mm; volumes are resampled to it.
        neighbours: slices that a slice is seen with, itself in the middle, as channels.
        overlap: of windows in a volume, 0 to 1.
        divisible: the sides of what the network sees are multiples of this number; whole pictures are padded to it.
        largest_component: keep the largest connected part of every class.
        metrics: what an evaluation measures.
        refuse: kinds of finding (docs/check.md) for which ``kdseg prepare`` leaves a case out, though they are warnings
            elsewhere.
    """

    name: str = _entry(type="string", pattern=r"^[A-Za-z0-9][\w.-]*$")
    kind: str = _entry(enum=["picture", "volume"])
    classes: Sequence[str] = _entry(**_words(minItems=1, uniqueItems=True, maxItems=254))
    network: Mapping[str, Any] = _entry(type="object", required=["name"], properties={"name": {"type": "string"}})
    description: str = _entry("", type="string")
    head: Literal["softmax", "sigmoid"] = _entry("softmax", enum=["softmax", "sigmoid"])
    modality: Sequence[str] = _entry((), **_words())
    layout: str = _entry("generic", type="string")
    frame: int | str = _entry("best", anyOf=[{"type": "integer", "minimum": 0}, {"enum": ["best", "all"]}])
    colour: bool = _entry(False, type="boolean")
    level: int = _entry(0, type="integer", minimum=0)
    ignored: int | None = _entry(None, type=["integer", "null"])
    series: str | None = _entry(None, type=["string", "null"])
    plane: str | None = _entry(None, enum=["axial", "coronal", "sagittal", None])
    uneven: str = _entry("refuse", enum=["refuse", "resample"])
    n4: bool = _entry(False, type="boolean")
    clahe: bool = _entry(False, type="boolean")
    window: Sequence[float] | None = _entry(None, **_numbers(2, 2, "number"))
    z_score: bool = _entry(False, type="boolean")
    dimensions: int = _entry(2, enum=[2, 3])
    patch_size: Sequence[int] | None = _entry(None, **_numbers(2, 3))
    tile: int | None = _entry(None, type=["integer", "null"], minimum=1)
    border: int = _entry(0, type="integer", minimum=0)
    spacing: Sequence[float] | None = _entry(None, **_numbers(3, 3, "number"))
    neighbours: int = _entry(1, type="integer", minimum=1)
    overlap: float = _entry(0.5, type="number", minimum=0, exclusiveMaximum=1)
    divisible: int = _entry(16, type="integer", minimum=1)
    largest_component: bool = _entry(False, type="boolean")
    metrics: Sequence[str] = _entry(("dice",), **_words(minItems=1))
    refuse: Sequence[str] = _entry((), **_words())

    @property
    def in_channels(self) -> int:
        """Channels of the network's input."""
        return 3 if self.colour else self.neighbours

    @property
    def out_channels(self) -> int:
        """Channels of the network's logits."""
        return len(self.classes) + (self.head == "softmax")

    @property
    def labels(self) -> dict[str, str]:
        """Number in a mask → name."""
        return {"0": "background"} | {str(number): name for number, name in enumerate(self.classes, start=1)}

    @property
    def scale(self) -> float:
        """By which pictures are reduced."""
        return 1.0 if self.tile is None or self.patch_size is None else min(1.0, self.patch_size[0] / self.tile)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """``(1, C, W, H[, D])`` of an input as the network usually sees it; 256² for whole pictures."""
        return (1, self.in_channels, *(self.patch_size or (256, 256)))

    @property
    def data(self) -> dict[str, Any]:
        """What :func:`kdseg.data.prepare.prepare` wants to know of the task."""
        names = ("description", "kind", "layout", "classes", "frame", "level", "modality", "series", "plane", "refuse")
        values = {name: getattr(self, name) for name in names}
        return {"task": self.name, **values, "frame": "best" if self.frame == "all" else self.frame}

    def changed(self, changes: Mapping[str, Any]) -> Task:
        """With other values; those of "network" join the present ones unless they name another network.

        Raises:
            UserError: for a name that a task does not have, or a value of a wrong kind.
        """
        network = changes.get("network")
        if isinstance(network, Mapping) and network.get("name", self.network["name"]) == self.network["name"]:
            changes = {**changes, "network": {**self.network, **network}}
        return _checked({**dataclasses.asdict(self), **changes}, "task")

    def as_json(self) -> dict[str, Any]:
        """All values, defaults included, with the version of the schema and of kdseg."""
        values = json.loads(json.dumps(dataclasses.asdict(self)))
        return {"schema": SCHEMA_VERSION, "kdseg_version": __version__, **values}

    def write(self, folder: str | Path) -> Path:
        """Write ``task.json`` into a folder, whole or not at all."""
        path = Path(folder) / TASK_FILE
        with whole_file(path) as temporary:
            temporary.write_text(json.dumps(self.as_json(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        return path


def read_task(path: str | Path) -> Task:
    """The task of a bundle or of a trained network: its ``task.json``, or the folder that holds it.

    Raises:
        UserError: when there is none, or it is of a newer version, damaged, or has a wrong name or value.

    Example:
        >>> from kdseg.configuration import bundle_folder
        >>> read_task(bundle_folder("coronary_angiogram")).labels
        {'0': 'background', '1': 'vessel'}
    """
    path = Path(path)
    path = path if path.suffix == ".json" else path / TASK_FILE
    if not path.is_file():
        raise UserError(
            path,
            found="no such file: the folder is older than kdseg's tasks, or not one of kdseg's",
            expected="the task.json that kdseg train, distill and new write",
            fix=f"write it with the settings of that training: kdseg task BUNDLE --set … --out {path.parent}",
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        fix = "copy the file again, or train again"
        raise UserError(path, found=f"no JSON ({type(error).__name__})", expected="a task", fix=fix) from error
    if not isinstance(content, dict):
        raise UserError(path, found=type(content).__name__, expected="an object", fix="copy the file again")
    version = content.pop("schema", SCHEMA_VERSION)
    if version != SCHEMA_VERSION:
        found = f"a task of schema {version!r}"
        fix = f"install kdseg {content.get('kdseg_version', 'of that version')} or newer"
        raise UserError(path, found=found, expected=f"schema {SCHEMA_VERSION}", fix=fix)
    content.pop("kdseg_version", None)
    return _checked(content, str(path))


def load_task(path: str | Path, datalist: str | Path | None = None, **changes: Any) -> Task:
    """The task of a training: that of the bundle, then what the data list says of its files, then the user's changes.

    Args:
        path: as of :func:`read_task`.
        datalist: its "frame" and "level" are used.
        changes: names of a task and their values.

    Raises:
        UserError: as :func:`read_task` and :meth:`Task.changed`.
    """
    task = read_task(path)
    if datalist is not None and Path(datalist).is_file():
        from kdseg.data.lists.datalist import read_datalist

        content = read_datalist(Path(datalist))
        task = task.changed({key: content[key] for key in ("frame", "level") if key in content})
    return task.changed(changes) if changes else task


def _checked(content: Mapping[str, Any], where: str) -> Task:
    """A task from its values.

    Raises:
        UserError: for an unknown name, a missing or wrong value, or values that contradict one another.
    """
    from jsonschema import Draft202012Validator

    fields = {entry.name: entry for entry in dataclasses.fields(Task)}
    for name in content:
        if name not in fields:
            fix = suggestion(str(name), fields)
            raise UserError(where, found=f"'{name}'", expected="a name that a task has", fix=fix)
    schema = {
        "type": "object",
        "properties": {name: entry.metadata["schema"] for name, entry in fields.items()},
        "required": [name for name, entry in fields.items() if entry.default is _NEEDED],
    }
    # tuples are arrays too
    plain = json.loads(json.dumps(content, default=str))
    for error in Draft202012Validator(schema).iter_errors(plain):
        place = "#".join(map(str, error.absolute_path))
        found = f"{place} {json.dumps(error.instance, ensure_ascii=False)[:80]}" if place else error.message
        wanted = error.schema if place else {"required": schema["required"]}
        expected = ", ".join(f"{key} {value}" for key, value in wanted.items() if key != "items")
        raise UserError(where, found=found, expected=expected, fix="see kdseg.Task, or docs/tasks.md")
    task = Task(**plain)
    for wrong, found, expected in _contradictions(task):
        if wrong:
            raise UserError(where, found=found, expected=expected, fix="change one of the two")
    return task


def _contradictions(task: Task) -> list[tuple[bool, str, str]]:
    """Whether, what and what else: values that are right by themselves and wrong together."""
    sides = len(task.patch_size or ())
    wide = 2 * task.border >= min(task.patch_size or (1,))
    window = task.window
    finite = all(map(math.isfinite, [*(window or ()), *(task.spacing or ())]))
    return [
        (not finite, f"window {window}, spacing {task.spacing}", "numbers that are finite"),
        (task.kind == "picture" and task.dimensions == 3, "pictures and dimensions 3", "2"),
        (task.kind == "volume" and not sides, "a volume without patch_size", "its size in pixels"),
        (bool(sides) and sides != task.dimensions, f"patch_size of {sides} sides", f"{task.dimensions} of them"),
        (bool(sides) and min(task.patch_size or (1,)) < 1, f"patch_size {task.patch_size}", "1 or more"),
        (bool(sides) and wide and task.border > 0, f"border {task.border}", "less than half of patch_size"),
        (task.neighbours % 2 == 0, f"neighbours {task.neighbours}", "an odd number"),
        (task.neighbours > 1 and (task.kind, task.dimensions) != ("volume", 2), "neighbours", "1, but for slices"),
        (task.dimensions == 3 and task.spacing is None, "dimensions 3 without spacing", "mm of each axis"),
        (min(task.spacing or (1,)) <= 0, f"spacing {task.spacing}", "above 0"),
        (window is not None and window[0] >= window[1], f"window {window}", "the lower end first"),
        (task.colour and task.kind == "volume", "colour in a volume", "false"),
    ]

"""A page that segments images in the reader's own browser: a folder for any file server, or one file."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import torch

from kdseg._version import __version__
from kdseg.deploy.web.packages import DICOM_PARSER, RUNTIME, page_files
from kdseg.deploy.web.supported import check_page_can_do
from kdseg.files import whole_file
from kdseg.task import Task
from kdseg.task.steps import grid_steps

__all__ = ["SINGLE_FILE", "write_web"]

SINGLE_FILE = "page.html"
"""Name of the page of one file."""

ALWAYS = "base-uri 'none'; form-action 'none'; object-src 'none'"
IN_FOLDER = f"default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' data: blob:; {ALWAYS}"
IN_ONE_FILE = (
    "default-src 'none'; script-src data: 'wasm-unsafe-eval' 'sha256-{import_map}'; style-src 'sha256-{style}'; "
    f"img-src data: blob:; {ALWAYS}"
)
"""What a browser lets the page do; neither can reach any other place."""


def write_web(
    model: Path,
    name: str,
    task: Task,
    history: Mapping[str, Any],
    parameters: int,
    folder: Path,
    single_file: bool = False,
    packages: Sequence[str | Path] = (),
) -> list[str]:
    """Write the page of a student.

    Args:
        model: the ONNX file; planes ``1CWH`` in, logits ``1KWH`` out, sides in multiples of the task's ``divisible``.
        name: of the student.
        task: what the network is fed and what comes out.
        history: how it was trained; its role and method are told on the page.
        parameters: of the network.
        folder: where the files go.
        single_file: one HTML file with all in it, which opens from the disk, in place of files for a server.
        packages: see :func:`~kdseg.deploy.web.packages.page_files`.

    Returns:
        the names of the files; the page first.

    Raises:
        UserError: for a task that the page cannot do, and when a package is missing.
    """
    check_page_can_do(task)
    vendored = page_files(packages)
    student = {"kdseg_version": __version__, "task": task.as_json(), "smoothing": _smoothing(task)}
    files = {"student.json": json.dumps(student, ensure_ascii=False).encode(), "model.onnx": model.read_bytes()}
    page = {path.name: path.read_bytes() for path in resources.files(__package__).joinpath("page").iterdir()}
    template = page.pop("index.html").decode()
    about = _about(name, task, history, parameters)
    if single_file:
        made = {SINGLE_FILE: _in_one_file(template, about, page | vendored, files, task)}
    else:
        index = _rendered(template, about, task, IN_FOLDER)
        made = {"index.html": index.encode(), **page, **vendored, **files}
    for file, content in made.items():
        with whole_file(folder / file) as temporary:
            temporary.write_bytes(content)
    return list(made)


def _smoothing(task: Task) -> list[float] | None:
    """The kernel that pictures are smoothed with before they are reduced; None where they are not."""
    from monai.networks.layers.convutils import gaussian_1d

    (sigma,) = [step["sigma"] for step in grid_steps(task) if "sigma" in step] or [None]
    return None if sigma is None else gaussian_1d(torch.tensor(sigma)).tolist()


def _about(name: str, task: Task, history: Mapping[str, Any], parameters: int) -> dict[str, str]:
    """What the page tells of the student: title → words."""
    method = history.get("method", "none")
    role = str(history.get("role", "student")).replace("_", " ")
    return {
        "Name": name,
        "Training": role if method == "none" else f"{role} ({method})",
        "Network": task.network["name"],
        "Parameters": f"{parameters:,}",
        "Marks": ", ".join(task.classes),
        "DICOM of": ", ".join(task.modality) or "any kind",
    }


def _rendered(template: str, about: Mapping[str, str], task: Task, policy: str, embedded: Any = None) -> str:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template).render(
        policy=policy,
        task=task,
        about=f"{about['Training']} · {about['Network']}, {about['Parameters']} parameters",
        details=about,
        made_with=f"kdseg {__version__}",
        runtime_version=RUNTIME.version,
        dicom_version=DICOM_PARSER.version,
        embedded=embedded,
    )


def _in_one_file(
    template: str, about: Mapping[str, str], page: Mapping[str, bytes], files: Mapping[str, bytes], task: Task
) -> bytes:
    """Modules as data addresses that find each other by an import map; what is no code packed into the page."""
    from markupsafe import Markup

    modules = {name: _by_name(code) for name, code in page.items() if name.endswith((".js", ".mjs"))}
    addresses = {name: f"data:text/javascript;base64,{_base64(code)}" for name, code in modules.items()}
    parser = addresses.pop("dicomParser.min.js")
    import_map = json.dumps({"imports": addresses})
    style = page["style.css"].decode()
    binary = {name: content for name, content in page.items() if name.endswith(".wasm")} | dict(files)
    policy = IN_ONE_FILE.format(import_map=_hash(import_map), style=_hash(style))
    embedded = {
        "style": Markup(style),
        "import_map": Markup(import_map),
        "dicom_parser": parser,
        "main": addresses["main.js"],
        "notices": [content.decode() for name, content in page.items() if name.endswith(".txt")],
        "files": {name: _base64(gzip.compress(content, mtime=0)) for name, content in binary.items()},
    }
    return _rendered(template, about, task, policy, embedded).encode()


def _by_name(code: bytes) -> bytes:
    """Modules name each other without a folder: an address that is its own content has none beside it."""
    return re.sub(rb'(from ")\./([\w.-]+";)', rb"\1\2", code)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _hash(text: str) -> str:
    """As a Content Security Policy wants it."""
    return _base64(hashlib.sha256(text.encode()).digest())

"""What an export says of itself: ``README.md``, and ``requirements.txt`` for a machine without torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kdseg.deploy.export.formats import ExportFormat
from kdseg.runtime.exports import PACKAGES
from kdseg.task import Task

__all__ = ["RUNTIME_REQUIREMENTS", "write_words"]

# of a web page, which has some thirty files
MOST_NAMES = 4

RUNTIME_REQUIREMENTS = (
    "numpy>=2.0",
    "jsonschema>=4.0",
    "nibabel>=5.2",
    "pydicom>=3.0",
    "imagecodecs>=2025.3.30",
    "pillow>=10.0",
    "tifffile>=2023.8",
    "scikit-image>=0.22",
    "scipy>=1.11",
    "tqdm>=4.66",
    "lazy-loader>=0.4",
)
"""What ``kdseg predict`` needs of an ONNX or OpenVINO export beside its runtime: the extra ``runtime`` of setup.cfg."""
RUNTIMES = {"onnxruntime": "onnxruntime>=1.18", "openvino": "openvino>=2024.4"}

README = """# {name}: {description}

The student `{student}` ({network}, {parameters:,} parameters) as files for other programs, written by kdseg {version}.
Research only, not for clinical use. It gives {output}; classes: {classes}.

{table}

`export.json` has the figures, hashes, names and shapes; `task.json` says how an image is prepared and what comes out.
{parity}{with_kdseg}{without}"""
WITH_KDSEG = """
## With kdseg

    kdseg predict EXPORT STUDY --output-dir masks/ --runtime {first}

EXPORT is this folder; runtimes are {formats}, without `--runtime` the best one that can be run. In Python it is
`kdseg.load("EXPORT")`.
"""
TORCH_FREE = """
Without torch and MONAI, in an environment of its own:

    pip install --no-deps kdseg
    pip install -r requirements.txt
"""
SERVED = """
## Served by MLflow, where kdseg is installed

    mlflow models serve --model-uri mlflow --env-manager local --port 5000

`{"inputs": [image]}` posted to `/invocations`, the image as it is, is answered with `{"predictions": [mask]}`.
"""
WITHOUT = {
    "onnx": """    session = onnxruntime.InferenceSession("model.onnx")
    {output} = session.run(None, {{"image": image}})[0]
""",
    "openvino": """    model = openvino.Core().compile_model("model.xml", "CPU", {{"INFERENCE_PRECISION_HINT": "f32"}})
    {output} = model([image])[0]
""",
    "torchscript": """    {output} = torch.jit.load("model.ts")(torch.from_numpy(image))
""",
    "exported": """    {output} = torch.export.load("model.pt2").module()(torch.from_numpy(image))
""",
    "bundle": """    python -m monai.bundle run --config_file bundle/configs/inference.json --bundle_root bundle \\
        --dataset_dir STUDY --output_dir masks/
""",
    "web": """    python -m http.server --directory web

or any other file server; a `page.html` opens from the disk as it is.
""",
}
WITHOUT_KDSEG = """
## Without kdseg

"""
AS_FED = """
`image` is float32 of the shape in `export.json`, prepared as `task.json` says (docs/tasks.md of kdseg): the first
axis of pictures runs from left to right, the second from top to bottom; of volumes they run to the right, to the front
and up.
"""


def write_words(folder: Path, task: Task, content: Mapping[str, Any], formats: Mapping[str, ExportFormat]) -> None:
    """Write both files into an export's folder."""
    kept = content["formats"]
    rows = ["| format | files | what |", "|---|---|---|"]
    for name, entry in kept.items():
        files = ", ".join(f"`{one['name']}`" for one in entry["files"][:MOST_NAMES])
        files += f" and {len(entry['files']) - MOST_NAMES} more" * (len(entry["files"]) > MOST_NAMES)
        rows.append(f"| {name} | {files} | {entry['what']} |")
    measured = [f"- {name}: {_told(entry)}" for name, entry in kept.items() if "parity" in entry]
    parity = ("\nAgainst the network in torch, on real cases:\n\n" + "\n".join(measured) + "\n") if measured else ""
    packages = sorted({PACKAGES[name] for name in kept if PACKAGES.get(name) in RUNTIMES})
    runnable = [name for name in PACKAGES if name in kept]
    with_kdseg = ""
    if content["output"] == "logits" and runnable:
        with_kdseg = WITH_KDSEG.format(first=runnable[0], formats=", ".join(runnable)) + TORCH_FREE * bool(packages)
    without = "\n".join(text.format(output=content["output"]) for name, text in WITHOUT.items() if name in kept)
    text = README.format(
        name=task.name,
        description=task.description or "segmentation",
        student=content["student"],
        network=content["network"]["name"],
        parameters=content["parameters"],
        version=content["kdseg_version"],
        output=content["output"],
        classes=", ".join(f"{number} {label}" for number, label in task.labels.items()),
        table="\n".join(rows),
        parity=parity,
        with_kdseg=with_kdseg + SERVED * ("mlflow" in kept),
        without=WITHOUT_KDSEG + without + AS_FED if without else "",
    )
    (folder / "README.md").write_text(text, encoding="utf-8")
    if packages:
        lines = [*RUNTIME_REQUIREMENTS, *(RUNTIMES[package] for package in packages)]
        (folder / "requirements.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _told(entry: Mapping[str, Any]) -> str:
    parity = entry["parity"]
    words = (
        f"values differ by {parity['max_difference']:.2g} at most ({parity['mean_difference']:.2g} in the mean), "
        f"masks agree to Dice {parity['dice']:.5f} ({parity['cases']} {parity['section']} cases)"
    )
    if "dice_lost" in entry:
        words += f"; Dice against the labels {entry['dice_float32']:.4f} in float32, {entry['dice_int8']:.4f} in int8"
    return words

"""A task as files that MONAI alone can use: ``inference.json`` and ``metadata.json``."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata as installed
from typing import Any

from kdseg._version import __version__
from kdseg.task.steps import Step, grid_steps, intensity_steps, output_steps
from kdseg.task.task import Task

__all__ = ["bundle_metadata", "inference_config"]

SCHEMA = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".pgm", ".bmp")
VOLUMES = (".nii", ".nii.gz")


def inference_config(task: Task, bundle_root: str = ".", weights: str = "models/model.ts") -> dict[str, Any]:
    """The configuration that segments every file of a folder with components of MONAI, from a TorchScript file.

    Where a task needs what MONAI lacks (N4, CLAHE), the configuration names kdseg's transform, and runs only where
    kdseg is installed. DICOM is for ``kdseg predict``: MONAI's readers take frames and series for what they are not.

    Args:
        task: see :class:`Task`.
        bundle_root: the folder that the paths in the configuration start from.
        weights: of the network, below it.
    """
    picture = task.kind == "picture"
    suffixes = PICTURES if picture else VOLUMES
    found = "[{'image': path} for path in sorted(glob.glob(@dataset_dir + '/**', recursive=True))"
    save = {
        "_target_": "SaveImaged",
        "keys": "pred",
        "output_dir": "@output_dir",
        "output_postfix": "mask",
        "output_dtype": "uint8",
        "data_root_dir": "@dataset_dir",
        "separate_folder": False,
        "resample": False,
        "print_log": False,
        **({"output_ext": ".png", "scale": 255 if len(task.classes) == 1 else None} if picture else {}),
    }
    return {
        "_desc_": f"Written by kdseg from the task '{task.name}': masks of every file of a folder.",
        "imports": ["$import glob", "$import os", "$import torch"],
        "bundle_root": bundle_root,
        "dataset_dir": "$@bundle_root + '/study'",
        "output_dir": "$@bundle_root + '/masks'",
        "checkpoint": f"$@bundle_root + '/{weights}'",
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "amp": "$@device.type == 'cuda'",
        "network_def": "$torch.jit.load(@checkpoint, map_location=@device)",
        "preprocessing": {"_target_": "Compose", "transforms": _preprocessing(task)},
        "dataset": {
            "_target_": "Dataset",
            "data": f"${found} if path.lower().endswith({suffixes})]",
            "transform": "@preprocessing",
        },
        "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1, "num_workers": 0},
        **_inferer(task),
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [*output_steps(task, "@preprocessing", padded=True), save],
        },
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "@device",
            "val_data_loader": "@dataloader",
            "network": "$@network_def.to(@device)",
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
            "amp": "@amp",
        },
        "run": ["$@evaluator.run()"],
    }


def bundle_metadata(task: Task, words: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The metadata of a bundle of this task, as MONAI's schema wants it.

    Args:
        task: see :class:`Task`.
        words: what is particular to the bundle: "name", "description", "data_source", …
    """
    packages = ("kdseg", "pytorch-ignite", "nibabel", "pydicom", *(("scikit-image",) if task.largest_component else ()))
    versions = {name: __version__ if name == "kdseg" else installed.version(name) for name in packages}
    classes = task.labels if task.head == "softmax" else {str(n): name for n, name in enumerate(task.classes)}
    shape = [f"{task.divisible}*n"] * task.dimensions
    kind = {"type": "image", "spatial_shape": shape, "dtype": "float32", "is_patch_data": task.tile is not None}
    image = {
        **kind,
        "format": "magnitude",
        "modality": task.modality[0] if task.modality else "n/a",
        "num_channels": task.in_channels,
        "value_range": [-10, 10] if task.z_score else [0, 1],
        "channel_def": {str(number): name for number, name in enumerate(_channel_names(task))},
    }
    prediction = {
        **kind,
        "format": "segmentation",
        "num_channels": task.out_channels,
        "value_range": [-100, 100],
        "channel_def": dict(classes),
    }
    return {
        "schema": SCHEMA,
        "version": "0.1.0",
        "changelog": {"0.1.0": "first version"},
        "monai_version": installed.version("monai"),
        "pytorch_version": installed.version("torch").split("+")[0],
        "numpy_version": installed.version("numpy"),
        "required_packages_version": versions,
        "name": task.name,
        "task": f"Segmentation: {task.description or task.name}",
        "description": f"Segments {', '.join(task.classes)}.",
        "label_classes": ", ".join(f"{number} {name}" for number, name in task.labels.items()),
        "pred_classes": f"{task.out_channels} channel(s) of logits",
        "authors": "kdseg",
        "copyright": "Copyright kdseg contributors, Apache-2.0",
        "intended_use": "research only, not for clinical use",
        **(words or {}),
        "network_data_format": {"inputs": {"image": image}, "outputs": {"pred": prediction}},
    }


def _channel_names(task: Task) -> list[str]:
    if task.colour:
        return ["red", "green", "blue"]
    half = task.neighbours // 2
    return [f"slice {shift:+d}" if shift else "image" for shift in range(-half, half + 1)]


def _preprocessing(task: Task) -> list[Step]:
    load = {"_target_": "monai.transforms.LoadImaged", "keys": "image", "reader": _reader(task)}
    steps = [load, {"_target_": "monai.transforms.EnsureChannelFirstd", "keys": "image"}]
    if task.clahe:
        # its contrast does not depend on the range of the values, which it wants from 0 to 1
        steps.append({"_target_": "monai.transforms.ScaleIntensityd", "keys": "image"})
    elif task.kind == "picture" and not task.z_score and task.window is None:
        bytes_to_one = {"a_min": 0, "a_max": 255, "b_min": 0, "b_max": 1}
        steps.append({"_target_": "monai.transforms.ScaleIntensityRanged", "keys": "image", **bytes_to_one})
    steps += [*intensity_steps(task), *grid_steps(task)]
    if task.kind == "picture":
        return [*steps, *_padding(task)]
    if task.neighbours > 1:
        half = task.neighbours // 2
        shifted = "volume[..., (torch.arange(volume.shape[-1]) + shift).clamp(0, volume.shape[-1] - 1)]"
        stack = f"$lambda volume: torch.cat([{shifted} for shift in range({-half}, {half + 1})])"
        steps.append({"_target_": "monai.transforms.Lambdad", "keys": "image", "func": stack})
    return steps


def _padding(task: Task) -> list[Step]:
    pad: Step = {"_target_": "monai.transforms.DivisiblePadd", "keys": "image", "method": "end"}
    if task.patch_size is None:
        return [{**pad, "k": task.divisible, "mode": "edge"}]
    # NumPy, which the last argument leads to, reflects a small picture several times; torch refuses
    reflected = {"mode": "reflect", "reflect_type": "even"}
    centres = {**pad, "k": [side - 2 * task.border for side in task.patch_size], **reflected}
    border = {"_target_": "monai.transforms.BorderPadd", "keys": "image", "spatial_border": task.border, **reflected}
    return [centres, border] if task.border else [centres]


def _reader(task: Task) -> Any:
    if task.kind == "volume":
        return "NibabelReader"
    if task.z_score:
        # the depth of a picture does not matter, because the intensity is normalised
        mode = "'RGB'" if task.colour else "'F'"
        return f"$monai.data.PILReader(converter=lambda picture: picture.convert({mode}))"
    # 16-bit grey is brought to 8 bits first, because Pillow would cut it off
    eight_bits = "picture.convert('F').point(lambda value: value * (1 / 257)).convert('L')"
    mode = "'RGB'" if task.colour else "'L'"
    converter = f"lambda picture: ({eight_bits} if picture.mode.startswith('I') else picture).convert({mode})"
    return f"$monai.data.PILReader(converter={converter})"


def _inferer(task: Task) -> dict[str, Any]:
    if task.patch_size is None:
        return {"inferer": {"_target_": "SimpleInferer"}}
    size = list(task.patch_size)
    if task.kind == "volume" and task.dimensions == 2:
        return {"inferer": {"_target_": "SliceInferer", "roi_size": size, "spatial_dim": 2, "sw_batch_size": 8}}
    window = {"_target_": "SlidingWindowInferer", "roi_size": size}
    if task.kind == "volume":
        return {"inferer": {**window, "sw_batch_size": 2, "overlap": task.overlap, "mode": "gaussian"}}
    # half a pixel less overlap, because MONAI rounds the step between tiles down; the centre of each tile alone counts,
    # and MONAI has no argument for that
    overlap = [max(0.0, 2 * task.border - 0.5) / side for side in size]
    centre = ", ".join(str(side - 2 * task.border) for side in size)
    weights = f"torch.nn.functional.pad(torch.ones(1, 1, {centre}), [{task.border}] * 4)"
    return {
        "tiles": {**window, "sw_batch_size": 4, "overlap": overlap},
        "inferer": f"$setattr(@tiles, 'roi_weight_map', {weights}) or @tiles",
    }

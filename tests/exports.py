"""Students with a data list of real files, and their exports, that the tests share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from kdseg.data.lists.datalist import save_datalist
from kdseg.phantom import make_field, make_phantom
from kdseg.task import Task
from tests.bundles.volumes import organs, write_nifti
from tests.tasks import tiny_task, trained_folder


class Shallow(nn.Module):
    """Convolution, norm, pooling and a way up: what graphs are made of, with little of it, so that it exports fast."""

    def __init__(self, spatial_dims: int = 2, in_channels: int = 1, out_channels: int = 1) -> None:
        super().__init__()
        flat = spatial_dims == 2
        convolution = nn.Conv2d if flat else nn.Conv3d
        self.first = nn.Sequential(
            convolution(in_channels, 4, 3, padding=1), (nn.BatchNorm2d if flat else nn.BatchNorm3d)(4), nn.ReLU()
        )
        self.pool = (nn.MaxPool2d if flat else nn.MaxPool3d)(2)
        self.up = (nn.ConvTranspose2d if flat else nn.ConvTranspose3d)(4, 4, 2, stride=2)
        self.head = convolution(8, out_channels, 1)
        # for and against in turn: one class everywhere would prove nothing
        nn.init.uniform_(self.head.weight, 1.0, 3.0)
        with torch.no_grad():
            self.head.weight[:, 1::2] *= -1
        nn.init.zeros_(self.head.bias)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        features = self.first(image)
        return self.head(torch.cat([features, self.up(self.pool(features))], dim=1))


SHALLOW = {"name": "tests.exports.Shallow"}
PICTURE = tiny_task(network=SHALLOW)
VOLUME = tiny_task(
    network=SHALLOW,
    kind="volume",
    head="softmax",
    classes=["a", "b"],
    dimensions=3,
    patch_size=[32, 32, 16],
    spacing=[0.93, 0.87, 2.9],
)


def write_cases(folder: Path, task: Task, training: int = 2, validation: int = 2) -> Path:
    """Images and masks of a task, and their data list."""
    sections: dict[str, list[dict[str, Any]]] = {"training": [], "validation": []}
    for number in range(training + validation):
        name = f"case{number}"
        image, label = folder / "images" / name, folder / "masks" / name
        for path in (image, label):
            path.parent.mkdir(parents=True, exist_ok=True)
        if task.kind == "volume":
            values, numbers = organs(range(1, len(task.classes) + 1), number)
            files = write_nifti(Path(f"{image}.nii.gz"), values), write_nifti(Path(f"{label}.nii.gz"), numbers)
        else:
            picture, mask = make_phantom(np.random.default_rng(number), 64)
            picture = make_field(64, number)[0] if task.colour else picture
            mask = (np.asarray(mask) > 0).astype(np.uint8)
            if len(task.classes) > 1:
                mask[40:48, 8:24] = 2
            # neither square nor a multiple of what networks divide by
            files = Path(f"{image}.png"), Path(f"{label}.png")
            Image.fromarray(picture[:50]).save(files[0])
            Image.fromarray(mask[:50] * (255 if len(task.classes) == 1 else 1)).save(files[1])
        record = {"image": str(files[0].relative_to(folder)), "label": str(files[1].relative_to(folder))}
        section = "training" if number < training else "validation"
        sections[section].append({**record, "case": name, "patient": name})
    save_datalist({"labels": task.labels, "root": ".", **sections}, folder / "list.json")
    return folder / "list.json"


def student_and_list(folder: Path, task: Task, **history: Any) -> tuple[Path, Path]:
    """A student that is not trained, and a list of cases of its task."""
    trained_folder(folder / "student", task, **history)
    return folder / "student", write_cases(folder, task)

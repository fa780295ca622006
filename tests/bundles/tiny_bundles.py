"""What differs between the bundles when they are tested: their tiny data, sizes and networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kdseg.configuration import bundle_folder
from tests.bundles.volumes import organs, write_dicom, write_nifti
from tests.data.make_files import prepare_task

TINY = {"epochs": 1, "steps_per_epoch": 1, "val_interval": 1, "batch_size": 2, "mlflow": False}


@dataclass(frozen=True)
class TinyBundle:
    """A bundle with tiny data.

    Attributes:
        name: of the bundle.
        write: writes the cases in a form ("nifti" or "dicom") into a folder.
        settings: that make it small.
        methods: of its papers; the first is tested in all forms.
        input_shape: of its network, for tracing.
        metrics: columns that its evaluation has.
        overlays: further pairs of a training and an inference overlay, with settings of their own.
    """

    name: str
    write: Callable[[Path, str], None]
    settings: Mapping[str, Any]
    methods: tuple[str, ...]
    input_shape: tuple[int, ...]
    metrics: set[str]
    overlays: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return bundle_folder(self.name)

    def prepare(self, folder: Path, form: str) -> Path:
        """Write data and list of one form; the list."""
        self.write(folder / form, form)
        datalist = folder / f"{form}.json"
        result = prepare_task(self.name, folder / form, datalist, fractions=(0.5, 0.25, 0.25))
        assert result.problems == []
        return datalist

    def teacher(self) -> dict[str, Any]:
        """A small network in the teacher's place, which has all taps."""
        return {
            "teacher_def": {
                "_target_": "kdseg.networks.UNet",
                "in_channels": "@in_channels",
                "out_channels": "@out_channels",
                "base_channels": 3,
            }
        }


def write_abdomen(folder: Path, form: str) -> None:
    for number in range(1, 5):
        image, label = organs(range(1, 14), number)
        name = f"{number:04d}"
        if form == "nifti":
            write_nifti(folder / "img" / f"img{name}.nii.gz", image)
            write_nifti(folder / "label" / f"label{name}.nii.gz", label, flipped=number % 2 == 0)
        else:
            write_dicom(folder / name, image, "CT", f"patient {number}")
            write_nifti(folder / f"{name}_label.nii.gz", label)


def write_prostates(folder: Path, form: str) -> None:
    for number, site in enumerate(("RUNMC", "BMC", "UCL", "HK")):
        image, label = organs((1, 2), number)
        if form == "nifti":
            write_nifti(folder / site / "Case00.nii.gz", image)
            word = "Segmentation" if site == "BMC" else "segmentation"
            write_nifti(folder / site / f"Case00_{word}.nii.gz", label)
        else:
            write_dicom(folder / site / "Case00", image, "MR", f"patient {number}")
            write_nifti(folder / site / "Case00_segmentation.nii.gz", label)


SYNAPSE = TinyBundle(
    name="synapse_multiorgan",
    write=write_abdomen,
    settings={**TINY, "patch_size": [32, 32]},
    methods=("graph_flow", "kd", "at", "skds", "ft", "vid"),
    input_shape=(1, 1, 64, 64),
    metrics={"dice", "dice_spleen", "hd95_px", "hd95_mm", "dice_transunet_liver", "hd95_transunet"},
)
PROSTATE = TinyBundle(
    name="prostate_mri",
    write=write_prostates,
    settings={**TINY, "patch_size": [32, 32]},
    methods=("adaptive_affinity", "kd"),
    input_shape=(1, 3, 64, 64),
    metrics={"site", "dice", "asd_mm", "hd95_mm"},
)
BUNDLES = {bundle.name: bundle for bundle in (SYNAPSE, PROSTATE)}
FORMS = ("nifti", "dicom")

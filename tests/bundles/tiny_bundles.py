"""What differs between the bundles when they are tested: their tiny data, sizes and networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from monai.bundle import ConfigWorkflow

from kdseg.configuration import bundle_folder, run_bundle
from kdseg.phantom import write_pathology_set, write_phantom_set
from kdseg.settings import nested
from kdseg.task import Task
from tests.bundles.volumes import organs, write_dicom, write_nifti
from tests.data.make_files import prepare_task
from tests.tasks import TEACHER

TINY: dict[str, Any] = {
    "epochs": 1,
    "steps_per_epoch": 1,
    "val_interval": 1,
    "batch_size": 2,
    "mlflow": False,
    "teacher_def": TEACHER,
}


@dataclass(frozen=True)
class TinyBundle:
    """A bundle with tiny data.

    Attributes:
        name: of the bundle.
        write: writes the cases in a form into a folder.
        task: what makes its task small.
        training: what makes its training small, beside :data:`TINY`.
        metrics: columns that its evaluation has.
        forms: of its data; the first is used where one suffices.
        method: that it is distilled with.
        distillation: what that needs with a small teacher.
        volume: what makes its task small in 3-D, for bundles of volumes.
    """

    name: str
    write: Callable[[Path, str], Any]
    task: Mapping[str, Any]
    metrics: set[str]
    training: Mapping[str, Any] = field(default_factory=dict)
    forms: tuple[str, ...] = ("mixed",)
    method: str = "kd"
    distillation: Mapping[str, Any] = field(default_factory=dict)
    volume: Mapping[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return bundle_folder(self.name)

    @property
    def configs(self) -> Path:
        return self.folder / "configs"

    def prepare(self, folder: Path, form: str = "") -> Path:
        """Write data and list of one form; the list."""
        form = form or self.forms[0]
        self.write(folder / form, form)
        datalist = folder / f"{form}.json"
        result = prepare_task(self.name, folder / form, datalist, fractions=(0.5, 0.25, 0.25))
        assert result.problems == []
        return datalist

    def settings(self, work: Path, output: str, form: str = "", **changes: Any) -> dict[str, Any]:
        """For ``run_bundle``: those of the task by its own names."""
        places = {"datalist": str(work / f"{form or self.forms[0]}.json"), "output_dir": str(work / output)}
        return {**TINY, **self.training, **self.task, **places, **changes}

    def run(self, layers: list[str], work: Path, output: str, form: str = "", **changes: Any) -> ConfigWorkflow:
        return run_bundle(self.folder, layers, self.settings(work, output, form, **changes))

    def distill(self, work: Path, output: str, *layers: str, form: str = "", **changes: Any) -> ConfigWorkflow:
        """Distil from the teacher that :meth:`train_teacher` left."""
        known = {"teacher": str(work / "teacher"), "method": self.method, "paraphraser_steps": 1, **self.distillation}
        return self.run(["train", "distill", *layers], work, output, form, **{**known, **changes})

    def train_teacher(self, work: Path, *layers: str, output: str = "teacher", **changes: Any) -> ConfigWorkflow:
        known = self.settings(work, output, **changes)
        # the student's network is not trained then
        known = {key: value for key, value in known.items() if not key.startswith("network")}
        return run_bundle(self.folder, ["train", *layers, "train_teacher"], known)


def for_monai(settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The same settings for MONAI's own workflow, which knows no names of the task by themselves."""
    names = {entry.name for entry in fields(Task)}
    plain = {key: value for key, value in settings.items() if key.partition("#")[0] not in names}
    task = nested({key: value for key, value in settings.items() if key not in plain})
    return {"bundle_root": str(folder), **plain, **{f"task#{key}": value for key, value in task.items()}}


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


FORMS = ("nifti", "dicom")
CORONARY = TinyBundle(
    name="coronary_angiogram",
    write=lambda folder, form: write_phantom_set(folder, count=8, unlabelled=2, size=64),
    task={"network#base_channels": 2},
    training={"crop_size": [32, 32]},
    metrics={"dice", "cldice", "iou", "sensitivity", "specificity", "auc", "hd95_px", "hd95_mm"},
    method="recommended",
)
GASTRIC = TinyBundle(
    name="gastric_pathology",
    write=lambda folder, form: write_pathology_set(folder, count=8, unlabelled=2, size=96),
    # tiles of 64 pixels reduced to 32
    task={"tile": 64, "patch_size": [32, 32], "border": 4},
    metrics={"dice", "iou", "sensitivity", "specificity"},
    method="graph_flow",
    # the tiny teacher has no up3, which is FANet's
    distillation={"method_args": {}},
)
SYNAPSE = TinyBundle(
    name="synapse_multiorgan",
    write=write_abdomen,
    task={"patch_size": [32, 32]},
    metrics={"dice", "dice_spleen", "hd95_px", "hd95_mm", "dice_transunet_liver", "hd95_transunet"},
    forms=FORMS,
    method="graph_flow",
    volume={"patch_size": [32, 32, 16], "spacing": [0.8, 0.7, 3.0]},
)
PROSTATE = TinyBundle(
    name="prostate_mri",
    write=write_prostates,
    task={"patch_size": [32, 32]},
    metrics={"site", "dice", "asd_mm", "hd95_mm"},
    forms=FORMS,
    method="adaptive_affinity",
    volume={"patch_size": [32, 32, 16], "spacing": [0.8, 0.7, 3.0]},
)
BUNDLES = {bundle.name: bundle for bundle in (CORONARY, GASTRIC, SYNAPSE, PROSTATE)}
VOLUMES = {bundle.name: bundle for bundle in (SYNAPSE, PROSTATE)}

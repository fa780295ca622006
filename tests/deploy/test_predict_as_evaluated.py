"""Trained with each option of each bundle that is not the usual one: predict gives what evaluate measured.

The masks of the trained folder, with no option given, are those of the evaluation bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import tifffile
import torch
from ignite.engine import Engine, Events
from PIL import Image
from pydicom import dcmread
from pydicom.uid import generate_uid

from kdseg.configuration import bundle_folder, run_bundle
from kdseg.data import VolumeReader, load_datalist
from kdseg.data.formats.frame_source import FrameSource
from kdseg.deploy import evaluate, evaluation_data, load, predict_files, run_evaluation
from kdseg.deploy.evaluation import listed
from kdseg.phantom import make_field, make_phantom
from kdseg.task import inferer, open_trained, read_task
from kdseg.transforms import class_numbers_of
from tests.bundles.tiny_bundles import TINY
from tests.bundles.volumes import SPACING, organs, write_dicom, write_nifti
from tests.data.make_files import prepare_task
from tests.data.make_series import straight, write_series

# normalises each image by itself: what normalises by a batch gives the same everywhere after one step
SMALL = {"name": "basic_unet", "features": [4, 4, 4, 4, 4, 4]}
TILES = {"tile": 64, "patch_size": [32, 32], "border": 4}
VOLUME = {"patch_size": [32, 32]}
IN_3D = {"patch_size": [32, 32, 16], "spacing": [0.8, 0.7, 3.0]}
ORGANS = ["aorta", "gallbladder", "left_kidney", "right_kidney", "liver", "pancreas", "spleen", "stomach"]

# bundle → what its task always has here, then: data, prepare's options, overlays, settings that are not the usual ones
CASES: dict[str, tuple[dict[str, Any], list[tuple[str, dict[str, Any], list[str], dict[str, Any]]]]] = {
    "coronary_angiogram": (
        {"network": SMALL},
        [
            ("grey", {}, [], {}),
            ("grey", {}, [], {"clahe": True}),
            ("grey", {}, [], {"z_score": False}),
            ("grey", {}, [], {"clahe": True, "z_score": False}),
            ("grey", {}, [], {"window": [0.1, 0.8], "z_score": False}),
            ("colour", {}, [], {"colour": True}),
            ("colour", {}, [], {"colour": True, "clahe": True}),
            ("grey", {}, [], {"head": "softmax"}),
            ("grey", {}, [], {"largest_component": True}),
            ("grey", {}, [], {"divisible": 32}),
            ("grey", {}, [], {"patch_size": [32, 32]}),
            ("grey", {}, [], {"patch_size": [32, 48], "border": 6}),
            ("grey", {}, [], {"patch_size": [32, 32], "tile": 48, "border": 4}),
            ("grey", {}, [], {"network": {"name": "unet", "base_channels": 3}}),
            ("grey", {}, [], {"network": {"name": "thin_unet", "base_channels": 3}}),
            ("cines", {"frame": 1}, [], {}),
            ("cines", {"frame": 0}, [], {"clahe": True}),
            ("two classes", {"classes": ["vessel", "catheter"]}, [], {"classes": ["vessel", "catheter"]}),
            (
                "two classes",
                {"classes": ["vessel", "catheter"]},
                [],
                {"classes": ["vessel", "catheter"], "head": "softmax", "largest_component": True},
            ),
            ("two classes", {"classes": ["vessel", "catheter"]}, [], {"classes": ["catheter"]}),
            ("two classes", {"classes": ["vessel", "catheter"]}, [], {"classes": ["catheter", "vessel"]}),
        ],
    ),
    "gastric_pathology": (
        {"network": SMALL, **TILES},
        [
            ("fields", {}, [], {}),
            ("fields", {}, [], {"border": 0}),
            ("fields", {}, [], {"border": 12}),
            ("fields", {}, [], {"tile": 32}),
            ("fields", {}, [], {"tile": 100}),
            ("fields", {}, [], {"tile": None}),
            ("fields", {}, [], {"patch_size": [48, 48], "tile": 96}),
            ("fields", {}, [], {"patch_size": [48, 32]}),
            ("fields", {}, [], {"patch_size": None, "tile": None, "border": 0, "crop_size": [32, 32]}),
            ("fields", {}, [], {"colour": True}),
            ("fields", {}, [], {"z_score": True}),
            ("fields", {}, [], {"colour": True, "z_score": True}),
            ("fields", {}, [], {"clahe": True}),
            ("fields", {}, [], {"head": "sigmoid"}),
            ("fields", {}, [], {"largest_component": True}),
            ("fields", {}, [], {"network": {"name": "monai.networks.nets.BasicUNet", "features": [2, 4, 4, 4, 4, 4]}}),
            ("ignored", {"ignored": 128}, [], {}),
            ("levels", {"level": 1}, [], {"colour": True}),
        ],
    ),
    "synapse_multiorgan": (
        {"network": SMALL, **VOLUME},
        [
            ("abdomen nifti", {}, [], {}),
            ("abdomen dicom", {}, [], {"window": [-60, 140]}),
            ("abdomen nifti", {}, [], {"window": None, "z_score": True}),
            ("abdomen nifti", {}, [], {"neighbours": 3}),
            ("abdomen dicom", {}, [], {"patch_size": [48, 48]}),
            ("abdomen nifti", {}, [], {"head": "sigmoid"}),
            ("abdomen nifti", {}, [], {"largest_component": True}),
            ("abdomen nifti", {}, [], {"head": "sigmoid", "largest_component": True}),
            ("abdomen nifti", {}, [], {"classes": ["spleen", "liver"]}),
            ("abdomen gaps", {}, [], {"uneven": "resample"}),
            ("abdomen dicom", {}, ["train_3d"], IN_3D),
            ("abdomen nifti", {}, ["train_3d"], {**IN_3D, "overlap": 0.25, "window": [-60, 140]}),
            ("abdomen nifti", {}, ["train_3d"], {**IN_3D, "spacing": [1.1, 0.9, 2.0], "head": "sigmoid"}),
        ],
    ),
    "prostate_mri": (
        {"network": SMALL, **VOLUME},
        [
            ("prostate dicom", {}, [], {}),
            ("prostate dicom", {}, [], {"n4": True}),
            ("prostate nifti", {}, [], {"neighbours": 1}),
            ("prostate nifti", {}, [], {"neighbours": 5}),
            ("prostate nifti", {}, [], {"z_score": False}),
            ("prostate nifti", {}, [], {"z_score": False, "window": [-60, 100]}),
            ("prostate nifti", {}, [], {"largest_component": False}),
            ("prostate nifti", {}, [], {"patch_size": [32, 48]}),
            ("prostate nifti", {}, [], {"patch_size": [48, 48]}),
            ("prostate dicom", {}, [], {"spacing": [0.9, 0.7, 2.0]}),
            ("two series", {"series": "dwi"}, [], {"series": "dwi"}),
            ("two planes", {"plane": None, "series": "cor"}, [], {"plane": None, "series": "cor"}),
            ("two planes", {"plane": "coronal"}, [], {"plane": "coronal"}),
            ("prostate dicom", {}, ["train_3d"], IN_3D),
            ("prostate dicom", {}, ["train_3d"], {**IN_3D, "n4": True, "largest_component": False}),
        ],
    ),
}
EACH = [
    pytest.param(bundle, *case, id="-".join([bundle.split("_")[0], case[0], *case[2], *map(str, case[3].values())]))
    for bundle, (_, cases) in CASES.items()
    for case in cases
]


def write_pictures(folder: Path, kind: str) -> None:
    """Six patients each."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for number in range(6):
        grey, mask = make_phantom(np.random.default_rng(number), 64)
        mask = np.asarray(mask) > 0
        image, label = folder / "images" / f"{number}", folder / "masks" / f"{number}"
        if kind == "cines":
            frames = np.stack([np.roll(grey, shift, 0) for shift in (0, 3, 6)], axis=-1).transpose(1, 0, 2)
            masks = np.stack([np.roll(mask, shift, 0) for shift in (0, 3, 6)], axis=-1).transpose(1, 0, 2)
            nibabel.save(nibabel.Nifti1Image(frames.astype(np.float32), np.diag([0.3, 0.3, 1, 1])), f"{image}.nii.gz")
            nibabel.save(nibabel.Nifti1Image(masks.astype(np.uint8), np.diag([0.3, 0.3, 1, 1])), f"{label}.nii.gz")
            continue
        if kind == "colour":
            grey = np.stack([grey, np.roll(grey, 2, 0), 255 - grey], axis=-1)
        values = mask.astype(np.uint8)
        if kind == "two classes":
            values[40:48, 8:24] = 2
        # wider than high, so that no axis is taken for another
        Image.fromarray(grey[:52]).save(f"{image}.png")
        Image.fromarray(values[:52] * (1 if kind == "two classes" else 255)).save(f"{label}.png")


def write_fields(folder: Path, kind: str) -> None:
    folder.mkdir(parents=True)
    for number in range(6):
        field, tumour = make_field(96, number)
        field, values = field[:80], np.where(tumour, 255, 0).astype(np.uint8)[:80]
        if kind == "ignored":
            values[:, 60:] = 128
        if kind == "levels":
            values = values[::2, ::2]
            with tifffile.TiffWriter(folder / f"{number}.svs") as writer:
                writer.write(field, tile=(32, 32), photometric="rgb")
                writer.write(field[::2, ::2], tile=(32, 32), photometric="rgb", subfiletype=1)
            Image.fromarray(values).save(folder / f"{number}.png")
            continue
        Image.fromarray(field).save(folder / f"{number}.png")
        Image.fromarray(values).save(folder / f"{number}_mask.png")


def write_volumes(folder: Path, kind: str) -> None:
    """Four patients each, as NIfTI or as DICOM, with one series or two."""
    organ, _, form = kind.partition(" ")
    numbers, modality = ((1, 2), "MR") if organ != "abdomen" else (range(1, 14), "CT")
    for number in range(1, 5):
        image, label = organs(numbers, number)
        name = f"{number:04d}"
        if kind == "abdomen nifti":
            write_nifti(folder / "img" / f"img{name}.nii.gz", image)
            write_nifti(folder / "label" / f"label{name}.nii.gz", label, flipped=number % 2 == 0)
            continue
        place = folder / f"site{number % 2}" / f"Case{name}" if organ != "abdomen" else folder / name
        mask = place.parent / f"{place.name}_{'label' if organ == 'abdomen' else 'segmentation'}.nii.gz"
        if form == "nifti":
            write_nifti(place.parent / f"{place.name}.nii.gz", image)
            write_nifti(mask, label)
        elif form in ("dicom", "gaps"):
            write_dicom(place, image, modality, f"patient {number}")
            write_nifti(mask, label)
        else:
            write_study(place, mask, form, image, label, f"patient {number}")


def write_study(place: Path, mask: Path, form: str, image: np.ndarray, label: np.ndarray, patient: str) -> None:
    """Two series of one patient, of which the smaller is meant: what is taken without a word is the larger."""
    study = {"study": generate_uid(), "Modality": "MR", "PatientID": patient, "pixel_spacing": SPACING[:2]}
    large = np.concatenate([image, image[::-1]], axis=2)
    write_series(place / "t2", large, straight(12, SPACING[2]), SeriesDescription="t2_tse_tra", **study)
    if form == "series":
        wanted = write_series(place / "b", 300 - image, straight(6, SPACING[2]), SeriesDescription="dwi_b800", **study)
    else:
        turned = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0))
        places = straight(6, SPACING[2], turned)
        wanted = write_series(place / "c", image, places, turned, SeriesDescription="t2_tse_cor", **study)
    read, meta = VolumeReader().get_data(VolumeReader().read(str(wanted[0])))
    assert read.shape == label.shape
    # the reader turns nothing: the label drawn on the series' own grid, in its own order
    order = label if np.array_equal(read, image if form != "series" else 300 - image) else label[..., ::-1]
    nibabel.save(nibabel.Nifti1Image(order, np.asarray(meta["original_affine"])), mask)


def remove_slices(source: Path) -> None:
    """One in the middle of every series, which prepare would have refused."""
    for folder in sorted({path.parent for path in source.rglob("*.dcm")}):
        files = sorted(folder.glob("*.dcm"), key=lambda path: float(dcmread(path).ImagePositionPatient[2]))
        files[2].unlink()


WRITERS = {"coronary": write_pictures, "gastric": write_fields, "synapse": write_volumes, "prostate": write_volumes}


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """The data list of a kind of data with prepare's options; written once."""
    folder = tmp_path_factory.mktemp("lists")

    def get(bundle: str, kind: str, options: dict[str, Any]) -> Path:
        source = folder / bundle / kind
        if not source.exists():
            WRITERS[bundle.split("_")[0]](source, kind)
        key = "_".join(["list", *map(str, options.values())])
        path = folder / bundle / f"{kind} {''.join(mark for mark in key if mark.isalnum() or mark == '_')}.json"
        if not path.exists():
            result = prepare_task(bundle, source, path, fractions=(0.5, 0.25, 0.25), **options)
            assert result.problems == []
            if kind == "abdomen gaps":
                remove_slices(source)
        return path

    return get


def measured(folder: Path, datalist: Path, out: Path) -> dict[str, torch.Tensor]:
    """Case → class numbers that the evaluation has measured."""
    trained, kept = open_trained(folder), {}
    summary, _ = evaluate(trained, datalist, output_dir=out / "evaluated", mlflow=False)

    class Keep:
        def attach(self, engine: Engine) -> None:
            engine.add_event_handler(Events.ITERATION_COMPLETED, self)

        def __call__(self, engine: Engine) -> None:
            (case,) = engine.state.output
            numbers = class_numbers_of(torch.as_tensor(case["pred"]), case.get("probability"))
            kept[engine.state.batch[0]["case"]] = numbers

    task = listed(trained.task, datalist)
    run_evaluation(task, trained.network(), evaluation_data(task, datalist), out / "kept", [Keep()])
    # what was kept is what was measured
    assert (out / "kept" / "cases.csv").read_text() == (out / "evaluated" / "cases.csv").read_text()
    assert summary["cases"] == len(kept) == len(load_datalist(datalist, "test"))
    return kept


def saved(path: Path, classes: int) -> np.ndarray:
    """The class numbers of a mask file, in MONAI's order of axes, with a channel."""
    if path.suffix == ".png":
        values = np.asarray(Image.open(path)).T
        return values[None] // (255 if classes == 1 else 1)
    values = np.asarray(nibabel.load(path).dataobj)
    # frames stand behind an axis of one slice
    return values[..., 0, :].transpose(2, 0, 1) if values.ndim == 4 else values.reshape(1, *values.shape)


def balance(folder: Path, datalist: Path) -> None:
    """Move the biases of the last layer, so that every class is somewhere: a step of training leaves all one class."""
    trained = open_trained(folder)
    image = evaluation_data(trained.task, datalist)[0]["image"].as_tensor()[None]
    with torch.no_grad():
        logits = inferer(trained.task)(image, trained.network()).flatten(2).transpose(0, 1).flatten(1)
    weights = torch.load(trained.weights, weights_only=True)
    last = [name for name, value in weights.items() if name.endswith("bias") and len(value) == len(logits)][-1]
    weights[last] -= logits.median(dim=1).values
    torch.save(weights, trained.weights)


def open_level(path: Path, level: int) -> FrameSource:
    """Stands in where no slide library is installed."""
    pixels = tifffile.imread(path, key=level).transpose(1, 0, 2)
    return FrameSource(lambda index: pixels, 1, 0.0, 255.0, "picture")


@pytest.mark.parametrize(("bundle", "kind", "options", "overlays", "changes"), EACH)
def test_predict_gives_what_was_measured(
    bundle: str,
    kind: str,
    options: dict[str, Any],
    overlays: list[str],
    changes: dict[str, Any],
    lists: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if kind == "levels" and find_spec("openslide") is None:
        monkeypatch.setattr("kdseg.data.frames.open_frames.open_whole_slide", open_level)
    datalist = lists(bundle, kind, options)
    own = dict(CASES[bundle][0]) | ({"crop_size": [32, 32]} if bundle == "coronary_angiogram" else {})
    known = {**TINY, **own, **changes, "datalist": str(datalist), "output_dir": str(tmp_path / "out")}
    run_bundle(bundle_folder(bundle), ["train", *overlays], known)
    task = read_task(tmp_path / "out")
    for name, value in changes.items():
        assert name == "crop_size" or getattr(task, name) == value
    balance(tmp_path / "out", datalist)
    masks = measured(tmp_path / "out", datalist, tmp_path)
    student = load(tmp_path / "out")
    for number, record in enumerate(load_datalist(datalist, "test")):
        done = predict_files(student, record["image"], tmp_path / f"masks_{number}")
        assert done.set_aside == []
        (case,) = done.cases
        expected = masks[record["case"]]
        found = saved(Path(case["output"]), len(task.classes))
        assert found.shape == expected.shape and np.array_equal(found, expected.numpy()), (
            found != expected.numpy()
        ).mean()
    # of masks that are all one class it would prove nothing
    assert any(len(mask.unique()) > 1 for mask in masks.values())

"""What is particular to the bundle of fields: the published recipe, tiles, colour, ignored pixels, slides."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from monai.bundle import ConfigWorkflow
from PIL import Image

from kdseg.configuration import compose_bundle, run_bundle
from kdseg.deploy import evaluate, load, predict_files
from kdseg.networks import FANet, MobileUNet
from kdseg.phantom import make_field
from kdseg.task import network, open_trained, read_task, write_for_monai
from tests.bundles.processes import run_without_kdseg
from tests.bundles.tiny_bundles import GASTRIC
from tests.data.make_files import prepare_task

TILE = {"tile": 64, "patch_size": [32, 32], "border": 4}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with fields, their data list, a teacher and a student."""
    folder = tmp_path_factory.mktemp("gastric")
    GASTRIC.prepare(folder)
    GASTRIC.train_teacher(folder)
    GASTRIC.run(["train"], folder, "alone")
    return folder


def test_the_published_recipe() -> None:
    root = {"bundle_root": str(GASTRIC.folder)}
    workflow = ConfigWorkflow(str(GASTRIC.configs / "train.json"), logging_file=False, **root)
    get = workflow.parser.get_parsed_content
    task = get("task")
    teacher = network(task.changed({"network": get("teacher_def")}))
    assert isinstance(get("network_def"), MobileUNet) and isinstance(teacher, FANet)
    assert (get("batch_size"), get("epochs"), task.tile, get("crop_size")) == (8, 200, 1024, [256, 256])
    optimizer, scheduler = get("optimizer"), get("lr_scheduler")
    assert isinstance(optimizer, torch.optim.Adam) and optimizer.param_groups[0]["weight_decay"] == 2e-4
    rates = {}
    for epoch in range(200):
        rates[epoch] = optimizer.param_groups[0]["lr"]
        for _ in range(get("steps_per_epoch")):
            optimizer.step()
            scheduler.step()
    for epoch, base in ((0, 3e-3), (49, 3e-3), (50, 3e-4), (99, 3e-4), (100, 3e-5), (150, 3e-6), (199, 3e-6)):
        assert rates[epoch] == pytest.approx(base * (1 - epoch / 200) ** 0.9, rel=1e-6)
    # cross-entropy alone
    logits, label = torch.randn(2, 2, 8, 8), torch.randint(2, (2, 1, 8, 8))
    assert get("loss")(logits, label) == pytest.approx(torch.nn.functional.cross_entropy(logits, label[:, 0]).item())


def test_tiles_are_reduced_in_training_and_fields_whole_in_validation(work: Path) -> None:
    parser = compose_bundle(GASTRIC.folder, ["train"], GASTRIC.settings(work, "tiles"), own_logging=False).parser
    batch = next(iter(parser.get_parsed_content("train#dataloader")))
    assert batch["image"].shape == batch["label"].shape == (2, 1, 32, 32)
    assert set(batch["label"].unique().tolist()) <= {0.0, 1.0} and 0 <= batch["image"].min() < batch["image"].max() <= 1
    case = parser.get_parsed_content("validate#dataset")[0]
    assert case["image"].shape == (1, 48, 48) and case["label"].shape == (1, 96, 96)


@pytest.mark.parametrize("name", ["enet", "erfnet"])
def test_the_other_students(work: Path, name: str) -> None:
    GASTRIC.run(["train"], work, name, network={"name": name})
    assert read_task(work / name).network == {"name": name}
    assert predict_files(load(work / name), work / "mixed" / "images", work / f"{name}_masks").set_aside == []


@pytest.mark.parametrize("method", ["coco", "kd"])
def test_distillation(work: Path, method: str) -> None:
    GASTRIC.distill(work, method, method=method)
    saved = torch.load(work / method / "model.pt", weights_only=True)
    assert set(saved) == set(MobileUNet(1, 2).state_dict())


def test_graph_flow_takes_fanets_published_taps(work: Path) -> None:
    torch.manual_seed(0)
    torch.save(FANet(1, 2).state_dict(), work / "fanet.pt")
    known = GASTRIC.settings(work, "fanet", teacher=str(work / "fanet.pt"), method="graph_flow")
    del known["teacher_def"]
    parser = compose_bundle(GASTRIC.folder, ["train", "distill"], known, own_logging=False).parser
    distiller = parser.get_parsed_content("distiller")
    for term in ("vertices", "edges"):
        assert distiller.routes[term] == (["enc3", "dec3"], ["enc3", "up3"]) and distiller.terms[term].window == 3
    batch = next(iter(parser.get_parsed_content("train#dataloader")))
    _, values = distiller(batch["image"], distiller.teacher.taps(batch["image"]), batch["label"])
    assert all(torch.isfinite(value) for value in values.values()) and values["vertices"] > 0


def test_colour(work: Path) -> None:
    GASTRIC.run(["train"], work, "colour", colour=True)
    saved = torch.load(work / "colour" / "model.pt", weights_only=True)
    assert saved["encoder.0.0.0.weight"].shape[1] == 3


def test_ignored_pixels_are_not_learnt_and_not_measured(work: Path, tmp_path: Path) -> None:
    for number in range(3):
        field, tumour = make_field(64, number)
        values = np.where(tumour, 255, 0).astype(np.uint8)
        values[:, 16:] = 128
        Image.fromarray(field).save(tmp_path / f"{number}.png")
        Image.fromarray(values).save(tmp_path / f"{number}_mask.png")
    prepare_task("gastric_pathology", tmp_path, tmp_path / "list.json", ignored=128)
    known = GASTRIC.settings(work, "ignored", datalist=str(tmp_path / "list.json"))
    # the list says which value it is
    workflow = run_bundle(GASTRIC.folder, ["train"], known)
    metric = workflow.parser.get_parsed_content("validate#key_metric")["val_mean_iou"].metric_fn
    assert int(metric.get_buffer()[0, 0].sum()) == 16 * 64, "a quarter of the field counts"

    summary, _ = evaluate(open_trained(work / "ignored"), tmp_path / "list.json", output_dir=tmp_path, mlflow=False)
    assert summary["cases"] == 1


def test_all_pixels_of_all_fields_are_measured_on_their_own_grid(work: Path) -> None:
    known = GASTRIC.settings(work, "alone")
    workflow = run_bundle(GASTRIC.folder, ["train", "evaluate"], known)
    counts = workflow.parser.get_parsed_content("validate#key_metric")["val_mean_iou"].metric_fn.get_buffer().sum(0)
    tested = json.loads((work / "mixed.json").read_text())["test"]
    assert counts[0].sum() == len(tested) * 96 * 96
    accuracy = pytest.approx(float((counts[:, 0].sum()) / counts[0].sum()))
    whole = json.loads((work / "alone" / "evaluation_test" / "summary.json").read_text())["whole_set"]
    assert whole["val_accuracy"] == accuracy
    # and what the task asks of all pixels together, without the configuration
    summary, _ = evaluate(open_trained(work / "alone"), work / "mixed.json", output_dir=work / "own", mlflow=False)
    assert summary["whole_set"]["accuracy"] == accuracy


def dark_is_tumour(folder: Path, **changes: Any) -> Path:
    """The folder of a network that calls dark places tumour: its masks can be told right or wrong."""
    made = torch.nn.Conv2d(1, 2, 5, padding=2)
    with torch.no_grad():
        made.weight[0], made.weight[1] = 0, -1 / 25
        made.bias[0], made.bias[1] = 0, 0.72
    folder.mkdir()
    task = read_task(GASTRIC.folder).changed({**TILE, **changes})
    task.write(folder)
    assert len(write_for_monai(folder, task, made)) == 3
    return folder


@pytest.mark.parametrize("tile", [TILE, {}], ids=["small tiles", "tiles larger than the pictures"])
def test_inference_needs_monai_alone_and_gives_the_same(tile: dict[str, Any], tmp_path: Path) -> None:
    study = tmp_path / "study"
    (study / "more").mkdir(parents=True)
    for number, (width, height) in enumerate([(96, 96), (70, 111), (160, 64), (199, 180)]):
        field = make_field(200, number)[0][:height, :width]
        Image.fromarray(field).save(study / f"{number}.png")
    Image.fromarray(field).save(study / "more" / "same.tif", compression="tiff_lzw")
    grey = np.asarray(Image.fromarray(field).convert("L"))
    Image.fromarray(grey.astype(np.uint16) * 257).save(study / "deep.png")
    usual = read_task(GASTRIC.folder)
    own = {"tile": usual.tile, "patch_size": usual.patch_size, "border": usual.border}
    folder = dark_is_tumour(tmp_path / "student", **(tile or own))
    flags = ["--dataset_dir", str(study), "--output_dir", str(tmp_path / "masks")]
    run_without_kdseg(tmp_path, folder / "inference.json", flags)
    assert predict_files(load(folder), study, tmp_path / "ours").set_aside == []
    names = sorted(str(path.relative_to(tmp_path / "masks")) for path in (tmp_path / "masks").rglob("*.png"))
    assert names == ["0_mask.png", "1_mask.png", "2_mask.png", "3_mask.png", "deep_mask.png", "more/same_mask.png"]
    masks = {}
    for name in names:
        masks[name], ours = (np.asarray(Image.open(tmp_path / folder / name)) for folder in ("masks", "ours"))
        assert masks[name].shape == ours.shape and set(np.unique(ours)) == {0, 255}
        # Pillow rounds the luminance to 8 bits
        assert (masks[name] != ours).mean() < 0.005
    assert masks["1_mask.png"].shape == (111, 70)
    assert (masks["3_mask.png"] != masks["deep_mask.png"]).mean() < 0.005
    assert np.array_equal(masks["3_mask.png"], masks["more/same_mask.png"])


def test_slides_and_pictures_alike(work: Path, tmp_path: Path) -> None:
    study = Path(shutil.copytree(work / "mixed" / "images", tmp_path / "study"))
    (study / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\1" * 40)
    done = predict_files(load(dark_is_tumour(tmp_path / "student")), study, tmp_path / "masks")
    assert len(done.cases) == 8 and len(done.set_aside) == 1, "the broken one is set aside"
    agreement = []
    for number in range(1, 9):
        _, tumour = make_field(96, number)
        path = next((tmp_path / "masks").glob(f"field_{number:04d}_mask.*"))
        if path.suffix == ".png":
            mask = np.asarray(Image.open(path)) == 255
        else:
            image = nibabel.load(path)
            # nibabel's axes are those of MONAI: width first
            mask = np.asarray(image.dataobj).squeeze().T == 1
            assert image.header.get_zooms()[:2] == pytest.approx((0.0005, 0.0005))
        agreement.append(2 * (mask & tumour).sum() / (mask.sum() + tumour.sum()))
    assert min(agreement) > 0.5, "every kind of file, read the right way round"


def test_a_real_slide(shared_data: Path, work: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    study.mkdir()
    shutil.copy(shared_data / "dicom_seg" / "sm_image.dcm", study)
    assert predict_files(load(work / "alone"), study, tmp_path / "masks").set_aside == []
    mask = nibabel.load(tmp_path / "masks" / "sm_image_mask.nii.gz")
    assert mask.shape[:2] == (50, 50) and mask.header.get_zooms()[:2] == pytest.approx((0.000499, 0.000499))
    # the recipe's own tiles are 20 times larger than this slide, which is then continued by its reflection
    large = dark_is_tumour(tmp_path / "large", tile=1024, patch_size=[256, 256], border=96)
    assert predict_files(load(large), study, tmp_path / "of_large").set_aside == []
    assert nibabel.load(tmp_path / "of_large" / "sm_image_mask.nii.gz").shape[:2] == (50, 50)

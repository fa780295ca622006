"""The bundle as its users run it: every composition on tiny fields in PNG, TIFF and DICOM slide microscopy."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from monai.bundle import ConfigWorkflow, ckpt_export, onnx_export, run, verify_metadata, verify_net_in_out
from PIL import Image

from kdseg.configuration import bundle_folder, run_bundle
from kdseg.networks import FANet, MobileUNet
from kdseg.phantom import make_field, write_pathology_set
from tests.bundles.processes import run_in_two_processes
from tests.data.make_files import prepare_task

BUNDLE = bundle_folder("gastric_pathology")
CONFIGS = BUNDLE / "configs"
COMPOSITIONS = [
    (["train"], "train"),
    (["train", "train_teacher"], "train"),
    (["train", "distill"], "train"),
    (["train", "evaluate"], "train"),
    (["train", "train_teacher", "evaluate"], "train"),
    (["train", "multi_gpu_train"], "train"),
    (["train", "distill", "multi_gpu_train"], "train"),
    (["train", "distill", "semi_supervised"], "train"),
    (["inference"], "infer"),
    (["inference", "inference_dicom"], "infer"),
]
# tiles of 64 pixels reduced to 32
GRID: dict[str, Any] = {"tile": 64, "patch_size": [32, 32], "border": 4}
TINY: dict[str, Any] = {
    **GRID,
    "epochs": 2,
    "steps_per_epoch": 2,
    "val_interval": 1,
    "batch_size": 2,
    "mlflow": False,
    # FANet has one size, and it is a large one: see the test of its own
    "teacher_def#_target_": "kdseg.networks.UNet",
    "teacher_def#base_channels": 3,
}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with fields, their data list, a trained teacher and a student."""
    folder = tmp_path_factory.mktemp("gastric")
    write_pathology_set(folder / "data", count=8, unlabelled=2, size=96)
    prepare_task("gastric_pathology", folder / "data", folder / "list.json")
    run_bundle(BUNDLE, ["train", "train_teacher"], settings(folder, "teacher"))
    run_bundle(BUNDLE, ["train"], settings(folder, "alone"))
    return folder


def settings(work: Path, output: str, **changes: Any) -> dict[str, Any]:
    return {**TINY, "datalist": str(work / "list.json"), "output_dir": str(work / output), **changes}


def distill(work: Path, output: str, layers: tuple[str, ...] = (), **changes: Any) -> ConfigWorkflow:
    # the tiny teacher has no up3, which is FANet's
    own = {"method_args": {}, "teacher": str(work / "teacher" / "model.pt"), "paraphraser_steps": 2, "epochs": 1}
    return run_bundle(BUNDLE, ["train", "distill", *layers], settings(work, output, **{**own, **changes}))


@pytest.mark.parametrize(("layers", "kind"), COMPOSITIONS, ids=["+".join(layers) for layers, _ in COMPOSITIONS])
def test_every_composition_has_monais_properties(
    work: Path, layers: list[str], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}.items():
        monkeypatch.setenv(name, value)
    known = settings(work, "properties") if kind == "train" else {**GRID, "dataset_dir": str(work / "data" / "images")}
    if "distill" in layers:
        known |= {"teacher": str(work / "teacher" / "model.pt"), "method_args": {}}
    files = [str(CONFIGS / f"{layer}.json") for layer in layers]
    workflow = ConfigWorkflow(files, workflow_type=kind, logging_file=False, **known)
    # MONAI 1.6.1 evaluates the properties, so it wants the workflow initialised
    workflow.initialize()
    try:
        assert workflow.check_properties() == []
    finally:
        workflow.finalize()


def test_metadata(tmp_path: Path) -> None:
    schema = shutil.copy(Path(__file__).with_name("meta_schema.json"), tmp_path)
    verify_metadata(meta_file=str(CONFIGS / "metadata.json"), filepath=str(schema))
    metadata = json.loads((CONFIGS / "metadata.json").read_text())
    assert metadata["version"] in metadata["changelog"]


@pytest.mark.parametrize("config", ["train", "inference"])
def test_the_network_takes_and_gives_what_the_metadata_say(config: str) -> None:
    verify_net_in_out(
        net_id="network_def",
        meta_file=str(CONFIGS / "metadata.json"),
        config_file=str(CONFIGS / f"{config}.json"),
        device="cpu",
        n=2,
        any=64,
    )


def test_the_published_recipe() -> None:
    workflow = ConfigWorkflow(str(CONFIGS / "train.json"), logging_file=False)
    get = workflow.parser.get_parsed_content
    assert isinstance(get("network_def"), MobileUNet) and isinstance(get("teacher_def"), FANet)
    assert (get("batch_size"), get("epochs"), get("tile"), get("patch_size")) == (8, 200, 1024, [256, 256])
    optimizer, scheduler = get("optimizer"), get("lr_scheduler")
    assert isinstance(optimizer, torch.optim.Adam) and optimizer.param_groups[0]["weight_decay"] == 2e-4
    rates = {}
    for epoch in range(200):
        rates[epoch] = optimizer.param_groups[0]["lr"]
        optimizer.step()
        scheduler.step()
    for epoch, base in ((0, 3e-3), (49, 3e-3), (50, 3e-4), (99, 3e-4), (100, 3e-5), (150, 3e-6), (199, 3e-6)):
        assert rates[epoch] == pytest.approx(base * (1 - epoch / 200) ** 0.9, rel=1e-6)
    # cross-entropy alone
    logits, label = torch.randn(2, 2, 8, 8), torch.randint(2, (2, 1, 8, 8))
    assert get("loss")(logits, label) == pytest.approx(torch.nn.functional.cross_entropy(logits, label[:, 0]).item())


def test_tiles_are_reduced_in_training_and_fields_whole_in_validation(work: Path) -> None:
    workflow = ConfigWorkflow(str(CONFIGS / "train.json"), logging_file=False, **settings(work, "tiles"))
    workflow.initialize()
    batch = next(iter(workflow.parser.get_parsed_content("train#dataloader")))
    assert batch["image"].shape == batch["label"].shape == (2, 1, 32, 32)
    assert set(batch["label"].unique().tolist()) <= {0.0, 1.0} and 0 <= batch["image"].min() < batch["image"].max() <= 1
    case = workflow.parser.get_parsed_content("validate#dataset")[0]
    assert case["image"].shape == (1, 48, 48) and case["label"].shape == (1, 96, 96)


def test_the_student_alone_saves_itself_only(work: Path) -> None:
    saved = torch.load(work / "alone" / "model.pt", weights_only=True)
    assert set(saved) == set(MobileUNet(1, 2).state_dict())


@pytest.mark.parametrize("target", ["ENet", "ERFNet"])
def test_the_other_students(work: Path, target: str) -> None:
    run_bundle(
        BUNDLE, ["train"], settings(work, target, epochs=1, **{"network_def#_target_": f"kdseg.networks.{target}"})
    )
    assert (work / target / "model.pt").is_file()


@pytest.mark.parametrize("method", ["graph_flow", "coco", "kd"])
def test_distillation(work: Path, method: str) -> None:
    distill(work, method, method=method)
    saved = torch.load(work / method / "model.pt", weights_only=True)
    assert set(saved) == set(MobileUNet(1, 2).state_dict())


def test_graph_flow_takes_fanets_published_taps(work: Path) -> None:
    torch.manual_seed(0)
    torch.save(FANet(1, 2).state_dict(), work / "fanet.pt")
    fanet = {"teacher_def": {"_target_": "kdseg.networks.FANet", "in_channels": 1, "out_channels": 2}}
    known = {key: value for key, value in settings(work, "fanet").items() if not key.startswith("teacher_def")}
    files = [str(CONFIGS / f"{layer}.json") for layer in ("train", "distill")]
    workflow = ConfigWorkflow(files, logging_file=False, **known, **fanet, teacher=str(work / "fanet.pt"))
    workflow.initialize()
    distiller = workflow.parser.get_parsed_content("distiller")
    for term in ("vertices", "edges"):
        assert distiller.routes[term] == (["enc3", "dec3"], ["enc3", "up3"]) and distiller.terms[term].window == 3
    batch = next(iter(workflow.parser.get_parsed_content("train#dataloader")))
    _, values = distiller(batch["image"], distiller.teacher.taps(batch["image"]), batch["label"])
    assert all(torch.isfinite(value) for value in values.values()) and values["vertices"] > 0


def test_colour(work: Path) -> None:
    run_bundle(BUNDLE, ["train"], settings(work, "colour", epochs=1, colour=True))
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
    known = settings(work, "ignored", epochs=1, ignored=128) | {"datalist": str(tmp_path / "list.json")}
    workflow = run_bundle(BUNDLE, ["train"], known)
    metric = workflow.parser.get_parsed_content("validate#key_metric")["val_mean_iou"].metric_fn
    assert int(metric.get_buffer()[0, 0].sum()) == 16 * 64, "a quarter of the field counts"


def test_unlabelled_fields_join_the_training(work: Path) -> None:
    workflow = distill(work, "semi", ("semi_supervised",), method="kd", batch_size=4, labelled_cases=1)
    batch = next(iter(workflow.parser.get_parsed_content("train#dataloader")))
    assert (batch["label"] == 255).flatten(1).all(1).tolist() == [False, False, True, True]


def test_evaluation(work: Path) -> None:
    workflow = run_bundle(BUNDLE, ["train", "evaluate"], settings(work, "alone"))
    folder = work / "alone" / "evaluation_test"
    with (folder / "cases.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    tested = json.loads((work / "list.json").read_text())["test"]
    assert sorted(row["case"] for row in rows) == sorted(case["case"] for case in tested)
    whole = json.loads((folder / "summary.json").read_text())["whole_set"]
    counts = workflow.parser.get_parsed_content("validate#key_metric")["val_mean_iou"].metric_fn.get_buffer().sum(0)
    # all pixels of all fields, on the fields' own grid
    assert counts[0].sum() == len(tested) * 96 * 96
    assert whole["val_accuracy"] == pytest.approx(float((counts[:, 0].sum()) / counts[0].sum()))
    assert (folder / "overlays.png").stat().st_size > 1000


def test_ckpt_export(work: Path, tmp_path: Path) -> None:
    ckpt_export(
        net_id="network_def",
        filepath=str(tmp_path / "model.ts"),
        ckpt_file=str(work / "alone" / "model.pt"),
        meta_file=str(CONFIGS / "metadata.json"),
        config_file=str(CONFIGS / "inference.json"),
        key_in_ckpt="",
        use_trace=True,
        input_shape=[1, 1, 64, 64],
    )
    student = MobileUNet(1, 2).eval()
    student.load_state_dict(torch.load(work / "alone" / "model.pt", weights_only=True))
    image = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(torch.jit.load(tmp_path / "model.ts")(image), student(image))


def test_onnx_export(work: Path, tmp_path: Path) -> None:
    onnx_export(
        net_id="network_def",
        filepath=str(tmp_path / "model.onnx"),
        ckpt_file=str(work / "alone" / "model.pt"),
        meta_file=str(CONFIGS / "metadata.json"),
        config_file=str(CONFIGS / "inference.json"),
        key_in_ckpt="",
        use_trace=True,
        input_shape=[1, 1, 64, 64],
    )
    assert (tmp_path / "model.onnx").stat().st_size > 1_000_000


def dark_is_tumour(path: Path) -> Path:
    """A network that calls dark places tumour, as TorchScript: its masks can be told right or wrong."""
    network = torch.nn.Conv2d(1, 2, 5, padding=2)
    with torch.no_grad():
        network.weight[0], network.weight[1] = 0, -1 / 25
        network.bias[0], network.bias[1] = 0, 0.72
    torch.jit.trace(network, torch.zeros(1, 1, 32, 32)).save(str(path))
    return path


def with_dicom(folder: Path, study: Path, checkpoint: Path, **changes: Any) -> ConfigWorkflow:
    known = {**GRID, "dataset_dir": str(study), "output_dir": str(folder), "checkpoint": str(checkpoint), **changes}
    return run_bundle(BUNDLE, ["inference", "inference_dicom"], known, kind="infer")


def test_inference_needs_monai_alone_and_gives_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = tmp_path / "study"
    (study / "more").mkdir(parents=True)
    for number, (width, height) in enumerate([(96, 96), (70, 111), (160, 64)]):
        field = make_field(160, number)[0][:height, :width]
        Image.fromarray(field).save(study / f"{number}.png")
    Image.fromarray(field).save(study / "more" / "same.tif", compression="tiff_lzw")
    grey = np.asarray(Image.fromarray(field).convert("L"))
    Image.fromarray(grey.astype(np.uint16) * 257).save(study / "deep.png")
    network = dark_is_tumour(tmp_path / "dark.ts")
    with monkeypatch.context() as without_kdseg:
        # whoever imports it is told that there is none
        without_kdseg.setitem(sys.modules, "kdseg", None)
        known = {"dataset_dir": str(study), "output_dir": str(tmp_path / "masks"), "checkpoint": str(network)}
        run(config_file=str(CONFIGS / "inference.json"), **GRID, **known)
    with_dicom(tmp_path / "ours", study, network)
    names = sorted(str(path.relative_to(tmp_path / "masks")) for path in (tmp_path / "masks").rglob("*.png"))
    assert names == ["0_mask.png", "1_mask.png", "2_mask.png", "deep_mask.png", "more/same_mask.png"]
    masks = {}
    for name in names:
        masks[name], ours = (np.asarray(Image.open(tmp_path / folder / name)) for folder in ("masks", "ours"))
        assert masks[name].shape == ours.shape and set(np.unique(ours)) == {0, 255}
        # Pillow rounds the luminance to 8 bits
        assert (masks[name] != ours).mean() < 0.005
    assert masks["1_mask.png"].shape == (111, 70)
    assert (masks["2_mask.png"] != masks["deep_mask.png"]).mean() < 0.005
    assert np.array_equal(masks["2_mask.png"], masks["more/same_mask.png"])


def test_inference_on_slides_and_pictures_alike(work: Path, tmp_path: Path) -> None:
    network = dark_is_tumour(tmp_path / "dark.ts")
    study = Path(shutil.copytree(work / "data" / "images", tmp_path / "study"))
    (study / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\1" * 40)
    with pytest.raises(Exception, match="evaluat"):
        with_dicom(tmp_path / "masks", study, network)
    assert len(list((tmp_path / "masks").iterdir())) == 8, "the broken one is set aside"
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
    with_dicom(tmp_path / "masks", study, work / "alone" / "model.pt")
    mask = nibabel.load(tmp_path / "masks" / "sm_image_mask.nii.gz")
    assert mask.shape[:2] == (50, 50) and mask.header.get_zooms()[:2] == pytest.approx((0.000499, 0.000499))
    # the recipe's own tiles are 20 times larger than this slide, which is then continued by its reflection
    with_dicom(tmp_path / "large", study, work / "alone" / "model.pt", tile=1024, patch_size=[256, 256], border=96)
    assert nibabel.load(tmp_path / "large" / "sm_image_mask.nii.gz").shape[:2] == (50, 50)


def test_two_processes_train_as_one(work: Path) -> None:
    known = settings(work, "two", method="kd", method_args={}, teacher=str(work / "teacher" / "model.pt"), epochs=1)
    told = run_in_two_processes(BUNDLE, ["train", "distill", "multi_gpu_train"], known)
    assert (work / "two" / "model.pt").is_file() and told.count("epoch 1/1") == 1


def test_a_copy_of_the_bundle_is_complete(work: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(BUNDLE, tmp_path / "mine"))
    run_bundle(copy, ["train"], {**settings(work, "copied", epochs=1), "output_dir": str(tmp_path / "out")})
    assert (tmp_path / "out" / "model.pt").is_file()

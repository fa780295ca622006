"""Every bundle as its users run it: every composition on tiny cases, from the training to masks."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from ignite.engine import Events
from monai.bundle import ConfigWorkflow, ckpt_export, onnx_export, verify_metadata, verify_net_in_out
from monai.transforms import Compose
from PIL import Image

from kdseg.cli.main import main
from kdseg.configuration import compose_bundle, copy_bundle, run_bundle
from kdseg.data import load_datalist
from kdseg.deploy import evaluate, load, predict_files
from kdseg.errors import UserError, user_error_in
from kdseg.task import open_trained, read_task
from kdseg.transforms import LoadSoftLabeld
from tests.bundles.processes import run_in_two_processes, run_without_kdseg
from tests.bundles.tiny_bundles import BUNDLES, TinyBundle, for_monai
from tests.tasks import TEACHER

COMPOSITIONS = [
    ["train"],
    ["train", "train_teacher"],
    ["train", "distill"],
    ["train", "evaluate"],
    ["train", "train_teacher", "evaluate"],
    ["train", "multi_gpu_train"],
    ["train", "distill", "multi_gpu_train"],
    ["train", "distill", "semi_supervised"],
    ["train", "train_3d"],
    ["train", "train_3d", "distill"],
    ["train", "train_3d", "evaluate"],
]
WRITTEN = {"task.json", "model.pt", "model.ts", "history.json", "history.csv", "inference.json", "metadata.json"}
WRITTEN |= {"README.md", "picture.png", "training.pt"}
# on the way, for methods that warm something up
ASIDE = "paraphrasers_*.pt"


@pytest.fixture(scope="module", params=list(BUNDLES.values()), ids=list(BUNDLES))
def bundle(request: pytest.FixtureRequest) -> TinyBundle:
    return request.param


@pytest.fixture(scope="module")
def work(bundle: TinyBundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data and their list, a teacher, and a student that was distilled from it."""
    folder = tmp_path_factory.mktemp(bundle.name)
    bundle.prepare(folder)
    bundle.train_teacher(folder)
    bundle.distill(folder, "student")
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "model.pt", weights_only=True)


def written(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.is_file() and not path.match(ASIDE)}


def shape(folder: Path) -> list[int]:
    """Of an input of the network: small where it takes whole pictures."""
    task = read_task(folder)
    return [1, task.in_channels, *(task.patch_size or (32, 32))]


@pytest.mark.parametrize("layers", COMPOSITIONS, ids="+".join)
def test_every_composition_has_monais_properties(
    bundle: TinyBundle, work: Path, layers: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}.items():
        monkeypatch.setenv(name, value)
    if "train_3d" in layers and not bundle.volume:
        assert not (bundle.configs / "train_3d.json").exists()
        return
    known = bundle.settings(work, "properties")
    if "train_3d" in layers:
        known |= bundle.volume
    if "semi_supervised" in layers:
        known |= {"labelled_cases": 1}
    if "train_teacher" in layers:
        known = {key: value for key, value in known.items() if not key.startswith("network")}
    if "distill" in layers:
        known |= {**bundle.distillation, "teacher": str(work / "teacher"), "method": "kd"}
    files = [str(bundle.configs / f"{layer}.json") for layer in layers]
    workflow = ConfigWorkflow(files, workflow_type="train", logging_file=False, **for_monai(known, bundle.folder))
    # MONAI 1.6.1 evaluates the properties, so it wants the workflow initialised
    workflow.initialize()
    try:
        assert workflow.check_properties() == []
    finally:
        workflow.finalize()


@pytest.mark.parametrize("config", ["configs/inference.json", "inference.json"])
def test_the_inference_of_bundle_and_folder_has_them_too(bundle: TinyBundle, work: Path, config: str) -> None:
    root = bundle.folder if config.startswith("configs") else work / "student"
    known = {"dataset_dir": str(work / bundle.forms[0]), "checkpoint": str(work / "student" / "model.ts")}
    workflow = ConfigWorkflow(str(root / config), workflow_type="infer", logging_file=False, **known)
    workflow.initialize()
    assert workflow.check_properties() == []


def test_metadata_and_networks_fit(bundle: TinyBundle, work: Path, tmp_path: Path) -> None:
    schema = shutil.copy(Path(__file__).with_name("meta_schema.json"), tmp_path)
    for path in (bundle.configs / "metadata.json", work / "student" / "metadata.json"):
        verify_metadata(meta_file=str(path), filepath=str(schema))
        metadata = json.loads(path.read_text())
        assert metadata["version"] in metadata["changelog"]
    train, infer = bundle.configs / "train.json", bundle.configs / "inference.json"
    for config, own in (
        (train, {"bundle_root": str(bundle.folder)}),
        (infer, {"checkpoint": str(traced(bundle, tmp_path))}),
    ):
        known: dict[str, Any] = {"meta_file": str(bundle.configs / "metadata.json"), "config_file": str(config), **own}
        verify_net_in_out(net_id="network_def", device="cpu", n=2, any=32, **known)


def traced(bundle: TinyBundle, folder: Path) -> Path:
    """The bundle's network of its full size, untrained, as TorchScript."""
    from kdseg.task import network

    task = read_task(bundle.folder)
    script = torch.jit.trace(network(task).eval(), torch.zeros(1, task.in_channels, 64, 64))
    script.save(str(folder / "full.ts"))
    return folder / "full.ts"


def test_a_trained_folder_has_all_that_belongs_to_the_network(bundle: TinyBundle, work: Path) -> None:
    for name, role in (("teacher", "teacher"), ("student", "student_distilled")):
        folder = work / name
        assert written(folder) == WRITTEN
        trained = open_trained(folder)
        # the network alone: no adapter, no discriminator
        assert set(trained.network().state_dict()) == set(weights(folder))
        history = trained.history
        assert history["role"] == role and history["steps"] == 1 and history["task"] == bundle.name
        assert history["method"] == (bundle.method if name == "student" else "none")
        listed = json.loads((work / f"{bundle.forms[0]}.json").read_text())
        assert history["images_sha256"] == sorted({record["sha256"] for record in listed["training"]})
        # whom the images are of, and where they lie, is nobody's business
        text = (folder / "history.json").read_text() + (folder / "README.md").read_text()
        assert str(work) not in text and not [r["case"] for r in listed["training"] if f'"{r["case"]}"' in text]
    task = read_task(work / "student")
    for key, value in bundle.task.items():
        first, _, rest = key.partition("#")
        assert (getattr(task, first)[rest] if rest else getattr(task, first)) == value
    assert read_task(work / "teacher").network == TEACHER


def test_a_killed_training_goes_on_bit_for_bit(bundle: TinyBundle, work: Path) -> None:
    longer: dict[str, Any] = {"epochs": 2}
    bundle.distill(work, "whole", **longer)
    known = {"teacher": str(work / "teacher"), "method": bundle.method, "paraphraser_steps": 1, **bundle.distillation}
    settings = bundle.settings(work, "killed", **known, **longer)
    workflow = compose_bundle(bundle.folder, ["train", "distill"], settings)
    workflow.initialize()
    # after all others of the first epoch
    workflow.parser.get_parsed_content("train#trainer").add_event_handler(Events.EPOCH_COMPLETED(once=1), kill)
    with pytest.raises(KeyboardInterrupt):
        workflow.run()
    assert (work / "killed" / "training.pt").is_file() and not (work / "killed" / "README.md").exists()
    bundle.distill(work, "killed", **longer)
    first, second = weights(work / "whole"), weights(work / "killed")
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    whole, resumed = ((work / name / "history.csv").read_text() for name in ("whole", "killed"))
    assert whole == resumed and written(work / "killed") == WRITTEN
    state = [torch.load(work / name / "training.pt", weights_only=True) for name in ("whole", "killed")]
    assert same(*state)


def kill(*_: object) -> None:
    raise KeyboardInterrupt


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


def test_another_training_does_not_go_on_from_this_one(bundle: TinyBundle, work: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (work / "student").iterdir()}
    changes: list[dict[str, Any]] = [{"learning_rate": 0.5}, {"metrics": ["dice"]}, {"method": "at"}]
    for change in changes:
        with pytest.raises((UserError, RuntimeError)) as caught:
            bundle.distill(work, "student", **change)
        told = user_error_in(caught.value)
        assert told is not None and "other settings" in told.found, change
    # what it trains with stands in its folder, and not what was refused
    assert {path: path.stat().st_mtime_ns for path in (work / "student").iterdir()} == before


def test_the_same_training_goes_on_wherever_it_runs(bundle: TinyBundle, work: Path) -> None:
    moved = Path(shutil.copytree(work / "student", work / "moved"))
    where = {"num_workers": 1, "cache_dir": str(work / "cache")}
    workflow = bundle.distill(work, "moved", **where)
    assert workflow.parser.get_parsed_content("train#trainer").state.iteration == 1
    assert same(weights(moved), weights(work / "student"))


def test_evaluation_has_a_row_for_each_test_case(bundle: TinyBundle, work: Path, tmp_path: Path) -> None:
    datalist = work / f"{bundle.forms[0]}.json"
    summary, folder = evaluate(open_trained(work / "student"), datalist, mlflow=False)
    with (folder / "cases.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    tested = load_datalist(datalist, "test")
    assert sorted(row["case"] for row in rows) == sorted(record["case"] for record in tested)
    assert bundle.metrics <= set(rows[0]) and summary["cases"] == len(rows)
    assert (folder / "overlays.png").stat().st_size > 1000
    # the configuration of the bundle, by MONAI's command, measures the same
    bundle.run(["train", "evaluate"], work, "student", evaluation_dir=str(tmp_path))
    assert (tmp_path / "cases.csv").read_text() == (folder / "cases.csv").read_text()
    assert (tmp_path / "overlays.png").read_bytes() == (folder / "overlays.png").read_bytes()


def test_masks_of_every_file_and_bad_ones_are_set_aside(bundle: TinyBundle, work: Path, tmp_path: Path) -> None:
    study = Path(shutil.copytree(work / bundle.forms[0], tmp_path / "study"))
    first = predict_files(load(work / "student", frame="all"), study, tmp_path / "masks")
    assert first.set_aside == [] and len(first.cases) >= 4
    for case in first.cases:
        image, mask = Path(case["input"]), Path(case["output"])
        assert mask.is_file() and mask.parent.relative_to(tmp_path / "masks") == image.parent.relative_to(study)
    (study / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\1" * 40)
    second = predict_files(load(work / "student", frame="all"), study, tmp_path / "again")
    assert len(second.cases) == len(first.cases) and len(second.set_aside) == 1
    assert "broken.dcm" in second.set_aside[0] and "\n" not in second.set_aside[0]
    third = predict_files(load(work / "student", frame="all"), study, tmp_path / "masks")
    # what this student has done is not done again
    assert third.cases == [] and len(third.set_aside) == 1 and len(third.done_before) == len(first.cases)


def test_inference_needs_monai_alone(bundle: TinyBundle, work: Path, tmp_path: Path) -> None:
    study, folder = tmp_path / "study", Path(shutil.copytree(work / "student", tmp_path / "student"))
    write_plain(bundle, work, study)
    # where the folder lies now is told: it was written for where the training was
    flags = ["--bundle_root", str(folder), "--dataset_dir", str(study), "--output_dir", str(tmp_path / "plain")]
    run_without_kdseg(tmp_path, folder / "inference.json", flags)
    done = predict_files(load(folder), study, tmp_path / "ours")
    assert done.set_aside == []
    names = [Path(case["output"]).relative_to(tmp_path / "ours") for case in done.cases]
    assert sorted(path.relative_to(tmp_path / "plain") for path in files(tmp_path / "plain")) == sorted(names)
    for name in names:
        (plain, affine), (ours, other) = read(tmp_path / "plain" / name), read(tmp_path / "ours" / name)
        assert plain.dtype == ours.dtype == np.uint8 and np.allclose(affine, other)
        assert plain.shape == ours.shape and (plain != ours).mean() <= (0 if bundle.volume else 0.005), name


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    if path.suffix == ".png":
        return np.asarray(Image.open(path)), np.eye(4)
    image = nibabel.load(path)
    return np.asarray(image.dataobj), image.affine


def write_plain(bundle: TinyBundle, work: Path, folder: Path) -> None:
    """Files that MONAI reads too, one of them in a folder within."""
    (folder / "more").mkdir(parents=True)
    if bundle.volume:
        image = nibabel.load(next(path for path in sorted((work / "nifti").rglob("*.nii.gz")) if not is_label(path)))
        nibabel.save(image, folder / "7.nii.gz")
        # the same voxels at the same places, stored the other way round
        turned = image.as_reoriented(nibabel.io_orientation(np.diag([-1, 1, -1, 1]) @ image.affine))
        nibabel.save(turned, folder / "more" / "8.nii.gz")
        return
    for number, size in enumerate([(96, 96), (70, 111), (40, 24)]):
        picture = np.random.default_rng(number).integers(0, 256, size, dtype=np.uint8)
        Image.fromarray(picture).save(folder / f"{number}.png")
    Image.fromarray(picture.astype(np.uint16) * 257).save(folder / "more" / "deep.png")
    Image.fromarray(picture).save(folder / "more" / "same.tif", compression="tiff_lzw")


def is_label(path: Path) -> bool:
    return any(word in path.name.lower() for word in ("label", "segmentation"))


def test_monais_exports(bundle: TinyBundle, work: Path, tmp_path: Path) -> None:
    known: dict[str, Any] = {
        "net_id": "network_def",
        "ckpt_file": str(work / "student" / "model.pt"),
        "meta_file": str(bundle.configs / "metadata.json"),
        "config_file": str(bundle.configs / "train.json"),
        "key_in_ckpt": "",
        "use_trace": True,
        "input_shape": shape(work / "student"),
        "bundle_root": str(work / "student"),
    }
    onnx_export(filepath=str(tmp_path / "model.onnx"), **known)
    assert (tmp_path / "model.onnx").stat().st_size > 5_000
    ckpt_export(filepath=str(tmp_path / "model.ts"), **known)
    image = torch.rand(*known["input_shape"])
    network = open_trained(work / "student").network()
    with torch.no_grad():
        torch.testing.assert_close(torch.jit.load(tmp_path / "model.ts")(image), network(image))
        torch.testing.assert_close(torch.jit.load(work / "student" / "model.ts")(image), network(image))


def test_unlabelled_cases_join_the_training(bundle: TinyBundle, work: Path) -> None:
    known = {"method": "recommended", "labelled_cases": 1, "batch_size": 4}
    workflow = bundle.distill(work, "semi", "semi_supervised", **known)
    batch = next(iter(workflow.parser.get_parsed_content("train#dataloader")))
    assert (batch["label"] == 255).flatten(1).all(1).tolist() == [False, False, True, True]
    means = workflow.parser.get_parsed_content("train#trainer").state.term_means
    assert np.isfinite(means["supervised"]) and means["overlap"] > 0


def test_soft_labels_move_with_the_images(bundle: TinyBundle, work: Path) -> None:
    known = bundle.settings(work, "soft", teacher=str(work / "teacher"), soft_labels=str(work / "maps"), batch_size=8)
    known |= {**bundle.distillation, "method": "recommended", "labelled_cases": 1}
    layers = ["train", "distill", "semi_supervised"]
    workflow = run_bundle(bundle.folder, layers, known)
    parser = workflow.parser
    assert list(parser.get_parsed_content("distiller").terms) == ["logits", "overlap"]
    records = parser.get_parsed_content("train#dataset#data")
    assert all(Path(record["soft_labels"]).parent == work / "maps" for record in records)
    # in place of each map the label of the case, so that in a batch both have to lie on one another
    steps = parser.get_parsed_content("train#dataset").transform.flatten().transforms
    prepare = Compose(steps[: [type(step) for step in steps].index(LoadSoftLabeld)])
    for record in (record for record in records if "label" in record):
        whole = torch.as_tensor(prepare({key: record[key] for key in ("image", "label")})["label"]) == 1
        maps = np.load(record["soft_labels"])
        np.save(record["soft_labels"], np.broadcast_to(255 * whole.numpy().astype(np.uint8), maps.shape))
    batch = next(iter(parser.get_parsed_content("train#dataloader")))
    assert set(batch) == {"image", "label", "soft_labels"} and batch["soft_labels"].dtype == torch.float32
    label, soft = batch["label"][:4, :1] == 1, batch["soft_labels"][:4, :1]
    assert soft.shape == label.shape and soft.min() >= 0 and soft.max() <= 1
    assert ((soft > 0.5) != label).float().mean() < 0.03
    if label.float().mean() > 0.01:
        assert soft[label].mean() > 0.7 > 0.3 > soft[~label].mean()


def test_two_processes_train_as_one(bundle: TinyBundle, work: Path) -> None:
    known = bundle.settings(work, "two", teacher=str(work / "teacher"), method="kd", **bundle.distillation)
    told = run_in_two_processes(bundle.folder, ["train", "distill", "multi_gpu_train"], known)
    assert written(work / "two") == WRITTEN and told.count("epoch 1/1") == 1


def test_a_copy_of_the_bundle_is_complete(bundle: TinyBundle, work: Path, tmp_path: Path) -> None:
    copy = copy_bundle(bundle.name, tmp_path / "mine")
    known = bundle.settings(work, "copied", cache_dir=str(work / "copied_cache"))
    run_bundle(copy, ["train"], known | {"output_dir": str(tmp_path / "out")})
    assert written(tmp_path / "out") == WRITTEN and files(work / "copied_cache")
    with pytest.raises(UserError, match=r"no configs/distil\.json"):
        run_bundle(copy, ["train", "distil"], {})
    # with weights it is a student itself, for kdseg and for MONAI alone
    for name in ("model.pt", "model.ts"):
        shutil.copy(tmp_path / "out" / name, copy / "models")
    changes = [part for key, value in bundle.task.items() for part in ("--set", f"{key}={json.dumps(value)}")]
    assert main(["task", str(copy), *changes, "--out", str(copy)]) == 0
    write_plain(bundle, work, tmp_path / "study")
    assert predict_files(load(copy), tmp_path / "study", tmp_path / "masks").set_aside == []

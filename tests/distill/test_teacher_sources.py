"""Teachers from trained folders, bundles, TorchScript files, weights alone and several of them; what they have seen."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.transforms import Compose, NormalizeIntensityd, ScaleIntensityRanged
from torch import nn

from kdseg.data import content_hash
from kdseg.distill import Distiller, Teacher, held_out_cases
from kdseg.distill import load_teacher as load
from kdseg.distill.teachers.seen_cases import image_hashes
from kdseg.errors import UserError
from kdseg.networks import UNet
from kdseg.task import Task, prediction_transforms, validation_transforms
from tests.distill.contract import SmallNet
from tests.tasks import TEACHER, tiny_task, trained_folder

NETWORK = {"_target_": "kdseg.networks.UNet", "in_channels": 3, "out_channels": "@classes", "base_channels": 2}
IMAGE = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
STUDENT = tiny_task()


def load_teacher(source: Any, task: Task = STUDENT, network: Any = TEACHER, **settings: Any) -> Teacher:
    return load(source, task, network, **settings)


def checkpoint(folder: Path, seed: int = 0, classes: int = 1) -> tuple[Path, nn.Module]:
    """Weights alone."""
    torch.manual_seed(seed)
    network = UNet(out_channels=classes, base_channels=3).eval()
    folder.mkdir(exist_ok=True, parents=True)
    torch.save(network.state_dict(), folder / "model.pt")
    return folder / "model.pt", network


def bundle(folder: Path, config: str = "inference.json", **changes: Any) -> nn.Module:
    torch.manual_seed(0)
    network = UNet(in_channels=3, out_channels=2, base_channels=2).eval()
    scaling = {"_target_": "ScaleIntensityRanged", "keys": "image", "a_min": 0, "a_max": 255, "b_min": -1, "b_max": 1}
    content = {
        "imports": ["$import math"],
        "classes": "$int(math.sqrt(4))",
        "network_def": NETWORK,
        "preprocessing": {"_target_": "Compose", "transforms": [{"_target_": "LoadImaged", "keys": "image"}, scaling]},
        **changes,
    }
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    (folder / "configs" / config).write_text(json.dumps(content))
    torch.save(network.state_dict(), folder / "models" / "model.pt")
    return network


def test_weights_alone(tmp_path: Path) -> None:
    path, network = checkpoint(tmp_path)
    with torch.no_grad():
        torch.testing.assert_close(load_teacher(path)(IMAGE), network(IMAGE))
    with pytest.raises(UserError, match="its network too"):
        load_teacher(path, network=None)
    with pytest.raises(UserError, match="other shape"):
        load_teacher(path, network={**TEACHER, "base_channels": 5})


@pytest.mark.parametrize("source", [".", "model.pt"])
def test_a_trained_folder_brings_its_own_network(tmp_path: Path, source: str) -> None:
    network = trained_folder(tmp_path, tiny_task(network=TEACHER))
    # whatever the configuration says of weights alone
    teacher = load_teacher(tmp_path / source, network={"name": "enet"})
    teacher.record(["enc1", "dec1"])
    with torch.no_grad():
        torch.testing.assert_close(teacher(IMAGE), network(IMAGE))
    assert type(teacher.network) is UNet and {"enc1", "dec1"} <= set(teacher.taps(IMAGE))


def test_a_trained_folder_gets_its_own_scaling_channels_and_dimensions(tmp_path: Path) -> None:
    volume = tiny_task(kind="volume", patch_size=[16, 16], z_score=False, window=[-100, 100])
    teacher_task = volume.changed({"window": [-50, 150], "neighbours": 3, "network": TEACHER})
    network = trained_folder(tmp_path, teacher_task)
    student = volume.changed({"window": [-200, 200], "neighbours": 5})
    values = 300 * torch.rand(1, 5, 16, 16, generator=torch.Generator().manual_seed(0)) - 150
    teacher = load_teacher(tmp_path, student, preprocessing=prediction_transforms(student))
    with torch.no_grad():
        expected = network((values[:, 1:4].clip(-50, 150) + 50) / 200)
    torch.testing.assert_close(teacher((values + 200) / 400), expected, rtol=1e-4, atol=1e-4)
    narrow = student.changed({"window": [0, 10]})
    with pytest.raises(UserError, match="clipped"):
        load_teacher(tmp_path, narrow, preprocessing=prediction_transforms(narrow))


def test_a_trained_folder_with_other_preprocessing_is_refused(tmp_path: Path) -> None:
    trained_folder(tmp_path, tiny_task(network=TEACHER, clahe=True))
    with pytest.raises(UserError, match="ContrastLimited"):
        load_teacher(tmp_path, preprocessing=prediction_transforms(STUDENT))


def test_a_teacher_of_the_same_task_sees_what_the_student_sees(tmp_path: Path) -> None:
    """What the configuration gives is the transforms of validation, label and all."""
    (tmp_path / "list.json").write_text(json.dumps({"labels": {"0": "background", "1": "thing"}, "training": []}))
    trained_folder(tmp_path / "teacher", STUDENT.changed({"network": TEACHER}))
    known = Compose(validation_transforms(STUDENT, tmp_path / "list.json"))
    assert not load_teacher(tmp_path / "teacher", preprocessing=known).conversion.scales  # type: ignore[union-attr]


@pytest.mark.parametrize("config", ["inference.json", "train.json"])
def test_a_bundle_gets_its_own_scaling_and_channels(tmp_path: Path, config: str) -> None:
    network = bundle(tmp_path / "bundle", config)
    student = Compose([ScaleIntensityRanged("image", 0, 100, 0, 1)])
    teacher = load_teacher(tmp_path / "bundle", preprocessing=student)
    raw = 100 * IMAGE
    with torch.no_grad():
        expected = network(((raw / 255) * 2 - 1).repeat(1, 3, 1, 1))
    torch.testing.assert_close(teacher(raw / 100), expected, rtol=1e-4, atol=1e-4)


def test_a_bundle_with_another_statistic_is_refused(tmp_path: Path) -> None:
    bundle(tmp_path / "bundle")
    with pytest.raises(UserError, match="ScaleIntensityRanged"):
        load_teacher(tmp_path / "bundle", preprocessing=Compose([NormalizeIntensityd("image")]))


def test_another_voxel_size_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spacing = {"_target_": "Spacingd", "keys": "image", "pixdim": [2.0, 2.0]}
    bundle(tmp_path / "bundle", preprocessing={"_target_": "Compose", "transforms": [spacing]})
    with caplog.at_level(logging.WARNING):
        load_teacher(tmp_path / "bundle", preprocessing=Compose([]))
    assert "Spacingd" in caplog.text and "not converted" in caplog.text


def test_folders_that_are_no_whole_bundle_are_refused(tmp_path: Path) -> None:
    checkpoint(tmp_path / "out")
    with pytest.raises(UserError, match=r"model\.pt, the checkpoint in it"):
        load_teacher(tmp_path / "out")
    bundle(tmp_path / "a")
    (tmp_path / "a" / "models" / "model.pt").unlink()
    with pytest.raises(UserError, match=r"no models/model\.pt"):
        load_teacher(tmp_path / "a")
    bundle(tmp_path / "b", network_def={"_target_": "no_such_package.Network"})
    with pytest.raises(UserError, match="network_def, which fails"):
        load_teacher(tmp_path / "b")


def test_torchscript_gives_logits_only(tmp_path: Path) -> None:
    network = SmallNet(in_channels=3).eval()
    torch.jit.save(torch.jit.trace(network, torch.zeros(1, 3, 16, 16)), tmp_path / "model.ts")
    teacher = load_teacher(tmp_path / "model.ts")
    with torch.no_grad():
        torch.testing.assert_close(teacher(IMAGE), network(IMAGE.repeat(1, 3, 1, 1)))
    distiller = Distiller(SmallNet(), teacher, "kd", head="sigmoid", probe_shape=(1, 1, 16, 16))
    assert distiller(IMAGE, teacher.taps(IMAGE))[1]["logits"].isfinite()
    with pytest.raises(UserError, match="a TorchScript file, which gives logits only"):
        teacher.record(["enc1", "logits"])
    with pytest.raises(UserError, match=r"TorchScript|image, logits"):
        Distiller(SmallNet(), teacher, "lightvessel", head="sigmoid", probe_shape=(1, 1, 16, 16))


@pytest.mark.parametrize("as_glob", [True, False])
def test_several_checkpoints_are_an_ensemble(tmp_path: Path, as_glob: bool) -> None:
    paths, networks = zip(*(checkpoint(tmp_path / f"fold{fold}", fold) for fold in range(3)), strict=True)
    source = str(tmp_path / "fold*" / "model.pt") if as_glob else list(paths)
    teacher = load_teacher(source)
    with torch.no_grad():
        expected = torch.stack([network(IMAGE).sigmoid() for network in networks]).mean(0)
    torch.testing.assert_close(teacher(IMAGE).sigmoid(), expected)
    assert not any(module.training for module in teacher.train().modules())
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    with pytest.raises(UserError, match="an ensemble, which gives logits only"):
        teacher.require(["enc{level}"])


def test_missing_and_repeated_files_are_refused(tmp_path: Path) -> None:
    path, _ = checkpoint(tmp_path)
    with pytest.raises(UserError, match="no such file"):
        load_teacher(str(tmp_path / "fold*" / "model.pt"))
    with pytest.raises(UserError, match="the same file twice"):
        load_teacher([path, path])


def test_the_score_is_measured_through_the_class_map(tmp_path: Path) -> None:
    """The evaluator calls the teacher like a network: it must get the student's classes, and the distiller too."""
    teacher_task = tiny_task(head="softmax", classes=["a", "b", "c"], network=TEACHER)
    network = trained_folder(tmp_path, teacher_task)
    class_map = {"0": 0, "1": 1, "2": 1, "3": 0}
    teacher = load_teacher(tmp_path, tiny_task(head="softmax"), class_map=class_map, precision="float32")
    with torch.no_grad():
        p = network(IMAGE).softmax(1)
    expected = torch.stack([p[:, 0] + p[:, 3], p[:, 1] + p[:, 2]], 1)
    torch.testing.assert_close(teacher(IMAGE).softmax(1), expected)
    torch.testing.assert_close(teacher.taps(IMAGE)["logits"].softmax(1), expected)
    Distiller(SmallNet(classes=2), teacher, "kd", head="softmax", probe_shape=(1, 1, 16, 16))


def test_another_kind_of_head_needs_a_class_map(tmp_path: Path) -> None:
    network = trained_folder(tmp_path, tiny_task(head="softmax", network=TEACHER))
    with pytest.raises(UserError, match="class_map"):
        load_teacher(tmp_path, teacher_head="softmax")
    teacher = load_teacher(tmp_path, teacher_head="softmax", class_map={"1": 0})
    with torch.no_grad():
        torch.testing.assert_close(teacher(IMAGE).sigmoid(), network(IMAGE).softmax(1)[:, 1:])


@pytest.fixture
def datalist(tmp_path: Path) -> Path:
    """Four cases, one each for validation and test; the list has no hashes of its own for half of them."""
    sections: dict[str, list[dict[str, Any]]] = {"training": [], "validation": [], "test": []}
    for number, section in enumerate(["training", "training", "validation", "test"]):
        image = tmp_path / f"{number}.png"
        image.write_text(f"picture {number}")
        record = {"image": image.name, "label": image.name, "case": f"case{number}", "fold": number}
        sections[section].append(record | ({"sha256": content_hash(image)} if number % 2 else {}))
    path = tmp_path / "list.json"
    path.write_text(json.dumps(sections))
    return path


def trained_on(folder: Path, datalist: Path, *cases: int) -> Path:
    records = [{"image": str(datalist.parent / f"{number}.png")} for number in cases]
    trained_folder(folder, tiny_task(network=TEACHER), images_sha256=image_hashes(records))
    return folder


@pytest.mark.parametrize("seen", [2, 3])
def test_a_teacher_that_has_seen_held_out_cases_is_refused(tmp_path: Path, datalist: Path, seen: int) -> None:
    good = trained_on(tmp_path / "good", datalist, 0, 1)
    bad = trained_on(tmp_path / "bad", datalist, 0, seen)
    load_teacher(good, held_out=held_out_cases(datalist))
    with pytest.raises(UserError, match=f"1 of the 2 validation and test cases of this list \\(case{seen}\\)"):
        load_teacher(bad, held_out=held_out_cases(datalist))
    with pytest.raises(UserError, match=r"only .*good"):
        load_teacher([good, bad], held_out=held_out_cases(datalist))


def test_the_fold_decides_what_is_held_out(tmp_path: Path, datalist: Path) -> None:
    path = trained_on(tmp_path / "fold0", datalist, 1, 2)
    load_teacher(path, held_out=held_out_cases(datalist, fold=0))
    with pytest.raises(UserError, match="case1"):
        load_teacher(path, held_out=held_out_cases(datalist, fold=1))


def test_without_a_record_one_warning_tells_so(
    tmp_path: Path, datalist: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paths = [checkpoint(tmp_path / f"fold{fold}", fold)[0] for fold in range(2)]
    with caplog.at_level(logging.WARNING):
        load_teacher(paths, held_out=held_out_cases(datalist))
    assert len(caplog.records) == 1 and "it cannot be checked" in caplog.text


def test_an_unreadable_record_is_refused(tmp_path: Path, datalist: Path) -> None:
    trained_folder(tmp_path / "out", tiny_task(network=TEACHER))
    (tmp_path / "out" / "history.json").write_text("[]")
    with pytest.raises(UserError, match="no readable record"):
        load_teacher(tmp_path / "out", held_out=held_out_cases(datalist))

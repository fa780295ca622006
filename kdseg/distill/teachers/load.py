"""The teacher that the configuration names: one checkpoint, a bundle, a TorchScript file, or several as an ensemble."""

from __future__ import annotations

import glob
import logging
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from kdseg.distill.precision import Precision, wants_bfloat16
from kdseg.distill.teacher import Teacher
from kdseg.distill.teachers.bundle import read_bundle
from kdseg.distill.teachers.calibration import Tempered
from kdseg.distill.teachers.class_map import ClassMap
from kdseg.distill.teachers.cross_fit import CrossFitTeacher, cross_fit_members, seen_images
from kdseg.distill.teachers.ensemble import ProbabilityMean
from kdseg.distill.teachers.input import InputConversion, input_layer
from kdseg.distill.teachers.scaling import Scaling, scaling_of
from kdseg.distill.teachers.seen_cases import check_unseen
from kdseg.errors import UserError
from kdseg.losses.labels import Head
from kdseg.networks.weights import load_weights
from kdseg.task import Task, is_trained, open_trained, prediction_transforms
from kdseg.task import network as task_network

__all__ = ["is_torchscript", "load_teacher"]

logger = logging.getLogger(__name__)

# transforms whose difference changes the size or the orientation of what the teacher sees
_GEOMETRY = {"Spacingd": ("spacing_transform", "pixdim"), "Orientationd": ("ornt_transform", "axcodes")}


def load_teacher(
    source: str | Path | Sequence[str | Path],
    task: Task,
    network: Mapping[str, Any] | None = None,
    *,
    taps: Mapping[str, str] | None = None,
    teacher_head: Head | None = None,
    class_map: Mapping[str | int, int] | None = None,
    preprocessing: Any = None,
    held_out: Sequence[Mapping[str, Any]] = (),
    device: torch.device | str = "cpu",
    precision: Precision = "auto",
) -> Teacher:
    """A teacher from files, made to fit the student's input and classes.

    Args:
        source: the folder of a training, or the weights in it; the folder of a MONAI bundle; a TorchScript file (logits
            only); a file of weights alone, for ``network``; or several of these, as a list or a glob ("out/fold*"),
            whose mean of probabilities teaches (logits only); the folder of a cross-fit, see
            :class:`~kdseg.distill.teachers.CrossFitTeacher`.
        task: of the student.
        network: the architecture of weights alone, {"name": …} (``teacher_def``); all others bring their own.
        taps: named taps of the user's, see :func:`kdseg.distill.tap_paths`.
        teacher_head: of the teacher, where it differs from the student's.
        class_map: teacher class → student class, see :class:`~kdseg.distill.teachers.ClassMap`.
        preprocessing: the student's transforms; the teacher's own intensity scaling is computed from theirs.
        held_out: validation and test records; a teacher that was trained on one of them is refused.
        device: where the teacher goes.
        precision: of its taps: "float32", "bfloat16", or "auto": bfloat16 where the device has instructions for it.

    Raises:
        UserError: when there is no such file, when weights do not fit, when a scaling cannot be converted, when a
            teacher has seen held-out cases, and for a wrong class map or
            precision.
    """
    paths = _files(source)
    cross_fit = cross_fit_members(paths[0]) if len(paths) == 1 else []
    paths = [path for path, _ in cross_fit] or paths
    check_unseen(paths, held_out)
    # the first weights, which are not kept, draw no random numbers of the training
    with torch.random.fork_rng(devices=[]):
        members = [_one(path, task, network, taps, preprocessing) for path in paths]
    head: Head = task.head
    kind = teacher_head or head
    if class_map is None and kind != head:
        fix = "give class_map, for instance {\"1\": 0} where the teacher's class 1 is the student's only channel"
        raise UserError("teacher_head", found=f"{kind} for a {head} student", expected="a class_map too", fix=fix)
    mapped = ClassMap(class_map, task.out_channels, head, kind) if class_map is not None else None
    teacher: Teacher
    if cross_fit:
        logger.info(f"teacher: {len(members)} networks, of each image those that were not trained on it")
        tempered = [Tempered(member, degree) for member, (_, degree) in zip(members, cross_fit, strict=True)]
        teacher = CrossFitTeacher(tempered, [seen_images(path) for path in paths], kind, mapped)
    elif len(members) == 1:
        teacher = members[0]
        teacher.class_map = mapped
    else:
        logger.info(f"teacher: the mean of {len(members)} networks")
        teacher = Teacher(ProbabilityMean(members, kind), class_map=mapped, only_logits="an ensemble")
    teacher.in_bfloat16 = wants_bfloat16(precision, device)
    if teacher.in_bfloat16:
        logger.info("teacher: computes in bfloat16")
    return teacher.to(device)


def _files(source: str | Path | Sequence[str | Path]) -> list[Path]:
    given = [source] if isinstance(source, (str, Path)) else list(source)
    paths: list[Path] = []
    for name in map(str, given):
        found = [name] if Path(name).exists() else sorted(glob.glob(name, recursive=True))  # noqa: PTH207 (absolute too)
        if not found:
            fix = "check the path; train a teacher with 'kdseg train --teacher-network'"
            raise UserError(
                f"teacher {name}", found="no such file", expected="a checkpoint, bundle or TorchScript file", fix=fix
            )
        paths.extend(map(Path, found))
    if len(set(paths)) != len(paths) or not paths:
        found_what = "the same file twice" if paths else "an empty list"
        raise UserError("teacher", found=found_what, expected="files, each once", fix="correct the list")
    return paths


def _one(
    path: Path, task: Task, network: Mapping[str, Any] | None, taps: Mapping[str, str] | None, preprocessing: Any
) -> Teacher:
    if is_trained(path) and not is_torchscript(path):
        trained = open_trained(path)
        own = prediction_transforms(trained.task)
        return _teacher(trained.network(), taps, path, preprocessing, own, task.in_channels)
    if path.is_dir():
        bundle = read_bundle(path)
        return _teacher(bundle.network, taps, path, preprocessing, bundle.preprocessing, task.in_channels)
    if is_torchscript(path):
        script = _load_script(path)
        conversion = InputConversion(*input_layer(script))
        return Teacher(script, None, conversion, only_logits="a TorchScript file")
    if network is None:
        fix = "give the network that it was saved from (teacher_def in the configuration)"
        raise UserError(f"teacher {path}", found="a checkpoint alone", expected="its network too", fix=fix)
    made = load_weights(task_network(task.changed({"network": network})), path, "teacher checkpoint")
    return Teacher(made, taps, InputConversion(*input_layer(made)))


def _teacher(
    network: nn.Module,
    taps: Mapping[str, str] | None,
    path: Path,
    student: Any,
    own: Any,
    channels: int,
) -> Teacher:
    """A teacher that brings its own pre-processing along."""
    scalings: tuple[Scaling, ...] = ()
    if own is not None and student is not None:
        scalings = (scaling_of(student, channels), scaling_of(own, channels))
        _warn_of_geometry(path, student, own)
    return Teacher(network, taps, InputConversion(*input_layer(network), *scalings))


def is_torchscript(path: str | Path) -> bool:
    """Whether a file is TorchScript: weights are zip archives too, but only TorchScript has code in it."""
    if not Path(path).is_file() or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any("/code/" in name for name in archive.namelist())


def _load_script(path: Path) -> nn.Module:
    try:
        return torch.jit.load(str(path), map_location="cpu")
    except (RuntimeError, ValueError) as error:
        found = f"a TorchScript file that cannot be loaded ({str(error).splitlines()[0]})"
        fix = "export it again with torch.jit.script or torch.jit.trace and torch.jit.save"
        raise UserError(f"teacher {path}", found=found, expected="a TorchScript network", fix=fix) from error


def _warn_of_geometry(path: Path, student: Any, teacher: Any) -> None:
    """Voxel size and orientation are not converted: the taps would no longer lie on the student's voxels."""
    own, other = (_geometry(transforms) for transforms in (student, teacher))
    for name in sorted(own.keys() | other.keys()):
        if own.get(name) != other.get(name):
            logger.warning(
                f"teacher {path}: {name} {other.get(name, 'is not in its pre-processing')}, for the student "
                f"{own.get(name, 'none')}: not converted, so give the student the same (see the teacher's score)"
            )


def _geometry(preprocessing: Any) -> dict[str, str]:
    found = {}
    for transform in getattr(preprocessing, "transforms", ()):
        name = type(transform).__name__
        if name in _GEOMETRY:
            inner, setting = _GEOMETRY[name]
            found[name] = str(getattr(getattr(transform, inner, None), setting, ""))
    return found

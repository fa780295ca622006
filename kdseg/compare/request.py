"""What a comparison is asked for: students, methods, seeds, folds and budget, every name checked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kdseg.compare.ablation import subsets
from kdseg.distill import METHODS
from kdseg.errors import UserError, suggestion
from kdseg.handlers.provenance import without_folder
from kdseg.networks import NETWORKS
from kdseg.settings import parse_setting

__all__ = ["ALONE", "TEACHER", "Arm", "CompareRequest"]

ALONE = "alone"
TEACHER = "teacher"
UNLABELLED = "+unlabelled"

# what the comparison itself decides, so that its arms differ in nothing else
FIXED = ("datalist", "fold", "output_dir", "seed", "method", "teacher", "resume", "role", "network")


@dataclass(frozen=True)
class Arm:
    """One way to train a student."""

    # "alone", a method's name, with "+unlabelled" when half of each batch has no labels, with the terms in
    # brackets when it is part of an ablation
    name: str
    method: str | None = None  # name of the method; None for the student alone
    unlabelled: bool = False  # whether unlabelled images join the training
    method_args: Mapping[str, Any] = field(default_factory=dict)  # changes to the method's terms


@dataclass(frozen=True)
class CompareRequest:
    """The arguments of ``kdseg compare``.

    Raises:
        UserError: for unknown or repeated names, numbers below 1, and settings that would make the arms unequal.
    """

    bundle: Path  # folder of the bundle
    datalist: Path  # the data list
    out: Path  # folder for everything
    methods: tuple[str, ...] = ()  # names of methods, also with "+unlabelled" behind them
    students: tuple[str, ...] = ()  # names of networks; none: the bundle's own student
    seeds: int = 1  # how many; 0, 1, …
    folds: int | None = None  # how many of the list's folds; None: the list as it is
    semi: tuple[int, ...] = ()  # numbers of labelled patients; each is a comparison of its own, in out/labelled_N
    # steps of each training, or minutes ("30m"); None: as long as the bundle's configuration says
    budget: str | None = None
    # files of a teacher that was trained before, "{fold}" stands for the fold; none: it is trained here
    teacher: tuple[str, ...] = ()
    ablate: tuple[str, ...] = ()  # methods whose terms are tried in parts
    tune: int = 0  # trials of each arm's search
    device: str | None = None  # "cpu", "cuda", …; None: as the bundle's configuration says
    settings: tuple[str, ...] = ()  # texts KEY=VALUE for all trainings, ARM:KEY=VALUE for one arm
    labelled: int | None = None  # patients whose labels are kept; None: all

    def __post_init__(self) -> None:
        for name in self.methods:
            _known("--methods", name.removesuffix(UNLABELLED), METHODS)
        for name in self.students:
            _known("--students", name, NETWORKS)
        for name in self.ablate:
            _known("--ablate", name, METHODS)
        for option, names in {"methods": self.methods, "students": self.students, "ablate": self.ablate}.items():
            twice = {name for name in names if names.count(name) > 1}
            if twice:
                found = f"{', '.join(sorted(twice))} twice"
                raise UserError(f"--{option}", found=found, expected="each name once", fix="leave one out")
        if not self.methods and not self.ablate:
            fix = "name some, for instance --methods kd,lightvessel"
            raise UserError("--methods", found="none", expected="one method or more", fix=fix)
        if self.tune < 0:
            raise UserError("--tune", found=str(self.tune), expected="a number of trials", fix="for instance --tune 20")
        numbers = [("seeds", self.seeds), ("folds", self.folds or 1), *(("semi", number) for number in self.semi)]
        for option, number in numbers:
            if number < 1:
                raise UserError(f"--{option}", found=str(number), expected="1 or more", fix="give a larger number")
        if self.semi and self.teacher:
            fix = "leave --teacher out: each number of labels has a teacher of its own"
            found = "a teacher that may have seen all labels"
            raise UserError("--semi with --teacher", found=found, expected="one of the two", fix=fix)
        if self.budget is not None and not re.fullmatch(r"[1-9]\d*|\d+(\.\d+)?m", self.budget):
            expected = "a number of steps, or of minutes with an m behind it"
            raise UserError("--budget", found=repr(self.budget), expected=expected, fix="for instance 1500 or 30m")
        self._check_settings()

    def _check_settings(self) -> None:
        for arm in (None, TEACHER, *(arm.name for arm in self.arms)):
            refused = {*FIXED, "patience"}
            if arm is None:
                refused |= {"epochs"} if self.budget is not None else set()
                # the bundle's own student may be changed for all arms; one that is chosen by name is as it is
                refused -= set() if self.students else {"network"}
            elif arm == TEACHER:
                # the one training that may be longer: no gain is measured against the teacher's budget
                refused -= {"patience", "seed"}
            else:
                refused |= {"epochs", "steps_per_epoch", "val_interval"}
            for key in self.settings_of(arm):
                if re.split("#|::", key)[0] in refused:
                    fix = "use the command's own options, --budget or --students for instance"
                    expected = "a setting that leaves the arms comparable"
                    raise UserError("--set", found=repr(key), expected=expected, fix=fix)

    @property
    def arms(self) -> list[Arm]:
        """The student alone and all others, in the order of the report."""
        arms = [Arm(ALONE)]
        for name in self.methods:
            method = name.removesuffix(UNLABELLED)
            arms.append(Arm(name, method, unlabelled=name != method))
        for method in self.ablate:
            arms += [Arm(f"{method}[{'+'.join(terms)}]", method, method_args=args) for terms, args in subsets(method)]
        return arms

    def settings_of(self, arm: str | None) -> dict[str, Any]:
        """The settings given for one arm, or for all of them (None)."""
        names = [TEACHER, *(arm.name for arm in self.arms)]
        found: dict[str, Any] = {}
        for text in self.settings:
            prefix, mark, rest = text.partition("=")[0].partition(":")
            owner = prefix if mark and prefix in names and not rest.startswith(":") else None
            if owner == arm:
                key, value = parse_setting(text if owner is None else text[len(owner) + 1 :])
                found[key] = value
        return found

    @property
    def parts(self) -> list[CompareRequest]:
        """This comparison, and one for each number of labelled patients.

        With few labels every method comes twice: on the labelled images alone, and with the others beside them.
        """
        both = tuple(dict.fromkeys(name for one in self.methods for name in (one, _with_unlabelled(one))))
        return [
            replace(self, semi=()),
            *(
                replace(self, semi=(), labelled=number, methods=both, ablate=(), out=self.out / f"labelled_{number}")
                for number in self.semi
            ),
        ]

    def described(self) -> dict[str, Any]:
        """For ``comparison.json``: plain values, and no folders of this machine."""
        return {
            "bundle": self.bundle.name,
            "methods": [arm.name for arm in self.arms if arm.method is not None],
            "seeds": self.seeds,
            "folds": self.folds,
            "labelled": self.labelled,
            "budget": self.budget,
            "teacher": [Path(name).name for name in self.teacher],
            "settings": [without_folder(text) for text in self.settings],
            "tune": self.tune,
        }


def _with_unlabelled(method: str) -> str:
    return method if method.endswith(UNLABELLED) else method + UNLABELLED


def _known(option: str, name: str, names: Mapping[str, Any] | Sequence[str]) -> None:
    if name not in names:
        expected = f"one of {', '.join(names)}"
        raise UserError(option, found=repr(name), expected=expected, fix=suggestion(name, list(names)))

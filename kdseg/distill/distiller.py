"""The distiller: student and terms in one forward, the teacher outside of the module tree."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from kdseg.distill.build import Balance, build_method
from kdseg.distill.checked_terms import make_loss
from kdseg.distill.soft_labels import soft_logits
from kdseg.distill.taps import BEFORE, IMAGE, LOGITS, TapRecorder, tap_paths
from kdseg.distill.teacher import Teacher
from kdseg.distill.teachers.cross_fit import CrossFitTeacher
from kdseg.distill.terms import Method, Term, expand_taps
from kdseg.errors import UserError
from kdseg.losses import AdversarialLoss, DistillationLoss
from kdseg.losses.labels import Head
from kdseg.networks.paraphraser import Paraphraser

__all__ = ["Distiller"]

logger = logging.getLogger(__name__)


class Distiller(nn.Module):
    """Student, adapters and loss terms in one forward (so that one DDP or compile wrapper covers them).

    A probe forward at construction shows the shapes of all taps; the terms make their adapters and discriminators from
    them. The teacher is not a submodule: it gets no ``.train()``, no optimiser, and no place in a state dict.

    Args:
        student: the network to train; it is what gets saved, see ``student`` and ``student_weights``.
        teacher: the frozen :class:`~kdseg.distill.Teacher`, or a plain network that is then wrapped.
        method: name of a method, or the user's own terms; see :func:`~kdseg.distill.build_method`.
        method_args: changes to the method's terms.
        head: "softmax" or "sigmoid".
        probe_shape: shape ``BCH[WD]`` of an input that both networks accept, for instance a training batch of one crop.
        student_taps: tap name → module path for the student, where it is not known or to be changed.
        balance: "gradient" or "paper", see :func:`~kdseg.distill.build_method`. Weights start as the paper's;
            :class:`kdseg.handlers.TermWeights` finds those that are a share of the supervised gradient.
        soft_labels: the batches bring the teacher's maps along (:class:`~kdseg.distill.SoftLabels`), so that the
            teacher itself is not asked; there are logits only then.

    Raises:
        UserError: for unknown methods, terms, settings or taps (optional terms are left out instead), when the two
            networks disagree on the classes, and when the probe does not pass through a network.

    Example:
        >>> from kdseg.networks import UNet
        >>> distiller = Distiller(UNet(base_channels=2), UNet(base_channels=4), "kd", head="sigmoid",
        ...                       probe_shape=(1, 1, 16, 16))
        >>> image = torch.zeros(2, 1, 16, 16)
        >>> logits, terms = distiller(image, distiller.teacher.taps(image))
        >>> sorted(terms)
        ['logits']
    """

    teacher: Teacher

    def __init__(
        self,
        student: nn.Module,
        teacher: Teacher | nn.Module,
        method: str | Mapping[str, Any],
        method_args: Mapping[str, Mapping[str, Any]] | None = None,
        head: Head = "softmax",
        probe_shape: Sequence[int] = (1, 1, 64, 64),
        student_taps: Mapping[str, str] | None = None,
        balance: Balance = "gradient",
        soft_labels: bool = False,
    ) -> None:
        super().__init__()
        self.method: Method = build_method(method, method_args, balance)
        teacher = teacher if isinstance(teacher, Teacher) else Teacher(teacher)
        # around nn.Module's bookkeeping on purpose, see the class's docstring
        object.__setattr__(self, "teacher", teacher)
        self.head: Head = head
        self.soft_labels = soft_labels
        if isinstance(teacher, CrossFitTeacher) and not soft_labels:
            fix = "set soft_labels to a folder for them"
            raise UserError("teacher", found="a cross-fit", expected="soft labels of it", fix=fix)
        if soft_labels:
            teacher.only_logits = teacher.only_logits or "soft labels that were made before"
        has_s = [*tap_paths(student, student_taps), LOGITS, IMAGE]
        has_t = [*([] if teacher.only_logits else tap_paths(teacher.network, teacher.named_taps)), LOGITS, IMAGE]
        self.method = _possible(self.method, has_s, has_t)
        teacher.require(tap for term in self.method.terms.values() for tap in (term.teacher_taps or term.taps))
        self.routes = {name: expand_taps(term, has_s, has_t) for name, term in self.method.terms.items()}
        teacher.record(tap for _, taps in self.routes.values() for tap in taps)
        self.recorder = TapRecorder(student, (tap for taps, _ in self.routes.values() for tap in taps), student_taps)
        self.terms = nn.ModuleDict({name: make_loss(term, head) for name, term in self.method.terms.items()})
        self.weights = {name: term.weight for name, term in self.method.terms.items()}
        self.pending: dict[str, tuple[list[Tensor], list[Tensor], Tensor | None]] = {}
        self._build(probe_shape)

    def _build(self, probe_shape: Sequence[int]) -> None:
        student = self.student
        device = next(student.parameters()).device
        self.teacher.to(device)
        mode = student.training
        probe = torch.zeros(tuple(probe_shape), device=device)
        try:
            # eval mode: the probe leaves no trace in batch statistics
            self.recorder.eval()
            with torch.no_grad():
                logits, taps_s = self.recorder(probe)
            taps_t = self.teacher.taps(probe)
        except RuntimeError as error:
            where, found = "probe_shape", f"{tuple(probe_shape)}, which does not pass through both networks ({error})"
            fix = "give the shape of a training batch, with the channels that the networks take"
            raise UserError(where, found=found, expected="a shape BCH[WD] that fits", fix=fix) from error
        finally:
            self.recorder.train(mode)
        if logits.shape[1] != taps_t[LOGITS].shape[1]:
            raise UserError(
                "student and teacher",
                found=f"{logits.shape[1]} and {taps_t[LOGITS].shape[1]} output channels",
                expected="the same classes",
                fix="give both networks the same out_channels",
            )
        paths = tap_paths(self.teacher.network, self.teacher.named_taps)
        modules = {path: module for path, module in self.teacher.network.named_modules() if path}
        for name, term in self._terms():
            route_s, route_t = self.routes[name]
            # before its activation a tap still is of its stage, whose last normalisation makes it
            term.see_teacher([modules.get(paths.get(tap.removesuffix(BEFORE), "")) for tap in route_t])
            term.build([taps_s[tap] for tap in route_s], [taps_t[tap] for tap in route_t])
            term.to(device)
        self._share_paraphrasers()
        for _, adversary in self.adversaries():
            # switched on for its own step alone: the student's optimiser and a DDP wrapper then pass it over
            adversary.discriminator.requires_grad_(False)

    def _share_paraphrasers(self) -> None:
        """Terms that bring the same tap of the teacher to the same width do it with one paraphraser, and so once."""
        known: dict[tuple[str, int, int], Paraphraser] = {}
        for name, term in self._terms():
            own = getattr(term, "paraphrasers", None) or nn.ModuleList()
            for index, (tap, part) in enumerate(zip(self.routes[name][1], own, strict=False)):
                if isinstance(part, Paraphraser):
                    own[index] = known.setdefault((tap, part.in_channels, part.code_channels), part)

    @property
    def student(self) -> nn.Module:
        """The network that is trained, without anything of the distillation in it."""
        return self.recorder.network

    def forward(
        self, image: Tensor, teacher_taps: Mapping[str, Tensor], label: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Student logits ``BKH[WD]`` and the unweighted terms by name.

        Args:
            image: ``BCH[WD]``.
            teacher_taps: ``distiller.teacher.taps(image)``; given from outside so that one teacher forward can serve
                many students.
            label: see :class:`kdseg.losses.DistillationLoss`.
        """
        logits, taps = self.recorder(image)
        values: dict[str, Tensor] = {}
        # the terms run in float32 (or float64, as the student does): sums over positions overflow half precision
        with torch.autocast(image.device.type, enabled=False):
            for name, term in self._terms():
                route_s, route_t = self.routes[name]
                inputs_s = [_full(taps[tap]) for tap in route_s]
                inputs_t = [_full(teacher_taps[tap]) for tap in route_t]
                values[name] = term(inputs_s, inputs_t, label)
                if self.training and isinstance(term, AdversarialLoss):
                    self.pending[name] = ([x.detach() for x in inputs_s], inputs_t, label)
        return logits, values

    def taught(self, image: Tensor, soft_labels: Tensor | None = None) -> Mapping[str, Tensor]:
        """What the teacher says of a batch: its taps, or its soft labels where they were made before.

        Args:
            image: ``BCH[WD]``.
            soft_labels: the batch's maps ``B?H[WD]``, see :func:`~kdseg.distill.soft_logits`.

        Raises:
            UserError: when soft labels are due and the batch has none.
        """
        if not self.soft_labels:
            return self.teacher.taps(image)
        if soft_labels is None:
            fix = "set soft_labels in the configuration, not at the distiller alone"
            raise UserError("batch", found="no soft labels", expected="the teacher's maps beside the images", fix=fix)
        if soft_labels.shape[2:] != image.shape[2:]:
            found = f"soft labels of {tuple(soft_labels.shape[2:])} for images of {tuple(image.shape[2:])}"
            fix = 'write "keys": "@spatial_keys" in train#augmentation'
            raise UserError("batch", found=found, expected="the same size", fix=fix)
        return {LOGITS: soft_logits(soft_labels, self.head), IMAGE: image}

    def total(self, values: Mapping[str, Tensor]) -> Tensor | float:
        """The weighted sum of the terms."""
        return sum((self.weights[name] * value for name, value in values.items()), 0.0)

    def adversaries(self) -> Iterator[tuple[str, AdversarialLoss]]:
        """The terms with a discriminator, by name."""
        for name, term in self._terms():
            if isinstance(term, AdversarialLoss):
                yield name, term

    def discriminator_parameters(self) -> list[nn.Parameter]:
        """What the discriminators' own optimiser trains."""
        return [parameter for _, term in self.adversaries() for parameter in term.discriminator.parameters()]

    def trained_parameters(self) -> list[nn.Parameter]:
        """What the student's optimiser trains: the student and the adapters, not the discriminators."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def _terms(self) -> Iterator[tuple[str, DistillationLoss]]:
        for name, term in self.terms.items():
            assert isinstance(term, DistillationLoss)
            yield name, term


def _possible(method: Method, student: Sequence[str], teacher: Sequence[str]) -> Method:
    """The method without its optional terms whose taps a network lacks."""

    def found(term: Term) -> bool:
        try:
            taps_s, taps_t = expand_taps(term, student, teacher)
        except UserError:
            return False
        return set(taps_s) <= set(student) and set(taps_t) <= set(teacher)

    lacking = [name for name, term in method.terms.items() if term.optional and not found(term)]
    if lacking:
        logger.warning(f"left out for want of features: {', '.join(lacking)}; the method goes on without")
    return replace(method, terms={name: term for name, term in method.terms.items() if name not in lacking})


def _full(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor

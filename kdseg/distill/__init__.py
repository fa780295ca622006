"""Taps, methods, the teacher and the distiller."""

from kdseg.distill.build import build_method, describe_method
from kdseg.distill.distiller import Distiller
from kdseg.distill.gradients import gradient_norms
from kdseg.distill.losses_by_name import LOSSES, register_loss
from kdseg.distill.methods import METHODS, needs_labels, register_method
from kdseg.distill.mixing import Mixing
from kdseg.distill.soft_labels import SOFT_LABELS, SoftLabels, soft_logits
from kdseg.distill.taps import TapRecorder, tap_paths
from kdseg.distill.teacher import Teacher
from kdseg.distill.teachers import held_out_cases, is_torchscript, load_teacher, soft_label_folder
from kdseg.distill.terms import Method, Term
from kdseg.networks.weights import load_weights

__all__ = [
    "LOSSES",
    "METHODS",
    "SOFT_LABELS",
    "Distiller",
    "Method",
    "Mixing",
    "SoftLabels",
    "TapRecorder",
    "Teacher",
    "Term",
    "build_method",
    "describe_method",
    "gradient_norms",
    "held_out_cases",
    "is_torchscript",
    "load_teacher",
    "load_weights",
    "needs_labels",
    "register_loss",
    "register_method",
    "soft_label_folder",
    "soft_logits",
    "tap_paths",
]

"""Where teachers come from: checkpoints, bundles, TorchScript files, ensembles; and what makes them fit the student."""

from kdseg.distill.teachers.class_map import ClassMap
from kdseg.distill.teachers.cross_fit import CrossFitTeacher, cross_fit_members, soft_label_folder
from kdseg.distill.teachers.ensemble import ProbabilityMean
from kdseg.distill.teachers.input import InputConversion
from kdseg.distill.teachers.load import is_torchscript, load_teacher
from kdseg.distill.teachers.scaling import Scaling, convertible, scaling_of
from kdseg.distill.teachers.seen_cases import check_unseen, held_out_cases, image_hashes

__all__ = [
    "ClassMap",
    "CrossFitTeacher",
    "InputConversion",
    "ProbabilityMean",
    "Scaling",
    "check_unseen",
    "convertible",
    "cross_fit_members",
    "held_out_cases",
    "image_hashes",
    "is_torchscript",
    "load_teacher",
    "scaling_of",
    "soft_label_folder",
]

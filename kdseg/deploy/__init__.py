"""From a trained network's folder to masks: loaded, measured, used on files and in programs."""

from kdseg.deploy.evaluate import evaluate, evaluation_data, run_evaluation
from kdseg.deploy.latency import forwards, interleaved_milliseconds, milliseconds_per_image
from kdseg.deploy.predict import Prediction, predict_files
from kdseg.deploy.student import Student, load

__all__ = [
    "Prediction",
    "Student",
    "evaluate",
    "evaluation_data",
    "forwards",
    "interleaved_milliseconds",
    "load",
    "milliseconds_per_image",
    "predict_files",
    "run_evaluation",
]

from .evaluation import evaluate as evaluate
from .evaluation import evaluation_data as evaluation_data
from .evaluation import run_evaluation as run_evaluation
from .latency import (
    forwards as forwards,
)
from .latency import (
    interleaved_milliseconds as interleaved_milliseconds,
)
from .latency import (
    milliseconds_per_image as milliseconds_per_image,
)
from .loading import load as load
from .model_network import open_folder as open_folder
from .predict import Prediction as Prediction
from .predict import predict_files as predict_files
from .student import Student as Student

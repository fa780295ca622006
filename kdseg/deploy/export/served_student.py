"""The code of an exported MLflow model, which MLflow copies beside the student and runs when it loads the model."""

from __future__ import annotations

from typing import Any

import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

import kdseg
from kdseg.errors import UserError


class ServedStudent(PythonModel):
    """A trained student, from a batch of images to the batch of their masks."""

    def load_context(self, context: Any) -> None:
        """Open the student that lies beside this code."""
        self.student = kdseg.load(context.artifacts["student"])

    def predict(self, context: Any, model_input: np.ndarray, params: dict[str, Any] | None = None) -> np.ndarray:
        """Class numbers of each image, 0 is the background.

        Args:
            context: of MLflow; not used.
            model_input: pictures ``BHW`` or ``BHW3`` with values in [0, 1] or [0, 255], or volumes ``BWHD`` in the
                unit of the files, HU for CT.
            params: of volumes, ``affine``: 16 numbers, row by row, from index to mm (RAS), for all of the batch.

        Returns:
            masks ``BHW`` or ``BWHD``, uint8.

        Raises:
            MlflowException: for an image that is none of the task's; the server answers with the reason.
        """
        affine = (params or {}).get("affine")
        try:
            if affine is None:
                return np.stack([self.student(image) for image in model_input])
            return np.stack([self.student((image, np.reshape(affine, (4, 4))))[0] for image in model_input])
        except (UserError, ValueError) as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error


set_model(ServedStudent())

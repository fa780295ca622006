"""MLflow as kdseg uses it: it prints nothing, and tells nobody of its use."""

from __future__ import annotations

import contextlib
import logging
import os

__all__ = ["quiet_mlflow"]


def quiet_mlflow() -> None:
    """Stop MLflow's reports to its makers, its progress bars and its messages in this process; call it before its use.

    What the user has set in the environment stays.
    """
    for variable, value in {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    }.items():
        os.environ.setdefault(variable, value)
    # MONAI imports mlflow first, and its telemetry starts on import
    with contextlib.suppress(ImportError):
        from mlflow.telemetry import set_telemetry_client

        set_telemetry_client()
    for library in ("mlflow", "alembic", "urllib3"):
        # what fails is told by the run, once
        logging.getLogger(library).setLevel(logging.CRITICAL)

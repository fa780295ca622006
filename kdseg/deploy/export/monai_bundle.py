"""A bundle that runs where only MONAI is installed."""

from __future__ import annotations

from kdseg.deploy.export.job import Job, Written
from kdseg.errors import UserError
from kdseg.task import TASK_FILE, bundle_metadata, inference_config, traced, write_json

__all__ = ["write_bundle"]


def write_bundle(job: Job) -> Written:
    """``bundle/``: ``models/model.ts``, ``configs/inference.json``, ``configs/metadata.json``, ``task.json``.

    Raises:
        UserError: for a network that cannot be traced for images of every size, and for outputs other than logits.
    """
    script, reason = traced(job.task, job.network)
    if script is None or job.output != "logits":
        found = reason or f"--output {job.output}"
        raise UserError("--to bundle", found=found, expected="logits of a traceable network", fix="use --to onnx")
    folder = job.folder / "bundle"
    for name in ("models", "configs"):
        (folder / name).mkdir(parents=True)
    script.save(str(folder / "models" / "model.ts"))
    write_json(inference_config(job.task), folder / "configs" / "inference.json")
    write_json(bundle_metadata(job.task), folder / "configs" / "metadata.json")
    job.task.write(folder)
    names = ("models/model.ts", "configs/inference.json", "configs/metadata.json", TASK_FILE)
    return Written([f"bundle/{name}" for name in names])

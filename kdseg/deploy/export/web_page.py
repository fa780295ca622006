"""A page that segments in the reader's own browser."""

from __future__ import annotations

from kdseg.deploy.export.job import Job, Written
from kdseg.deploy.export.onnx_model import describe
from kdseg.deploy.web import write_web
from kdseg.errors import UserError
from kdseg.networks import count_parameters
from kdseg.runtime import open_session

__all__ = ["write_page"]


def write_page(job: Job) -> Written:
    """``web/``: ``index.html`` with all that it needs, or ``page.html`` alone; see :mod:`kdseg.deploy.web`.

    Raises:
        UserError: for outputs other than logits, a task that the page cannot do, a network that takes pictures of one
            size alone, and a missing package.
    """
    if job.output != "logits":
        found, fix = f"--output {job.output}", "leave --output out"
        raise UserError("--to web", found=found, expected="logits, which the page decides on", fix=fix)
    facts = describe(job.onnx)
    fixed = [side for side in facts["input"]["shape"][2:] if isinstance(side, int)]
    if fixed and job.task.patch_size is None:
        found, fix = f"a graph for {'×'.join(map(str, fixed))} pixels alone", "use kdseg predict, or another network"
        raise UserError("--to web", found=found, expected="one for pictures of every size", fix=fix)
    names = write_web(
        job.onnx,
        job.trained.path.resolve().name,
        job.task,
        job.trained.history,
        count_parameters(job.network),
        job.folder / "web",
        single_file=job.single_file,
        packages=job.runtime_packages,
    )
    return Written([f"web/{name}" for name in names], facts, open_session("onnx", job.onnx))

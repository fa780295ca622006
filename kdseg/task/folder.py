"""A trained network's folder: its task, its weights and its history, which travel together."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from kdseg.errors import UserError
from kdseg.files import whole_file
from kdseg.networks.weights import load_weights
from kdseg.task.folder_files import read_history, write_json
from kdseg.task.inference import memory_format, network
from kdseg.task.monai_only import bundle_metadata, inference_config
from kdseg.task.task import TASK_FILE, Task, read_task

__all__ = [
    "TrainedFolder",
    "is_trained",
    "open_trained",
    "traced",
    "write_for_monai",
]

logger = logging.getLogger(__name__)

FOR_MONAI = ("model.ts", "inference.json", "metadata.json")
SCRIPTS = {".ts": "a TorchScript file", ".pt2": "a program of torch.export"}
WEIGHTS = ("model.pt", "models/model.pt", "model.ts", "models/model.ts")


@dataclass(frozen=True)
class TrainedFolder:
    """What :func:`open_trained` finds.

    Attributes:
        path: the folder.
        task: what the network is fed and what comes out.
        weights: the file: ``model.pt``, or the TorchScript file ``model.ts``.
    """

    path: Path
    task: Task
    weights: Path

    @property
    def history(self) -> dict[str, Any]:
        """What ``history.json`` says of the training; empty where there is none.

        Raises:
            UserError: when the file is damaged.
        """
        return read_history(self.path)

    def network(self) -> nn.Module:
        """The network with its weights, in eval mode, on the CPU, in the memory format that it was trained in.

        Raises:
            UserError: when the network cannot be imported, or the weights do not fit it.
        """
        if self.weights.suffix in SCRIPTS:
            try:
                if self.weights.suffix == ".pt2":
                    return torch.export.load(str(self.weights)).module()
                return torch.jit.load(str(self.weights), map_location="cpu").eval()
            except (RuntimeError, ValueError) as error:
                found, fix = f"{SCRIPTS[self.weights.suffix]} that cannot be loaded", "export it again"
                raise UserError(self.weights, found=found, expected="a network", fix=fix) from error
        made = load_weights(network(self.task), self.weights).eval()
        return made.to(memory_format=memory_format(self.task))  # type: ignore[call-overload]


def open_trained(path: str | Path) -> TrainedFolder:
    """The folder of a training, a bundle with weights in ``models/``, or a file of weights in one of these.

    Raises:
        UserError: when there is no such place, no task, or no weights.
    """
    path = Path(path)
    if not path.exists():
        fix = "name what kdseg train or distill wrote with --output-dir"
        raise UserError(path, found="no such file or folder", expected="a trained network's folder", fix=fix)
    folder = path if path.is_dir() else path.parent.parent if path.parent.name == "models" else path.parent
    task = read_task(folder)
    files = [path] if path.is_file() else [folder / name for name in WEIGHTS if (folder / name).is_file()]
    if not files or files[0].suffix not in (".pt", *SCRIPTS):
        expected = "weights: " + " or ".join(WEIGHTS)
        fix = f"train it: kdseg train {folder}" if (folder / "configs").is_dir() else "train again in this folder"
        raise UserError(path, found="a task without weights", expected=expected, fix=fix)
    return TrainedFolder(folder, task, files[0])


def write_for_monai(folder: Path, task: Task, trained: nn.Module) -> list[Path]:
    """Write what runs where only MONAI is installed: ``model.ts``, ``inference.json``, ``metadata.json``.

    Args:
        folder: of the training.
        task: its task.
        trained: the network with its weights, on the CPU.

    Returns:
        the files; none, with the reason in the log, where the network cannot be traced for images of every size.
    """
    script, reason = traced(task, trained)
    if script is None:
        logger.info(f"no model.ts, which MONAI alone could run: {reason}")
        return []
    with whole_file(folder / "model.ts") as temporary:
        script.save(str(temporary))
    # absolute, because a configuration does not know where it lies
    write_json(inference_config(task, str(folder.absolute()), "model.ts"), folder / "inference.json")
    write_json(bundle_metadata(task), folder / "metadata.json")
    return [folder / name for name in FOR_MONAI]


def traced(task: Task, trained: nn.Module) -> tuple[Any, str]:
    """The network as TorchScript for images of every size that the task has; None, and why, where it cannot be."""
    import warnings

    first = torch.randn(task.input_shape)
    other = torch.randn(1, *(task.input_shape[1:2]), *(side + task.divisible for side in task.input_shape[2:]))
    with torch.no_grad(), warnings.catch_warnings():
        # of sizes that are read while tracing: whether they matter is tried below
        warnings.simplefilter("ignore")
        try:
            script = torch.jit.trace(trained.eval(), first, check_trace=False)
            sizes = [first] if task.patch_size is not None else [first, other]
            if all(torch.allclose(script(image), trained(image), atol=1e-4) for image in sizes):
                return script, ""
            return None, "its trace gives other results"
        except Exception as error:
            # whatever a network of the user's runs into: the training itself is done
            return None, f"{type(error).__name__}: {error}".splitlines()[0]


def is_trained(path: Path) -> bool:
    """Whether a folder, or that of a file of weights, has a task."""
    folder = path if path.is_dir() else path.parent.parent if path.parent.name == "models" else path.parent
    return (folder / TASK_FILE).is_file()

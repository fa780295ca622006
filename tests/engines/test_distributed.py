"""Two processes with half of a batch each train as one process with the whole batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Events
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from kdseg.distill import Distiller, Teacher
from kdseg.engines import DistillationTrainer, loss_terms
from kdseg.handlers import ParaphraserWarmup
from kdseg.losses import SegmentationLoss
from kdseg.networks import UNet
from tests.tiny import SIZE, discriminator_step, images

STEPS = 2

# the memories of CIRKD alone: its relations between images need the whole batch. Enough draws for every position, since
# the processes do not draw alike
MEMORIES = {
    memory: {"loss": "memory", "memory": memory, "taps": ["enc3", "logits"], "entries": 128, "draws": 64}
    for memory in ("pixel", "region")
}


def train(method: Any, batches: list[Any], world: int) -> dict[str, Any]:
    """The losses of some steps and the student's weights after them."""
    torch.manual_seed(0)
    # batch statistics differ between a batch and its halves; the statistics of one image do not
    student = per_image(UNet(base_channels=2))
    distilled = Distiller(
        student, Teacher(UNet(base_channels=3)), method, head="sigmoid", probe_shape=(1, 1, SIZE, SIZE)
    )
    trainer = DistillationTrainer(
        device=torch.device("cpu"),
        max_epochs=1,
        train_data_loader=batches,
        network=DistributedDataParallel(distilled) if world > 1 else distilled,
        distiller=distilled,
        optimizer=torch.optim.SGD(distilled.trained_parameters(), lr=0.05),
        loss_function=SegmentationLoss("sigmoid"),
        train_handlers=[ParaphraserWarmup(steps=4), discriminator_step(distilled)],
    )
    losses: list[float] = []
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda e: losses.append(loss_terms(e.state.output)["loss"]))
    trainer.run()
    memories = {
        name: value for name, value in distilled.terms.state_dict().items() if name.endswith(("filled", "keys"))
    }
    return {"losses": torch.tensor(losses), "weights": student.state_dict(), "memories": memories}


def per_image(network: nn.Module) -> nn.Module:
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.GroupNorm(1, child.num_features))
    return network


def batches(part: slice) -> list[dict[str, torch.Tensor]]:
    data = images(4 * STEPS)
    groups = [data[4 * step : 4 * step + 4][part] for step in range(STEPS)]
    return [{key: torch.stack([item[key] for item in group]) for key in ("image", "label")} for group in groups]


def _half(rank: int, rendezvous: str, method: Any, folder: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=2)
    torch.save(train(method, batches(slice(2 * rank, 2 * rank + 2)), 2), f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize(
    "method",
    ["kd", "lightvessel", "ft", "fitnet", "cwd", MEMORIES],
    ids=lambda m: m if isinstance(m, str) else "memory",
)
def test_two_processes_give_the_loss_and_the_weights_of_one(tmp_path: Path, method: Any) -> None:
    # forked, because a fresh process would import MONAI for seconds
    torch.multiprocessing.start_processes(
        _half, args=(f"file://{tmp_path / 'rendezvous'}", method, str(tmp_path)), nprocs=2, start_method="fork"
    )
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    whole = train(method, batches(slice(None)), 1)
    torch.testing.assert_close((first["losses"] + second["losses"]) / 2, whole["losses"], rtol=1e-4, atol=1e-5)
    for name, value in whole["weights"].items():
        torch.testing.assert_close(first["weights"][name], second["weights"][name], rtol=0, atol=0)
        torch.testing.assert_close(first["weights"][name], value, rtol=1e-3, atol=1e-5)
    for name, value in whole["memories"].items():
        assert torch.equal(first["memories"][name], second["memories"][name]), "what rank 0 saves is what rank 1 has"
        # positions are drawn in another order, and kept all
        torch.testing.assert_close(first["memories"][name].float().sum(1), value.float().sum(1), rtol=1e-4, atol=1e-4)

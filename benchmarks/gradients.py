"""How hard the terms of every method pull: the length of each weighted term's gradient over the supervised loss's.

    python benchmarks/gradients.py                      shares of the supervised gradient, steps 0, 20 and 100
    python benchmarks/gradients.py --balance paper      the papers' weights

A U-Net of base width 16 is trained on drawn vessels, then teaches a ThinUNet of base width 2 with 14.9 k parameters.
Printed in Markdown, for each method: every term, and all terms together as "all".
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
from ignite.engine import Events
from monai.engines import SupervisedTrainer
from monai.engines.utils import IterationEvents
from torch import Tensor
from torch.utils.data import DataLoader, RandomSampler

from kdseg.distill import METHODS, Distiller, gradient_norms
from kdseg.engines import TERMS, DistillationTrainer
from kdseg.handlers import DiscriminatorStep, ParaphraserWarmup, TermWeights
from kdseg.losses import SegmentationLoss
from kdseg.networks import ThinUNet, UNet

SIZE = 96


def vessels(count: int = 40) -> list[dict[str, Tensor]]:
    """Dark winding tubes of 1 to 3 pixels on an uneven, noisy ground."""
    generator = torch.Generator().manual_seed(0)
    along = torch.linspace(-1, 1, SIZE)
    y, x = torch.meshgrid(along, along, indexing="ij")
    items = []
    for _ in range(count):
        label = torch.zeros(SIZE, SIZE)
        for a, b, c, d in torch.randn(4, 4, generator=generator).tolist():
            centre = 0.5 * a * torch.sin(3 * x + 2 * b) + 0.5 * c
            width = (1 + 2 * torch.rand(1, generator=generator)) / SIZE
            label = torch.maximum(label, ((y - centre).abs() < width * (1 + 0.3 * d * x).clamp(0.5, 2)).float())
        ground = 0.5 * torch.sin(2 * x + 3 * y) + 0.4 * torch.randn(SIZE, SIZE, generator=generator)
        items.append({"image": (ground - 0.8 * label)[None], "label": label[None]})
    return items


def trainer(kind: Any, network: Any, parameters: Any, steps: int, handlers: Any) -> Any:
    data = vessels()
    loader = DataLoader(data, batch_size=4, sampler=RandomSampler(data, num_samples=4 * steps))  # type: ignore[arg-type]
    return kind(
        device=torch.device("cpu"),
        max_epochs=1,
        train_data_loader=loader,
        network=network,
        optimizer=torch.optim.AdamW(parameters, lr=0.005),
        loss_function=SegmentationLoss("sigmoid"),
        train_handlers=handlers,
        decollate=False,
    )


def gradients(method: str, teacher: UNet, balance: Any, at: list[int]) -> dict[str, list[float]]:
    """Term → g at each of the steps."""
    torch.manual_seed(1)
    distilled = Distiller(ThinUNet(base_channels=2), teacher, method, head="sigmoid", balance=balance)
    critics = torch.optim.Adam([{"params": distilled.discriminator_parameters()}], lr=3e-5, betas=(0.9, 0.99))
    handlers = [TermWeights(distilled), ParaphraserWarmup(steps=50), DiscriminatorStep(distilled, critics)]
    engine = trainer(DistillationTrainer, distilled, distilled.trained_parameters(), max(at) + 1, handlers)
    found: dict[str, list[float]] = {}

    def measure(engine: Any) -> None:
        if engine.state.iteration - 1 not in at:
            return
        output = engine.state.output[TERMS]
        parts = {name: weight * output[name] for name, weight in distilled.weights.items()}
        parts["all"] = torch.stack(list(parts.values())).sum()
        norms = gradient_norms({**parts, "supervised": output["supervised"]}, list(distilled.student.parameters()))
        for name in parts:
            found.setdefault(name, []).append(float("nan") if norms is None else norms[name] / norms["supervised"])

    engine.add_event_handler(IterationEvents.FORWARD_COMPLETED, measure)
    engine.run()
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--balance", default="gradient")
    parser.add_argument("--steps", default="0,20,100")
    parser.add_argument("--methods", default=",".join(METHODS))
    arguments = parser.parse_args()
    torch.manual_seed(0)
    teacher, steps = UNet(base_channels=16), [int(step) for step in arguments.steps.split(",")]
    teaching = trainer(SupervisedTrainer, teacher, teacher.parameters(), 150, [])
    teaching.add_event_handler(Events.COMPLETED, lambda: teacher.eval())
    teaching.run()
    print(f"| method | term | {' | '.join(f'step {step}' for step in steps)} |\n|---|---|{'---:|' * len(steps)}")
    for method in arguments.methods.split(","):
        for term, values in gradients(method, teacher, arguments.balance, steps).items():
            print(f"| {method} | {term} | {' | '.join(f'{value:.3g}' for value in values)} |", flush=True)

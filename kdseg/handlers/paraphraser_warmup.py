"""Before the student's first step, the paraphrasers of factor transfer and Graph Flow learn the teacher's taps."""

from __future__ import annotations

import hashlib
import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from monai.utils import convert_to_tensor
from torch import Tensor, nn

from kdseg.distill import Distiller
from kdseg.engines import average, is_main_process
from kdseg.errors import UserError
from kdseg.files import save_atomically
from kdseg.handlers.checkpoints import fingerprint
from kdseg.losses import IGNORED
from kdseg.networks.paraphraser import Paraphraser

__all__ = ["ParaphraserWarmup"]

logger = logging.getLogger(__name__)

MOMENTUM = 0.9
GRADIENT_LIMIT = 10.0


class ParaphraserWarmup:
    """Trains, caches and freezes the paraphrasers of every term that has some, on the frozen teacher's taps.

    Runs when the trainer starts; does nothing where no term has paraphrasers, or where they are trained already. A
    resumed training loads what the first one has kept. Terms that paraphrase the same tap at the same width share one
    training. Only images with a labelled voxel are used, as in Graph Flow's semi-supervised mode.

    The reconstruction error is the squared one, summed over channels, mean over positions, of taps scaled to a mean
    square of 1 (undone in the biases afterwards, exactly): the learning rates then mean the same for any teacher and
    any size. SGD with momentum 0.9 and the two rates are those of Graph Flow's code; scaling, steps and the limit of
    the gradient are ours.

    Args:
        output_dir: where the trained paraphrasers are kept, as ``paraphrasers_<key>.pt``; the key holds the teacher's
            weights, the taps and these settings, so that nothing stale is loaded. None keeps nothing.
        steps: steps in all; each learning rate has an equal share.
        learning_rates: of SGD, one after the other.
        seed: of the first weights and of the order of the batches.

    After the warm-up ``errors`` holds tap → (before, after): the relative error ``‖F − F'‖² / ‖F‖²`` on one batch.

    Raises:
        UserError: when the training data have no labelled image.
    """

    def __init__(
        self,
        output_dir: str | Path | None = None,
        steps: int = 1000,
        learning_rates: Sequence[float] = (3e-4, 3e-6),
        seed: int = 0,
    ) -> None:
        if steps < 1 or not learning_rates:
            found = f"steps={steps}, learning_rates={learning_rates}"
            raise UserError("paraphraser warm-up", found=found, expected="at least one of each", fix="use steps=1000")
        self.output_dir = None if output_dir is None else Path(output_dir)
        self.steps = steps
        self.learning_rates = tuple(learning_rates)
        self.seed = seed
        self.errors: dict[str, tuple[float, float]] = {}

    def attach(self, trainer: Engine) -> None:
        trainer.add_event_handler(Events.STARTED, self)

    def __call__(self, trainer: Any) -> None:
        groups = _untrained(trainer.distiller)
        if not groups:
            return
        path = None
        if self.output_dir is not None:
            path = self.output_dir / f"paraphrasers_{self._key(trainer.distiller, groups)}.pt"
        if path is not None and path.is_file():
            states = _load(path)
            logger.info(f"paraphrasers trained before: {path}")
        else:
            # forked: the training that follows draws the same numbers whether the cache was there or not
            devices = [torch.cuda.current_device()] if trainer.state.device.type == "cuda" else []
            with torch.random.fork_rng(devices):
                torch.manual_seed(self.seed)
                self._train(trainer, {name: members[0] for name, members in groups.items()})
            states = {name: members[0].state_dict() for name, members in groups.items()}
            if path is not None and is_main_process():
                save_atomically(states, path)
        for name, members in groups.items():
            for paraphraser in members:
                paraphraser.load_state_dict(states[name])
                paraphraser.requires_grad_(False)

    def _train(self, trainer: Any, paraphrasers: Mapping[str, Paraphraser]) -> None:
        modules = nn.ModuleList(paraphrasers.values())
        for paraphraser in paraphrasers.values():
            paraphraser.reset_parameters()
        modules.requires_grad_(True)
        # the taps are called by name; a group's name says the tap and the widths
        taps_of = {name: name.rsplit(":", 2)[0] for name in paraphrasers}
        batches = _labelled_taps(trainer)
        first = next(batches)
        scale = {name: _root_mean_square(first[tap]) for name, tap in taps_of.items()}
        before = {name: _relative_error(p, first[taps_of[name]] / scale[name]) for name, p in paraphrasers.items()}
        optimizer = torch.optim.SGD(modules.parameters(), lr=self.learning_rates[0], momentum=MOMENTUM)
        for step, taps in zip(range(self.steps), itertools.chain([first], batches), strict=False):
            optimizer.param_groups[0]["lr"] = self.learning_rates[step * len(self.learning_rates) // self.steps]
            optimizer.zero_grad(set_to_none=True)
            # each paraphraser has its own loss; one backward serves them all
            losses = [_error(p, taps[taps_of[name]] / scale[name]) for name, p in paraphrasers.items()]
            torch.stack(losses).sum().backward()
            for paraphraser in paraphrasers.values():
                average([p.grad for p in paraphraser.parameters() if p.grad is not None])
                nn.utils.clip_grad_norm_(paraphraser.parameters(), GRADIENT_LIMIT)
            optimizer.step()
        for name, paraphraser in paraphrasers.items():
            tap = taps_of[name]
            after = _relative_error(paraphraser, first[tap] / scale[name])
            self.errors[tap] = before[name], after
            paraphraser.scale_biases(scale[name])
            paraphraser.trained.fill_(True)
            widths = f"{paraphraser.in_channels} → {paraphraser.code_channels} channels"
            told = f"reconstruction error {before[name]:.4f} before, {after:.4f} after {self.steps} steps"
            logger.log(
                logging.INFO if after < before[name] else logging.WARNING, f"paraphraser of {tap} ({widths}): {told}"
            )

    def _key(self, distiller: Distiller, groups: Mapping[str, Any]) -> str:
        digest = hashlib.sha256()
        for name, value in distiller.teacher.network.state_dict().items():
            digest.update(name.encode())
            if isinstance(value, Tensor):
                digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return fingerprint(
            teacher=digest.hexdigest(),
            paraphrasers=sorted(groups),
            steps=self.steps,
            learning_rates=self.learning_rates,
            seed=self.seed,
        )


def _untrained(distiller: Distiller) -> dict[str, list[Paraphraser]]:
    """The paraphrasers to train, by what makes two of them the same: teacher tap and widths."""
    groups: dict[str, list[Paraphraser]] = {}
    for name, term in distiller.terms.items():
        taps = distiller.routes[name][1]
        for tap, paraphraser in zip(taps, getattr(term, "paraphrasers", ()), strict=False):
            if isinstance(paraphraser, Paraphraser) and not paraphraser.trained:
                key = f"{tap}:{paraphraser.in_channels}:{paraphraser.code_channels}"
                groups.setdefault(key, []).append(paraphraser)
    return groups


def _labelled_taps(trainer: Any) -> Iterator[dict[str, Tensor]]:
    """The teacher's taps on the labelled images of the training data, batch after batch, without end."""
    while True:
        found = False
        for batch in trainer.data_loader:
            image, label = trainer.prepare_batch(
                batch, trainer.state.device, trainer.non_blocking, **trainer.to_kwargs
            )[:2]
            image = convert_to_tensor(image, track_meta=False)
            if label is not None:
                image = image[(convert_to_tensor(label, track_meta=False) != IGNORED).flatten(1).any(1)]
            if len(image):
                found = True
                yield {tap: value.float() for tap, value in trainer.distiller.teacher.taps(image).items()}
        if not found:
            fix = "give labelled images: the paraphrasers learn from the labelled part only"
            raise UserError("training data", found="no labelled image", expected="at least one", fix=fix)


def _error(paraphraser: Paraphraser, features: Tensor) -> Tensor:
    """Squared error summed over channels, mean over positions."""
    return (paraphraser.reconstruct(features) - features).square().sum(1).mean()


def _relative_error(paraphraser: Paraphraser, features: Tensor) -> float:
    with torch.no_grad():
        apart = (paraphraser.reconstruct(features) - features).square().sum()
    return float(apart / features.square().sum().clamp_min(1e-30))


def _root_mean_square(features: Tensor) -> float:
    square = features.square().mean()
    average([square])
    return float(square.sqrt().clamp_min(1e-12))


def _load(path: Path) -> dict[str, dict[str, Tensor]]:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        found = f"a file that cannot be read ({type(error).__name__})"
        fix = "delete the file: the paraphrasers are trained anew"
        raise UserError(path, found=found, expected="trained paraphrasers", fix=fix) from error

"""The paraphrasers learn the teacher's taps, are kept, found again, and stay as they are while the student learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from kdseg.distill import Distiller
from kdseg.errors import UserError
from kdseg.handlers.paraphraser_warmup import ParaphraserWarmup
from kdseg.losses import IGNORED
from kdseg.networks.paraphraser import Paraphraser
from tests.tiny import distiller, images, trainer

FACTOR = {"factor": {"loss": "factor", "taps": ["enc3", "dec3"]}}


def paraphrasers(distilled: Distiller) -> dict[str, Paraphraser]:
    return {name: m for name, m in distilled.named_modules() if isinstance(m, Paraphraser)}


def weights(distilled: Distiller) -> dict[str, torch.Tensor]:
    return {f"{n}.{k}": v.clone() for n, p in paraphrasers(distilled).items() for k, v in p.state_dict().items()}


def warm(method: Any, **settings: Any) -> tuple[Distiller, ParaphraserWarmup]:
    distilled = distiller(method)
    handler = ParaphraserWarmup(**settings)
    trainer(distilled, epochs=1, steps=2, handlers=[handler]).run()
    return distilled, handler


@pytest.mark.parametrize("method", ["graph_flow", FACTOR], ids=["graph_flow", "factor"])
def test_reconstruction_error_falls(method: Any) -> None:
    distilled, handler = warm(method, steps=60, learning_rates=(0.03, 0.003))
    assert set(handler.errors) == {"enc3", "dec3"}
    for before, after in handler.errors.values():
        assert after < 0.8 * before
    assert all(p.trained for p in paraphrasers(distilled).values())
    assert not any(x.requires_grad for p in paraphrasers(distilled).values() for x in p.parameters())


def test_the_error_is_that_of_the_taps_as_they_are() -> None:
    distilled, handler = warm(FACTOR, steps=60, learning_rates=(0.03,))
    image = torch.stack([item["image"] for item in images()])
    for index, tap in enumerate(("enc3", "dec3")):
        features = distilled.teacher.taps(image)[tap]
        paraphraser = distilled.terms["factor"].paraphrasers[index]
        apart = paraphraser.reconstruct(features) - features
        # all images against the one batch of the handler: near, and as far from the untrained error
        assert (apart.square().sum() / features.square().sum()).item() == pytest.approx(
            handler.errors[tap][1], rel=0.25
        )


def test_terms_share_one_training_and_the_student_does_not_change_it() -> None:
    distilled, _ = warm("graph_flow", steps=3)
    vertices, edges = distilled.terms["vertices"], distilled.terms["edges"]
    for a, b in zip(vertices.state_dict().items(), edges.state_dict().items(), strict=True):
        assert "paraphrasers" not in a[0] or torch.equal(a[1], b[1])
    before = weights(distilled)
    trainer(distilled, epochs=1, steps=2, handlers=[ParaphraserWarmup(steps=3)]).run()
    after = weights(distilled)
    assert before.keys() == after.keys() and all(torch.equal(before[key], after[key]) for key in before)


def test_deterministic_and_loaded_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = warm("graph_flow", output_dir=tmp_path, steps=4)
    again, _ = warm("graph_flow", steps=4)
    assert all(torch.equal(a, b) for a, b in zip(weights(first).values(), weights(again).values(), strict=True))
    (file,) = tmp_path.iterdir()
    monkeypatch.setattr(ParaphraserWarmup, "_train", lambda *_: pytest.fail("the cached ones were not used"))
    cached, _ = warm("graph_flow", output_dir=tmp_path, steps=4)
    # the student's training draws the same numbers with and without the cache
    for a, b in zip(first.state_dict().values(), cached.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    file.write_bytes(b"broken")
    with pytest.raises(UserError, match="delete the file"):
        warm("graph_flow", output_dir=tmp_path, steps=4)


def test_another_teacher_or_setting_has_another_file(tmp_path: Path) -> None:
    warm("ft", output_dir=tmp_path, steps=2)
    warm("ft", output_dir=tmp_path, steps=3)
    other = distiller("ft", seed=5)
    trainer(other, epochs=1, steps=1, handlers=[ParaphraserWarmup(tmp_path, steps=2)]).run()
    assert len(list(tmp_path.iterdir())) == 3


def test_only_labelled_images_are_learnt_from() -> None:
    seen: list[int] = []
    for unlabelled in (0, 2, 6):
        data = images()
        for item in data[:unlabelled]:
            item["label"] = torch.full_like(item["label"], IGNORED)
        distilled = distiller("ft")
        engine = trainer(distilled, epochs=1, steps=1, handlers=[ParaphraserWarmup(steps=1)])
        engine.data_loader = torch.utils.data.DataLoader(data, batch_size=6)
        taps = distilled.teacher.taps
        distilled.teacher.taps = lambda image, taps=taps: seen.append(len(image)) or taps(image)  # type: ignore
        if unlabelled == 6:
            with pytest.raises(UserError, match="no labelled image"):
                engine.run()
        else:
            engine.run()
            assert seen[0] == 6 - unlabelled
        seen.clear()


def test_methods_without_paraphrasers_are_left_alone() -> None:
    _, handler = warm("fitnet", steps=5)
    assert handler.errors == {}


def test_settings_are_checked() -> None:
    with pytest.raises(UserError, match="steps"):
        ParaphraserWarmup(steps=0)

from __future__ import annotations

import copy
import gc
import weakref
from functools import partial

import pytest
import torch
from ignite.engine import Events
from monai.engines.utils import IterationEvents
from torch import nn

from kdseg.engines import TERMS, DistillationTrainer, loss_terms
from kdseg.errors import UserError
from kdseg.handlers import GradientClipping, ReproducibleEpochs, TermWatch
from kdseg.losses import SegmentationLoss
from tests.tiny import discriminator_step, distiller, images, trainer


def test_a_training_lowers_the_loss_and_names_every_term() -> None:
    distilled = distiller("lightvessel")
    seen: list[dict[str, float]] = []
    engine = trainer(distilled, epochs=6, steps=4, handlers=[ReproducibleEpochs(0), discriminator_step(distilled)])
    engine.add_event_handler(Events.ITERATION_COMPLETED, lambda e: seen.append(loss_terms(e.state.output)))
    engine.run()
    assert set(seen[0]) == {"loss", "supervised", "fsd", "asd", "asd_discriminator"}
    assert sum(s["supervised"] for s in seen[-4:]) < 0.8 * sum(s["supervised"] for s in seen[:4])


def test_every_iteration_event_fires_once_a_step() -> None:
    engine = trainer(distiller("kd"), epochs=1, steps=3)
    seen: list[str] = []
    order = ["FORWARD_COMPLETED", "LOSS_COMPLETED", "BACKWARD_COMPLETED", "MODEL_COMPLETED"]
    for name in order:
        engine.add_event_handler(getattr(IterationEvents, name), partial(lambda name, _: seen.append(name), name))
    engine.run()
    assert seen == order * 3


def test_the_total_is_the_weighted_sum() -> None:
    distilled = distiller("lightvessel", method_args={"fsd": {"weight": 0.25}, "asd": {"weight": 3.0}})
    engine = trainer(distilled, epochs=1, steps=1)
    engine.run()
    terms = engine.state.output[TERMS]
    total = terms["supervised"] + 0.25 * terms["fsd"] + 3.0 * terms["asd"]
    torch.testing.assert_close(engine.state.output["loss"], total)


def test_without_terms_the_step_equals_monais_supervised_trainer() -> None:
    from monai.engines import SupervisedTrainer
    from torch.utils.data import DataLoader

    distilled = distiller({"logits": {"loss": "logits", "weight": 0}})
    plain = copy.deepcopy(distilled.student)
    loader = DataLoader(images(4), batch_size=2)  # type: ignore[arg-type]
    common = {"device": torch.device("cpu"), "max_epochs": 2, "train_data_loader": loader}
    for network, kind, module in (
        (distilled, DistillationTrainer, distilled.student),
        (plain, SupervisedTrainer, plain),
    ):
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
        kind(network=network, optimizer=optimizer, loss_function=SegmentationLoss("sigmoid"), **common).run()  # type: ignore[operator]
    for ours, theirs in zip(distilled.student.parameters(), plain.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_the_teacher_is_untouched_by_training() -> None:
    distilled = distiller("lightvessel")
    before = {name: value.clone() for name, value in distilled.teacher.state_dict().items()}
    trainer(distilled).run()
    assert not distilled.teacher.training and not distilled.teacher.network.training
    for name, value in distilled.teacher.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_the_teachers_graph_is_never_built() -> None:
    distilled = distiller("kd")
    taps = distilled.teacher.taps(torch.zeros(1, 1, 16, 16))
    assert all(not tap.requires_grad and tap.grad_fn is None for tap in taps.values())
    # and its tensors can be saved for a student's backward, which inference tensors cannot
    assert not any(tap.is_inference() for tap in taps.values())


def test_the_graph_does_not_outlive_the_step() -> None:
    distilled = distiller("lightvessel")
    engine = trainer(distilled, epochs=1, steps=1, handlers=[discriminator_step(distilled)])
    graphs: list[weakref.ref[torch.Tensor]] = []
    engine.add_event_handler(
        IterationEvents.FORWARD_COMPLETED, lambda e: graphs.append(weakref.ref(e.state.output["pred"]))
    )
    engine.run()
    gc.collect()
    assert graphs[0]() is None and not distilled.pending


def test_a_discriminator_learns_and_the_student_step_leaves_it_alone() -> None:
    distilled = distiller("lightvessel")
    critic = dict(distilled.adversaries())["asd"].discriminator
    before = copy.deepcopy(critic.state_dict())
    engine = trainer(distilled, epochs=1, steps=1)
    engine.run()
    assert all(torch.equal(before[name], value) for name, value in critic.state_dict().items())
    assert all(parameter.grad is None for parameter in critic.parameters())
    engine = trainer(distilled, epochs=1, steps=1, handlers=[discriminator_step(distilled, 1e-2)])
    engine.run()
    assert any(not torch.equal(before[name], value) for name, value in critic.state_dict().items())


def test_gradients_are_clipped() -> None:
    engine = trainer(distiller("kd"), epochs=1, steps=1, handlers=[GradientClipping(1e-3)])
    norms: list[float] = []
    engine.run()
    parameters = [p for group in engine.optimizer.param_groups for p in group["params"] if p.grad is not None]
    norms.append(float(torch.linalg.vector_norm(torch.cat([p.grad.flatten() for p in parameters]))))
    assert norms[0] == pytest.approx(1e-3, rel=1e-3)


def test_a_term_that_is_no_number_is_named() -> None:
    distilled = distiller("kd")
    with torch.no_grad():
        next(distilled.teacher.parameters()).fill_(float("nan"))
    engine = trainer(distilled, handlers=[TermWatch()])
    with pytest.raises(UserError, match="no finite number in loss, logits"):
        engine.run()


def test_amp_on_cpu_is_bfloat16_and_the_terms_are_float32() -> None:
    distilled = distiller("lightvessel")
    kinds: list[torch.dtype] = []
    engine = trainer(distilled, epochs=1, steps=1, amp=True)
    engine.add_event_handler(IterationEvents.FORWARD_COMPLETED, lambda e: kinds.append(e.state.output["pred"].dtype))
    engine.run()
    assert kinds == [torch.bfloat16]
    assert engine.state.output[TERMS]["fsd"].dtype == torch.float32


def test_a_plain_network_is_refused() -> None:
    with pytest.raises(UserError, match="expected a Distiller"):
        DistillationTrainer(
            device=torch.device("cpu"),
            max_epochs=1,
            train_data_loader=[],
            network=nn.Conv2d(1, 1, 1),
            optimizer=None,
            loss_function=nn.MSELoss(),
        )


def test_compile_of_the_distiller_gives_the_same_loss() -> None:
    distilled = distiller("kd")
    image = torch.randn(2, 1, 16, 16)
    taps = distilled.teacher.taps(image)
    expected = distilled(image, taps)[1]["logits"]
    compiled = torch.compile(distilled, backend="eager")
    torch.testing.assert_close(compiled(image, taps)[1]["logits"], expected)

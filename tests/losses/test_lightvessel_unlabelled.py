"""The annotation's discriminator among images without an annotation."""

from __future__ import annotations

import torch

from kdseg.losses.lightvessel import AdversarialSimilarityLoss

KNOWN = slice(0, 2)


def half_labelled() -> tuple[AdversarialSimilarityLoss, list[torch.Tensor], list[torch.Tensor], torch.Tensor]:
    torch.manual_seed(0)
    student, teacher = [torch.randn(4, 1, 32, 32, requires_grad=True)], [torch.randn(4, 1, 32, 32)]
    loss = AdversarialSimilarityLoss(head="sigmoid")
    loss.build(student, teacher)
    label = (torch.rand(4, 1, 32, 32) > 0.5).float()
    label[2:] = 255
    return loss, student, teacher, label


def test_images_without_annotation_change_nothing() -> None:
    loss, student, teacher, label = half_labelled()
    known = [student[0][KNOWN]], [teacher[0][KNOWN]], label[KNOWN]
    torch.testing.assert_close(loss(student, teacher, label), loss(*known))
    losses = []
    for given in ((student, teacher, label), known):
        # the same random points between real and fake
        torch.manual_seed(1)
        losses.append(loss.discriminator_loss(*given))
    torch.testing.assert_close(*losses)


def test_a_batch_without_any_annotation() -> None:
    loss, student, teacher, label = half_labelled()
    value = loss(student, teacher, torch.full_like(label, 255))
    value.backward()
    assert value == 0 and student[0].grad is not None and not student[0].grad.any()
    discriminator = loss.discriminator_loss(student, teacher, torch.full_like(label, 255))
    discriminator.backward()
    assert discriminator == 0 and all(parameter.grad is not None for parameter in loss.discriminator.parameters())

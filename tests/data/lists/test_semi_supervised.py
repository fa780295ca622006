"""Half-labelled batches, labelled subsets by whole patients, and the all-ignored label."""

from __future__ import annotations

import pytest
import torch
from monai.data import DataLoader, Dataset, MetaTensor
from monai.transforms import Compose, SelectItemsd, SpatialPadd

from kdseg.data.lists.semi_supervised import LabelledUnlabelledSampler, labelled_subset
from kdseg.errors import UserError
from kdseg.losses import SegmentationLoss
from kdseg.transforms.unlabelled import UnlabelledAsIgnoredd


def records(labelled: int, unlabelled: int) -> list[dict]:
    with_label = [{"image": i, "label": i} for i in range(labelled)]
    return with_label + [{"image": labelled + i} for i in range(unlabelled)]


@pytest.mark.parametrize(("labelled", "unlabelled", "size"), [(3, 10, 4), (10, 3, 4), (5, 5, 2), (1, 7, 5), (4, 4, 16)])
def test_half_of_each_batch_is_labelled_and_the_longer_list_is_seen_whole(
    labelled: int, unlabelled: int, size: int
) -> None:
    sampler = LabelledUnlabelledSampler(records(labelled, unlabelled), size)
    batches = list(sampler)
    assert len(batches) == len(sampler)
    half = size - size // 2
    for batch in batches:
        assert len(batch) == size
        assert all(index < labelled for index in batch[:half])
        assert all(index >= labelled for index in batch[half:])
    assert {index for batch in batches for index in batch} == set(range(labelled + unlabelled))


def test_order_is_drawn_anew_and_follows_the_seed() -> None:
    sampler = LabelledUnlabelledSampler(records(20, 20), 4)
    torch.manual_seed(0)
    first, second = list(sampler), list(sampler)
    torch.manual_seed(0)
    assert list(sampler) == first != second


def test_one_sided_lists_and_small_batches_are_refused() -> None:
    with pytest.raises(UserError, match="4 labelled and 0 unlabelled"):
        LabelledUnlabelledSampler(records(4, 0), 2)
    with pytest.raises(UserError, match="batch_size"):
        LabelledUnlabelledSampler(records(4, 4), 1)


def test_subsets_are_whole_patients_and_nested() -> None:
    slices = [{"image": f"{i}", "label": f"{i}", "patient": f"p{i % 5}"} for i in range(20)]
    chosen = []
    for cases in (1, 2, 4):
        labelled, unlabelled = labelled_subset(slices, cases, seed=3)
        assert len(labelled) == 4 * cases and len(labelled) + len(unlabelled) == 20
        patients = {record["patient"] for record in labelled}
        assert patients.isdisjoint(record["patient"] for record in unlabelled)
        assert all("label" in r for r in labelled) and not any("label" in r for r in unlabelled)
        chosen.append(patients)
    assert chosen[0] < chosen[1] < chosen[2]
    assert all("label" in record for record in slices), "the caller's records are left alone"
    assert labelled_subset(slices, 2, seed=3) == labelled_subset(slices, 2, seed=3)
    with pytest.raises(UserError, match="1 to 5 patients"):
        labelled_subset(slices, 6)
    with pytest.raises(UserError, match="neither patient nor case"):
        labelled_subset([{"image": "a", "label": "a"}], 1)


@pytest.mark.parametrize("dims", [2, 3])
def test_unlabelled_images_reach_the_loss_with_nothing_to_learn(dims: int) -> None:
    size = [6] * dims
    data = [{"image": MetaTensor(torch.rand(1, *size)), "label": MetaTensor(torch.ones(1, *size))}]
    data += [{"image": MetaTensor(torch.rand(1, *size)), "case": "without"}]
    ignored = UnlabelledAsIgnoredd("label")
    # the padding brings zeros into the label: the second use takes them out again
    transform = Compose(
        [ignored, SpatialPadd(["image", "label"], [8] * dims), ignored, SelectItemsd(["image", "label"])]
    )
    loader = DataLoader(Dataset(data, transform), batch_sampler=LabelledUnlabelledSampler(data, 2))
    label = next(iter(loader))["label"].as_tensor()
    assert label.shape == (2, 1, *[8] * dims)
    assert label[0].max() == 1 and label[1].eq(255).all()
    logits = torch.randn(2, 2, *[8] * dims, requires_grad=True)
    SegmentationLoss("softmax")(logits, label).backward()
    assert logits.grad[0].abs().sum() > 0 and logits.grad[1].abs().sum() == 0

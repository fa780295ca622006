"""Semi-supervised training: labelled subsets by whole patients, and batches that are half labelled, half not.

Unlabelled images pass through training with a label of 255 everywhere (``kdseg.transforms.UnlabelledAsIgnoredd``): the
supervised loss does not see them, terms without labels work on them as on any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Sampler

from kdseg.data.lists.datalist import load_datalist, sections
from kdseg.errors import UserError

__all__ = ["LabelledUnlabelledSampler", "labelled_subset", "semi_supervised_records"]

Record = Mapping[str, Any]


def labelled_subset(
    records: Sequence[Record], cases: int, seed: int = 0
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Keep the labels of some patients; the images of all others become unlabelled.

    Whole patients, since slices of one are near copies of each other. With one seed the subsets are nested: the 2
    patients of one are among the 6 of the next. Graph Flow's curves on Synapse use 2, 6, 10, 14 and 18.

    Args:
        records: the training part of a data list; "patient" tells the patient, else "case".
        cases: number of patients whose labels are kept.
        seed: of the choice.

    Returns:
        The labelled records, and the others without their label; each in the order of ``records``.

    Raises:
        UserError: when there are fewer patients than ``cases``, or a record names neither patient nor case.

    Example:
        >>> records = [{"image": f"{i}.png", "label": f"{i}.png", "patient": f"p{i // 2}"} for i in range(6)]
        >>> labelled, unlabelled = labelled_subset(records, 1)
        >>> len(labelled), len(unlabelled), "label" in unlabelled[0]
        (2, 4, False)
    """
    names = [record.get("patient", record.get("case")) for record in records]
    if None in names:
        missing = names.index(None)
        found, expected = "neither patient nor case", "one of them, so that the subset is made of whole patients"
        fix = "write the data list with kdseg prepare"
        raise UserError(f"record {missing} of the data list", found=found, expected=expected, fix=fix)
    patients = sorted(set(map(str, names)))
    if not 1 <= cases <= len(patients):
        fix = f"choose at most {len(patients)}"
        raise UserError("labelled cases", found=str(cases), expected=f"1 to {len(patients)} patients", fix=fix)
    chosen = set(np.random.default_rng(seed).permutation(patients)[:cases].tolist())
    labelled: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []
    for record, name in zip(records, names, strict=True):
        if str(name) in chosen:
            labelled.append(dict(record))
        else:
            others.append({key: value for key, value in record.items() if key != "label"})
    return labelled, others


def semi_supervised_records(
    datalist: str | Path, fold: int | None = None, labelled_cases: int | None = None, seed: int = 0
) -> list[dict[str, Any]]:
    """The training records of a data list, labelled ones first, then those without a label.

    Args:
        datalist: as ``kdseg prepare`` writes it; its "unlabelled" section joins where there is one.
        fold: see :func:`kdseg.data.load_datalist`.
        labelled_cases: keep the labels of that many patients only, see :func:`labelled_subset`; None keeps all.
        seed: of the subset.
    """
    records = load_datalist(datalist, "training", fold)
    unlabelled: list[dict[str, Any]] = []
    if labelled_cases is not None:
        records, unlabelled = labelled_subset(records, labelled_cases, seed)
    if "unlabelled" in sections(datalist):
        unlabelled += load_datalist(datalist, "unlabelled")
    return [*records, *unlabelled]


class LabelledUnlabelledSampler(Sampler[list[int]]):
    """Batches of indices, the first half labelled and the second half not; the shorter list is cycled.

    An epoch goes once through the longer list unless ``batches`` says how long it is; both lists come in a new order
    each time (drawn from torch's generator, as in torch's own samplers). The last batch is filled up from the lists'
    beginning. Give it as ``batch_sampler`` of a data loader over the same records.

    Args:
        records: labelled and unlabelled records; one with a "label" is labelled.
        batch_size: images in a batch; of an odd number the labelled part is the larger.
        batches: length of an epoch.

    Raises:
        UserError: when one of the two lists is empty, or a batch cannot hold one of each.

    Example:
        >>> records = [{"image": "a", "label": "a"}, {"image": "b"}, {"image": "c"}, {"image": "d"}]
        >>> [sorted(batch) for batch in LabelledUnlabelledSampler(records, 4)][0][0]
        0
    """

    def __init__(self, records: Sequence[Record], batch_size: int, batches: int | None = None) -> None:
        self.labelled = [index for index, record in enumerate(records) if record.get("label") is not None]
        self.unlabelled = [index for index, record in enumerate(records) if record.get("label") is None]
        if not self.labelled or not self.unlabelled:
            found = f"{len(self.labelled)} labelled and {len(self.unlabelled)} unlabelled images"
            fix = "add images without masks, in a folder unlabelled/ beside the others, or leave --unlabelled out"
            raise UserError("semi-supervised training data", found=found, expected="at least one of each", fix=fix)
        if batch_size < 2:
            found = str(batch_size)
            raise UserError("batch_size", found=found, expected="2 or more, half of them labelled", fix="use 2")
        self.shares = batch_size - batch_size // 2, batch_size // 2
        self.batches = batches

    def __len__(self) -> int:
        if self.batches is not None:
            return self.batches
        lists = (self.labelled, self.unlabelled)
        return max(-(-len(indices) // share) for indices, share in zip(lists, self.shares, strict=True))

    def __iter__(self) -> Iterator[list[int]]:
        first, second = _endless(self.labelled), _endless(self.unlabelled)
        for _ in range(len(self)):
            yield [*islice(first, self.shares[0]), *islice(second, self.shares[1])]


def _endless(indices: Sequence[int]) -> Iterator[int]:
    return cycle([indices[place] for place in torch.randperm(len(indices)).tolist()])

"""The abdominal CT set "Beyond the Cranial Vault" (BTCV, Synapse syn3193805) in the forms that people have it."""

from __future__ import annotations

import re

from kdseg.data.layouts.generic import find_generic
from kdseg.data.layouts.layout import Found, Search
from kdseg.data.layouts.transunet import has_transunet_files, volumes_of_transunet
from kdseg.data.lists.datalist import Record
from kdseg.data.lists.published import published_list
from kdseg.errors import UserError

__all__ = ["find_synapse", "published_split"]

NAME = "synapse_multiorgan"


def find_synapse(search: Search) -> Found:
    """Cases of BTCV, or of any abdominal CT set whose label values have a ``labels.json``.

    - NIfTI as distributed: ``img/img0001.nii.gz`` and ``label/label0001.nii.gz``;
    - as prepared by TransUNet: ``*.npz`` slices and ``*.npy.h5`` volumes (labels of 8 organs already);
    - all that the generic layout knows.

    Raises:
        UserError: when the folder is not there or has no volumes.
    """
    published = published_list(NAME)
    if search.source.is_dir() and has_transunet_files(search.source):
        found = volumes_of_transunet(search.source, search.made)
        found.labels = published["labels_of_transunet"]
    else:
        found = find_generic(search)
        found.labels = found.labels or published["labels"]
    for record in found.records:
        if re.fullmatch(r"(img|case)\d{4}", record["case"]):
            # one scan of each patient in the public set
            record.setdefault("patient", record["case"])
    return found


def published_split(records: list[Record]) -> list[Record]:
    """The 18 training and 12 test cases of TransUNet; other cases are left aside.

    Raises:
        UserError: when none of the cases is one of them.
    """
    published = published_list(NAME)
    section_of = {case: section for section in ("training", "test") for case in published[section]}
    chosen = []
    for record in records:
        number = re.search(r"(\d{4})$", record["case"])
        if number and number[1] in section_of:
            chosen.append(record | {"section": section_of[number[1]]})
    if not chosen:
        found, fix = "no case that ends in one of the published numbers", "use --protocol random for another data set"
        raise UserError("protocol published", found=found, expected="cases such as img0001 or case0005", fix=fix)
    return chosen

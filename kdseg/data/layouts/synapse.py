"""The abdominal CT set "Beyond the Cranial Vault" (BTCV, Synapse syn3193805) in the forms that people have it."""

from __future__ import annotations

import re

from kdseg.data.layouts.generic import find_generic
from kdseg.data.layouts.layout import Found, Search
from kdseg.data.layouts.transunet import TRANSUNET_LABELS, has_transunet_files, volumes_of_transunet
from kdseg.data.lists.datalist import Record
from kdseg.data.lists.published import published_cases
from kdseg.errors import UserError

__all__ = ["BTCV_LABELS", "find_synapse", "published_split"]

PUBLISHED = ("training", "test")

BTCV_LABELS = {
    "0": "background",
    "1": "spleen",
    "2": "right_kidney",
    "3": "left_kidney",
    "4": "gallbladder",
    "5": "esophagus",
    "6": "liver",
    "7": "stomach",
    "8": "aorta",
    "9": "inferior_vena_cava",
    "10": "portal_and_splenic_vein",
    "11": "pancreas",
    "12": "right_adrenal_gland",
    "13": "left_adrenal_gland",
}
"""Value in the label files of the challenge → name."""


def find_synapse(search: Search) -> Found:
    """Cases of BTCV, or of any abdominal CT set whose label values have a ``labels.json``.

    - NIfTI as distributed: ``img/img0001.nii.gz`` and ``label/label0001.nii.gz``;
    - as prepared by TransUNet: ``*.npz`` slices and ``*.npy.h5`` volumes (labels of 8 organs already);
    - all that the generic layout knows.

    Raises:
        UserError: when the folder is not there or has no volumes.
    """
    if search.source.is_dir() and has_transunet_files(search.source):
        found = volumes_of_transunet(search.source, search.made)
        found.labels = TRANSUNET_LABELS
    else:
        found = find_generic(search)
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
    section_of = {case: section for section in PUBLISHED for case in published_cases("synapse_multiorgan", section)}
    chosen = []
    for record in records:
        number = re.search(r"(\d{4})$", record["case"])
        if number and number[1] in section_of:
            chosen.append(record | {"section": section_of[number[1]]})
    if not chosen:
        raise UserError(
            "protocol published",
            found="no case that ends in one of the published numbers",
            expected="cases such as img0001 or case0005",
            fix="use --protocol random for another data set",
        )
    return chosen

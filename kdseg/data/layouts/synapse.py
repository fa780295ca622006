"""The abdominal CT set "Beyond the Cranial Vault" (BTCV, Synapse syn3193805) in the forms that people have it."""

from __future__ import annotations

import re
from pathlib import Path

from kdseg.data.checks.usable_volumes import label_names
from kdseg.data.layouts.found import Found
from kdseg.data.layouts.names import name_cases
from kdseg.data.layouts.transunet import TRANSUNET_LABELS, has_transunet_files, volumes_of_transunet
from kdseg.data.layouts.volume_pairs import Naming, find_volumes
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


def find_synapse(source: Path, made: Path) -> Found:
    """Cases of BTCV below ``source``, or of any abdominal CT set whose label values have a ``labels.json``.

    - NIfTI as distributed: ``img/img0001.nii.gz`` and ``label/label0001.nii.gz``;
    - as prepared by TransUNet: ``*.npz`` slices and ``*.npy.h5`` volumes (labels of 8 organs already);
    - DICOM CT series, with label maps as NIfTI, DICOM SEG or RTSTRUCT, whose structures are told by their names.

    Args:
        source: the folder to look through.
        made: where volumes are written that have to be made of TransUNet's files.

    Raises:
        UserError: when the folder is not there or has no volumes.
    """
    if source.is_dir() and has_transunet_files(source):
        found = volumes_of_transunet(source, made)
        found.labels = TRANSUNET_LABELS
    else:
        found = find_volumes(source, Naming(modality="CT"))
        found.labels = label_names(source / "labels.json") or BTCV_LABELS
    name_cases(found, source)
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

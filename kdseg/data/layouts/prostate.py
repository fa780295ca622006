"""Prostate T2 MRI of six sites (116 volumes) as its public release has it: a folder for each site."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from kdseg.data.layouts.generic import find_generic
from kdseg.data.layouts.layout import Found, Search
from kdseg.data.lists.datalist import Record
from kdseg.data.lists.folder_names import IMAGE_FOLDERS, MASK_FOLDERS
from kdseg.data.lists.published import published_list
from kdseg.data.open import file_kind
from kdseg.errors import UserError

__all__ = ["PROSTATE_LABELS", "PROTOCOLS", "find_prostate", "protocol"]

PROSTATE_LABELS = {"0": "background", "1": "prostate", "2": "prostate"}
"""The NCI-ISBI sites tell zone 1 from zone 2; the task is the whole gland."""

SITES = ("RUNMC", "BMC", "I2CVB", "UCL", "BIDMC", "HK")
"""In the order A to F of the papers."""

# other names that copies of the release have for the same folders
_OTHER_NAMES = {"hcrudb": "I2CVB", **{f"site{letter}": site for letter, site in zip("abcdef", SITES, strict=True)}}
UNKNOWN_SITE = "own"


def find_prostate(search: Search) -> Found:
    """Cases with their site: ``RUNMC/Case00.nii.gz`` with ``RUNMC/Case00_segmentation.nii.gz``.

    The release has its traps, which are met here: BMC writes ``_Segmentation`` and has some files under both names;
    case numbers repeat from site to site, so that a case is named ``RUNMC_Case00``; label values 1 and 2 are both
    prostate. Folders of other names are sites of their own; volumes in no folder are of the site "own". DICOM series
    are read too, with label maps as NIfTI, DICOM SEG or RTSTRUCT.

    Raises:
        UserError: when the folder is not there or has no volumes.
    """
    found = find_generic(search)
    for record in found.records:
        record["site"], folders = _place(Path(record["image"]), search.source)
        if record["site"] != UNKNOWN_SITE and not record["case"].startswith(record["site"]):
            record["case"] = f"{record['site']}_{record['case']}"
        record.setdefault("patient", "_".join([record["site"], *folders]) if folders else record["case"])
    _compare_with_published(found)
    return found


def protocol(training: tuple[str, ...] | None, test: tuple[str, ...]) -> Callable[[list[Record]], list[Record]]:
    """Sites for training (None: all others) → unseen sites for the test.

    Example:
        >>> sources_to_targets = protocol(("RUNMC",), ("HK",))
        >>> [record["section"] for record in sources_to_targets([{"site": "HK"}, {"site": "RUNMC"}, {"site": "UCL"}])]
        ['test', 'training']
    """

    def divide(records: list[Record]) -> list[Record]:
        chosen = []
        for record in records:
            site = record["site"]
            section = "test" if site in test else "training" if training is None or site in training else None
            if section and record.get("section") != "unlabelled":
                chosen.append(record | {"section": section})
        present = {record["section"] for record in chosen}
        if missing := {"training", "test"} - present:
            sites = ", ".join(sorted({record["site"] for record in records}))
            expected = f"training sites {', '.join(training or ('all others',))} and test sites {', '.join(test)}"
            fix = "bring these sites, or choose another --protocol"
            found = f"the sites {sites}: none for {', '.join(sorted(missing))}"
            raise UserError("protocol", found=found, expected=expected, fix=fix)
        return chosen

    return divide


PROTOCOLS = {
    "sources_to_targets": protocol(SITES[:3], SITES[3:]),
    **{f"leave_out_{site}": protocol(None, (site,)) for site in SITES},
}
"""Beside "random", which pools all sites and divides each set of patients by fractions."""


def _place(path: Path, source: Path) -> tuple[str, list[str]]:
    """The site of a volume, and the folders within the site: those of its patient, if there are any."""
    known = {site.lower(): site for site in SITES} | _OTHER_NAMES
    folders = [
        part for part in path.relative_to(source).parent.parts if part.lower() not in IMAGE_FOLDERS | MASK_FOLDERS
    ]
    for place, folder in enumerate(folders):
        name = "".join(letter for letter in folder.lower() if letter.isalnum())
        if name in known:
            return known[name], folders[place + 1 :]
    # the folder of a DICOM case alone is no site
    if not folders or (len(folders) == 1 and file_kind(path) == "dicom"):
        return UNKNOWN_SITE, folders
    return folders[0], folders[1:]


def _compare_with_published(found: Found) -> None:
    """Remark sites whose number of cases is not the published one."""
    counts = Counter(record["site"] for record in found.records if "label" in record)
    published = {site: len(cases) for site, cases in published_list("prostate_mri")["sites"].items()}
    differing = [
        f"{site} {counts[site]} of {number}" for site, number in published.items() if 0 < counts[site] != number
    ]
    if differing:
        found.notes.append(f"sites with another number of labelled cases than published: {', '.join(differing)}")

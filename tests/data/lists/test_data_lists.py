"""The published divisions that ship with kdseg."""

from __future__ import annotations

import json
from pathlib import Path

from kdseg.data.layouts.prostate import PROTOCOLS, SITES
from kdseg.data.lists.published import published_list
from kdseg.data.lists.semi_supervised import labelled_subset

LISTS = Path(__file__).parents[3] / "data_lists"


def test_the_18_and_12_cases_of_synapse() -> None:
    content = published_list("synapse_multiorgan")
    training, test = content["training"], content["test"]
    assert (len(training), len(test)) == (18, 12)
    assert len({*training, *test}) == 30, "ids are unique, and no patient is on both sides"
    assert all(case.isdigit() and len(case) == 4 for case in (*training, *test))


def test_the_labelled_subsets_are_nested_and_what_the_overlay_takes() -> None:
    content = published_list("synapse_multiorgan")
    subsets = {int(count): cases for count, cases in content["labelled_subsets"].items() if count.isdigit()}
    assert {count: len(cases) for count, cases in subsets.items()} == {2: 2, 6: 6, 10: 10, 14: 14, 18: 18}
    records = [{"image": case, "label": case, "patient": case} for case in content["training"]]
    previous: set[str] = set()
    for count, cases in sorted(subsets.items()):
        assert previous <= set(cases) <= set(content["training"])
        assert sorted(record["image"] for record in labelled_subset(records, count)[0]) == cases
        previous = set(cases)


def test_the_116_cases_of_six_prostate_sites() -> None:
    content = published_list("prostate_mri")
    assert tuple(content["sites"]) == SITES
    assert [len(cases) for cases in content["sites"].values()] == [30, 30, 19, 13, 12, 12]
    assert all(len(set(cases)) == len(cases) for cases in content["sites"].values())
    assert "Case01" not in content["sites"]["BIDMC"]
    assert set(content["protocols"]) == set(PROTOCOLS)
    for protocol in content["protocols"].values():
        assert not set(protocol["training"]) & set(protocol["test"])


def test_no_list_names_files_or_images() -> None:
    for path in LISTS.glob("*.json"):
        text = path.read_text()
        assert ".nii" not in text and "/" not in json.dumps(json.loads(text)).replace("arXiv", "")

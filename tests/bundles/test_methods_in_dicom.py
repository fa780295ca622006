"""Every method of the papers by DICOM series; what a training sees of them is what it sees of NIfTI files."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch

from kdseg.configuration import compose_bundle, run_bundle
from kdseg.data.lists.datalist import SECTIONS, load_datalist
from kdseg.distill.methods import METHODS
from kdseg.networks import UNet
from tests.bundles.tiny_bundles import BUNDLES, FORMS, TinyBundle

WIDTH = 3


def published(bundle: TinyBundle) -> list[str]:
    """The methods of the bundle's papers, as its metadata names them."""
    metadata = json.loads((bundle.folder / "configs" / "metadata.json").read_text(encoding="utf-8"))
    return metadata["distillation"]["methods"]


@pytest.fixture(scope="module", params=list(BUNDLES.values()), ids=list(BUNDLES))
def lists(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The bundle, its tiny cases in both forms, and a teacher's weights."""
    bundle: TinyBundle = request.param
    folder = tmp_path_factory.mktemp(f"{bundle.name}_dicom")
    channels = (1, 9) if bundle.name == "synapse_multiorgan" else (3, 2)
    torch.manual_seed(0)
    torch.save(UNet(2, *channels, base_channels=WIDTH).state_dict(), folder / "teacher.pt")
    return {"bundle": bundle, "folder": folder, **{form: str(bundle.prepare(folder, form)) for form in FORMS}}


def settings(lists: dict[str, Any], form: str, output: str) -> dict[str, Any]:
    known = {"datalist": lists[form], "output_dir": str(lists["folder"] / output)}
    return {**lists["bundle"].settings, **lists["bundle"].teacher(), **known}


def test_every_method_of_the_papers_trains_on_dicom(lists: dict[str, Any]) -> None:
    bundle = lists["bundle"]
    for method in published(bundle):
        known = settings(lists, "dicom", method)
        known |= {"method": method, "teacher": str(lists["folder"] / "teacher.pt"), "paraphraser_steps": 1}
        workflow = run_bundle(bundle.folder, ["train", "distill"], known)
        means = workflow.parser.get_parsed_content("train#trainer").state.term_means
        assert set(METHODS[method].terms) & set(means) and all(math.isfinite(value) for value in means.values())
        assert torch.load(lists["folder"] / method / "model.pt", weights_only=True)


def test_a_training_sees_the_same_of_both_forms(lists: dict[str, Any]) -> None:
    seen: dict[str, dict[str, Any]] = {}
    for form in FORMS:
        workflow = compose_bundle(lists["bundle"].folder, ["train"], settings(lists, form, "batches"))
        transform = workflow.parser.get_parsed_content("train#preprocessing")
        records = [record for section in SECTIONS[:3] for record in load_datalist(lists[form], section)]
        for record in records:
            transform.set_random_state(0)
            # img0001 as NIfTI is the folder 0001 as DICOM
            seen.setdefault(record["case"].removeprefix("img"), {})[form] = transform(record)
    assert len(seen) == 4
    for of_case in seen.values():
        one, other = (of_case[form] for form in FORMS)
        assert torch.allclose(one["image"], other["image"], atol=1e-4) and torch.equal(one["label"], other["label"])

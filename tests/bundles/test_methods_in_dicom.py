"""Every method of the papers by DICOM series; what a training sees of them is what it sees of NIfTI files."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from kdseg.configuration import compose_bundle
from kdseg.data.lists.datalist import SECTIONS, load_datalist
from kdseg.distill.methods import METHODS
from tests.bundles.tiny_bundles import FORMS, VOLUMES, TinyBundle
from tests.tasks import TEACHER, trained_folder


def published(bundle: TinyBundle) -> list[str]:
    """The methods of the bundle's papers, as its metadata names them."""
    metadata = json.loads((bundle.configs / "metadata.json").read_text(encoding="utf-8"))
    return metadata["distillation"]["methods"]


@pytest.fixture(scope="module", params=list(VOLUMES.values()), ids=list(VOLUMES))
def bundle(request: pytest.FixtureRequest) -> TinyBundle:
    return request.param


@pytest.fixture(scope="module")
def work(bundle: TinyBundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its tiny cases in both forms, and a teacher."""
    folder = tmp_path_factory.mktemp(f"{bundle.name}_dicom")
    for form in FORMS:
        bundle.prepare(folder, form)
    task = compose_bundle(bundle.folder, ["train"], bundle.settings(folder, "any")).parser.get_parsed_content("task")
    trained_folder(folder / "teacher", task.changed({"network": TEACHER}))
    return folder


def test_every_method_of_the_papers_trains_on_dicom(bundle: TinyBundle, work: Path) -> None:
    for method in published(bundle):
        workflow = bundle.distill(work, method, form="dicom", method=method)
        means = workflow.parser.get_parsed_content("train#trainer").state.term_means
        assert set(METHODS[method].terms) & set(means) and all(math.isfinite(value) for value in means.values())
        assert torch.load(work / method / "model.pt", weights_only=True)


def test_a_training_sees_the_same_of_both_forms(bundle: TinyBundle, work: Path) -> None:
    seen: dict[str, dict[str, dict[str, torch.Tensor]]] = {}
    for form in FORMS:
        workflow = compose_bundle(bundle.folder, ["train"], bundle.settings(work, "batches", form))
        transform = workflow.parser.get_parsed_content("train#preprocessing")
        datalist = work / f"{form}.json"
        for record in [record for section in SECTIONS[:3] for record in load_datalist(datalist, section)]:
            transform.set_random_state(0)
            # img0001 as NIfTI is the folder 0001 as DICOM
            seen.setdefault(record["case"].removeprefix("img"), {})[form] = transform(record)
    assert len(seen) == 4
    for of_case in seen.values():
        one, other = (of_case[form] for form in FORMS)
        assert torch.allclose(one["image"], other["image"], atol=1e-4) and torch.equal(one["label"], other["label"])

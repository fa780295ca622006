"""Inference and evaluation on real series: a DICOM series and a NIfTI file of it give the same mask in the world."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch

from kdseg.configuration import bundle_folder, run_bundle
from kdseg.networks import ENet
from tests.data.make_files import prepare_task

# TotalSegmentator's numbers of the eight organs
ORGANS = {52: "aorta", 4: "gallbladder", 3: "left_kidney", 2: "right_kidney"}
ORGANS |= {5: "liver", 7: "pancreas", 1: "spleen", 6: "stomach"}


def weights(folder: Path, in_channels: int, out_channels: int) -> dict[str, Any]:
    """A network that was not trained, but marks something: what it marks depends on every voxel's value and place."""
    torch.manual_seed(0)
    network = ENet(2, in_channels, out_channels).eval()
    path = folder / "model.pt"
    torch.save(network.state_dict(), path)
    definition = {"_target_": "kdseg.networks.ENet", "in_channels": "@in_channels", "out_channels": "@out_channels"}
    return {"checkpoint": str(path), "network_def": definition, "device": "$torch.device('cpu')"}


def canonical(path: Path) -> tuple[np.ndarray, np.ndarray]:
    image = nibabel.as_closest_canonical(nibabel.load(path))
    return np.asarray(image.dataobj), image.affine


def masks(bundle: str, source: Path, output: Path, known: dict[str, Any]) -> list[Path]:
    run = {"dataset_dir": str(source), "output_dir": str(output), "patch_size": [64, 64], **known}
    workflow = run_bundle(bundle_folder(bundle), ["inference", "inference_dicom"], run, kind="infer")
    assert workflow.parser.get_parsed_content("dataset").failures == []
    return sorted(output.rglob("*_mask.nii.gz"))


def assert_same_in_the_world(one: Path, other: Path) -> None:
    (first, first_affine), (second, second_affine) = canonical(one), canonical(other)
    assert np.allclose(first_affine, second_affine, atol=1e-3) and first.shape == second.shape
    assert first.any() and not first.all()
    assert (first != second).mean() < 1e-4


def test_abdominal_ct(shared_data: Path, tmp_path: Path) -> None:
    import SimpleITK

    series = shared_data / "abdomen_ct" / "dicom"
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(series)))
    converted = tmp_path / "converted.nii.gz"
    # stored the other way round: the same voxels at the same places
    SimpleITK.WriteImage(SimpleITK.DICOMOrient(reader.Execute(), "RAS"), str(converted))
    known = weights(tmp_path, 1, 9)
    from_dicom = masks("synapse_multiorgan", series, tmp_path / "dicom", known)
    from_nifti = masks("synapse_multiorgan", converted, tmp_path / "nifti", known)
    assert [path.name for path in from_dicom] == ["dicom_mask.nii.gz"]
    assert_same_in_the_world(from_dicom[0], from_nifti[0])


def test_prostate_mri(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "prostate_mri"
    known = weights(tmp_path, 3, 2)
    from_dicom = masks("prostate_mri", folder / "dicom_0000", tmp_path / "dicom", known)
    from_nifti = masks("prostate_mri", folder / "0000_t2.nii.gz", tmp_path / "nifti", known)
    assert_same_in_the_world(from_dicom[0], from_nifti[0])


@pytest.mark.parametrize("bundle", ["synapse_multiorgan", "prostate_mri"])
def test_prepare_and_evaluate(bundle: str, shared_data: Path, tmp_path: Path) -> None:
    folder = "abdomen_ct" if bundle == "synapse_multiorgan" else "prostate_mri"
    source = tmp_path / "source"
    for path in (shared_data / folder).rglob("*"):
        link = source / path.relative_to(shared_data / folder)
        link.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            link.symlink_to(path)
    if bundle == "synapse_multiorgan":
        (source / "labels.json").write_text(json.dumps({n: ORGANS.get(n, f"other_{n}") for n in range(1, 118)}))
    result = prepare_task(bundle, source, tmp_path / "list.json", fractions=(0.5, 0, 0.5))
    assert result.counts["training"] == result.counts["test"] == 1
    reasons = [problem["reason"] for problem in result.problems]
    assert reasons == ([] if bundle == "synapse_multiorgan" else ["the same volume as case 0000_t2"])
    output = {"output_dir": str(tmp_path), "datalist": str(tmp_path / "list.json"), "mlflow": False}
    channels = (1, 9) if bundle == "synapse_multiorgan" else (3, 2)
    known = weights(tmp_path, *channels) | output | {"patch_size": [64, 64]}
    # no distances: between the surfaces of noise, which this network marks, they take a minute
    known |= {"metrics": ["dice", "dice_transunet"] if bundle == "synapse_multiorgan" else ["dice"]}
    listed = json.loads((tmp_path / "list.json").read_text())
    # of the abdomens the one in DICOM
    section = next(part for part in ("test", "training") if bundle == "prostate_mri" or _is_dicom(listed[part][0]))
    run_bundle(bundle_folder(bundle), ["train", "evaluate"], known | {"section": section})
    with (tmp_path / f"evaluation_{section}" / "cases.csv").open() as stream:
        (row,) = csv.DictReader(stream)
    assert 0 <= float(row["dice"]) < 0.5
    assert ("site" in row) == (bundle == "prostate_mri")


def _is_dicom(record: dict[str, Any]) -> bool:
    return not record["image"].endswith(".nii.gz")

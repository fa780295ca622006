"""How much memory a prediction takes: a CT of 512×512×200 with 8 organs, as a DICOM series, and plain MONAI beside it.

    python benchmarks/predict_memory.py                        all arms
    python benchmarks/predict_memory.py --arm "2-D to SEG"     one of them (may be repeated)

Each arm runs in a process of its own and reads the same series: ``kdseg predict`` of a 2-D student (slices of 224²) and
of a 3-D one (windows of 96³ at 1.5×1.5×2 mm), to NIfTI and to SEG, and the 2-D network in the transforms that a MONAI
inference configuration usually has: logits, inverted to full size, then argmax. Printed in Markdown: the process's peak
resident memory above what it was before anything was read, and in all; seconds.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SHAPE = (512, 512, 200)
SPACING = (0.8, 0.8, 2.0)
ORGANS = ["aorta", "gallbladder", "left_kidney", "right_kidney", "liver", "pancreas", "spleen", "stomach"]
NETWORK = {"name": "thin_unet", "base_channels": 2}
ARMS = ("2-D to NIfTI", "2-D to SEG", "3-D to NIfTI", "3-D to SEG", "plain MONAI, 2-D")


def write_series(folder: Path) -> None:
    """Noise in HU, of the shape and spacing above."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    from kdseg.phantom.dicom import new_file

    random, space = np.random.default_rng(0), generate_uid()
    for index in range(SHAPE[2]):
        file = new_file("CT", CTImageStorage, patient=1, series=1, seed=0)
        file.SOPInstanceUID, file.InstanceNumber, file.FrameOfReferenceUID = generate_uid(), index + 1, space
        file.ImagePositionPatient, file.ImageOrientationPatient = [0, 0, SPACING[2] * index], [1, 0, 0, 0, 1, 0]
        file.PixelSpacing, file.SliceThickness = list(SPACING[:2]), SPACING[2]
        file.RescaleSlope, file.RescaleIntercept = 1, -1024
        file.Rows, file.Columns, file.SamplesPerPixel = *SHAPE[:2], 1
        file.PhotometricInterpretation, file.PixelRepresentation = "MONOCHROME2", 0
        file.BitsAllocated, file.BitsStored, file.HighBit = 16, 12, 11
        file.PixelData = random.integers(900, 1300, SHAPE[:2], dtype=np.uint16).tobytes()
        file.file_meta = FileMetaDataset()
        file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        file.save_as(folder / f"{index}.dcm", enforce_file_format=True)


def write_student(folder: Path, dimensions: int) -> None:
    """Weights that are not trained: what they find is noise, and costs the same."""
    import torch

    from kdseg.task import Task, network

    size = {"patch_size": [96] * 3, "spacing": [1.5, 1.5, 2.0]} if dimensions == 3 else {"patch_size": [224, 224]}
    task = Task("organs", "volume", ORGANS, NETWORK, window=[-125, 275], dimensions=dimensions, divisible=16, **size)
    folder.mkdir()
    torch.save(network(task).state_dict(), folder / "model.pt")
    task.write(folder)


def peak() -> float:
    """Greatest resident memory of this process so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def predict(work: Path, arm: str) -> tuple[float, float, dict[str, float]]:
    from kdseg.deploy import load, predict_files

    student = load(work / arm[:3], device="cpu")
    before, started = peak(), time.perf_counter()
    form = "seg" if arm.endswith("SEG") else "nifti"
    done = predict_files(student, work / "series", work / "out" / arm, formats=[form])
    assert not done.set_aside, done.set_aside
    return peak() - before, time.perf_counter() - started, done.cases[0]["stages"]


def plain(work: Path) -> tuple[float, float, dict[str, float]]:
    import torch
    from monai.data import MetaTensor
    from monai.inferers import SliceInferer
    from monai.transforms import (
        Activationsd,
        AsDiscreted,
        Compose,
        EnsureChannelFirstd,
        Invertd,
        LoadImaged,
        Orientationd,
        Resized,
        SaveImaged,
        ScaleIntensityRanged,
    )

    from kdseg.task import open_trained

    network = open_trained(work / "2-D").network()
    before, started = peak(), time.perf_counter()
    prepare = Compose(
        [
            LoadImaged("image", reader="PydicomReader"),
            EnsureChannelFirstd("image"),
            Orientationd("image", axcodes="RAS", labels=None),
            ScaleIntensityRanged("image", -125, 275, 0.0, 1.0, clip=True),
            Resized("image", (224, 224, -1)),
        ]
    )
    item = prepare({"image": str(work / "series")})
    with torch.no_grad():
        item["pred"] = MetaTensor(
            SliceInferer(roi_size=(224, 224), sw_batch_size=8, spatial_dim=2)(item["image"][None], network)[0]
        )
    finish = Compose(
        [
            Activationsd("pred", softmax=True),
            Invertd("pred", prepare, "image", nearest_interp=False, to_tensor=True),
            AsDiscreted("pred", argmax=True),
            SaveImaged("pred", output_dir=work / "out" / "plain", print_log=False),
        ]
    )
    finish(item)
    return peak() - before, time.perf_counter() - started, {}


def measure(work: Path, arm: str) -> None:
    memory, seconds, stages = plain(work) if "plain" in arm else predict(work, arm)
    told = ", ".join(f"{name} {value:.1f}" for name, value in stages.items())
    print(f"| {arm} | {memory:.2f} | {peak():.2f} | {seconds:.0f} | {told} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arm", choices=ARMS, action="append", help="measure this arm alone")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        measure(arguments.work, arguments.arm[0])
        return
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "series").mkdir()
        write_series(work / "series")
        for dimensions in (2, 3):
            write_student(work / f"{dimensions}-D", dimensions)
        print("| arm | GB more | GB in all | s | s of each stage |\n|---|---:|---:|---:|---|", flush=True)
        for arm in arguments.arm or ARMS:
            subprocess.run([sys.executable, __file__, "--arm", arm, "--work", folder], check=False)


if __name__ == "__main__":
    main()

"""Frames per second of an XA cine, DICOM in to DICOM SEG out, with the seconds of each stage.

    python benchmarks/cine_speed.py                     a cine of 96 frames of 512×512 that is drawn here
    python benchmarks/cine_speed.py --cine FILE.dcm     a cine of yours
    python benchmarks/cine_speed.py --student FOLDER    a trained student; else a ThinUNet that is not trained

The cine is segmented ``--repeats`` times in one process, as files of a folder, so that reading and writing overlap with
the network as they do in a study; before that once, which does not count. Printed in Markdown.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np

STAGES = ("read", "prepare", "network", "finish", "write")


def draw_cine(path: Path, frames: int = 96, size: int = 512) -> None:
    """One drawn angiogram, moving, as JPEG."""
    import imagecodecs
    from pydicom import dcmread
    from pydicom.encaps import encapsulate
    from pydicom.uid import JPEGBaseline8Bit

    from kdseg.phantom import make_phantom
    from kdseg.phantom.dicom import XA_STORAGE, finish, new_file

    picture = make_phantom(np.random.default_rng(0), size)[0]
    file = new_file("XA", XA_STORAGE, patient=1, series=1, seed=0)
    file.NumberOfFrames, file.FrameTime, file.FrameIncrementPointer = frames, "33.3", 0x00181063
    file.Rows, file.Columns, file.SamplesPerPixel, file.PhotometricInterpretation = size, size, 1, "MONOCHROME2"
    finish(file, path, picture.tobytes() * frames, 8)
    stored = dcmread(path)
    moved = [bytes(imagecodecs.jpeg8_encode(np.roll(picture, step % 9, axis=1), level=90)) for step in range(frames)]
    stored.PixelData = encapsulate(moved)
    stored["PixelData"].is_undefined_length = True
    stored.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    stored.save_as(path, enforce_file_format=True)


def write_student(folder: Path, base_channels: int) -> None:
    """ThinUNet as the coronary bundle feeds it."""
    import torch

    from kdseg.configuration import bundle_folder
    from kdseg.task import network, read_task

    task = read_task(bundle_folder("coronary_angiogram"))
    task = task.changed({"network": {"name": "thin_unet", "base_channels": base_channels}})
    folder.mkdir()
    torch.save(network(task).state_dict(), folder / "model.pt")
    task.write(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cine", type=Path, help="a DICOM cine in place of the drawn one")
    parser.add_argument("--student", type=Path, help="a trained network's folder")
    parser.add_argument("--base-channels", type=int, default=4, help="of the ThinUNet (default 4)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of the network")
    parser.add_argument("--repeats", type=int, default=3, help="how often it is segmented")
    parser.add_argument("--format", default="seg", help="nifti, seg, capture; several with commas")
    arguments = parser.parse_args()

    import torch

    from kdseg.deploy import load, predict_files

    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if arguments.student is None:
            write_student(work / "student", arguments.base_channels)
        student = load(arguments.student or work / "student", device="cpu", frame="all")
        (work / "cines").mkdir()
        first = work / "cines" / "0.dcm"
        if arguments.cine is None:
            draw_cine(first)
        else:
            shutil.copy(arguments.cine, first)
        formats = arguments.format.split(",")
        predict_files(student, first, work / "once", formats=formats)
        for number in range(1, arguments.repeats):
            shutil.copy(first, work / "cines" / f"{number}.dcm")
        started, worked = time.perf_counter(), time.process_time()
        done = predict_files(student, work / "cines", work / "masks", formats=formats)
        seconds, worked = time.perf_counter() - started, time.process_time() - worked
        frames = sum(case["frames"] for case in done.cases)
        assert not done.set_aside, done.set_aside

        spent = {name: sum(case["stages"][name] for case in done.cases) for name in STAGES}
        told = f"{frames} frames, {arguments.threads} threads, {', '.join(formats)}"
        print(f"{told}: {frames / seconds:.1f} frames per second")
        # what else the machine does only adds to the seconds, not to the processor's time
        print(f"processor time {1000 * worked / frames:.1f} ms a frame")
        print("\n| stage | ms a frame | of all |\n|---|---:|---:|")
        for name, value in spent.items():
            print(f"| {name} | {1000 * value / frames:.2f} | {value / sum(spent.values()):.0%} |")
        slowest = max(spent, key=lambda name: spent[name])
        overlap = seconds / sum(spent.values())
        print(f"\nWhat limits: {slowest}. Beside each other the stages take {overlap:.0%} of their sum.")


if __name__ == "__main__":
    main()

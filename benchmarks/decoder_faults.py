"""What pydicom's decoders do with damaged frames: a picture, an error, no answer, or the end of the process.

    python benchmarks/decoder_faults.py ../shared/data --frames 300

Each plug-in that is installed gets the same frames, each in a process of its own: bytes changed at random, two thirds
of them within the first 200, three in ten frames cut off; then the undamaged frame cut in five places. Needs ``fork``.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import signal
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels import get_decoder

from kdseg.data.formats.dicom.decoders import decoder_of

FILES = [
    "dicom_series/compressed_jpeg/IM-0001-0002-0001.dcm",
    "dicom_series/compressed_jpegls/IM-0001-0002-0001.dcm",
    "dicom_series/compressed_j2k/IM-0001-0002-0001.dcm",
    "dicom_series/compressed_rle/IM-0001-0002-0001.dcm",
    "angiograms/cine_96_frames_jpeg.dcm",
]
SECONDS = 8


def damaged(frame: bytes, count: int) -> Iterator[bytes]:
    draw = random.Random(0)
    for _ in range(count):
        changed = bytearray(frame)
        within = draw.choice((40, 200, len(frame)))
        for _ in range(draw.choice((1, 1, 2, 8))):
            changed[draw.randrange(within)] = draw.randrange(256)
        yield bytes(changed[: draw.randrange(2, len(changed))] if draw.random() < 0.3 else changed)


def outcome(dataset: Dataset, frame: bytes, plugin: str, whole: np.ndarray) -> str:
    dataset.PixelData = encapsulate([frame])
    child = os.fork()
    if child == 0:
        signal.alarm(SECONDS)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            values, _ = get_decoder(dataset.file_meta.TransferSyntaxUID).as_array(dataset, decoding_plugin=plugin)
            os._exit(0 if np.array_equal(values, whole) else 1)
        except Exception:
            os._exit(2)
        # what is no Exception would end the process
        except BaseException:
            os._exit(3)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return "no answer" if os.WTERMSIG(status) == signal.SIGALRM else "process ended"
    return ("whole picture", "other picture", "error", "process ended")[os.WEXITSTATUS(status)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a copy of shared/data")
    parser.add_argument("--frames", type=int, default=300, help="damaged frames of each file")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable()
    changed, cut = defaultdict(Counter), defaultdict(Counter)
    for name in FILES:
        dataset = dcmread(arguments.data / name)
        frame = next(generate_frames(dataset.PixelData, number_of_frames=int(dataset.get("NumberOfFrames") or 1)))
        dataset.NumberOfFrames = 1
        own, decoder = decoder_of(dataset), get_decoder(dataset.file_meta.TransferSyntaxUID)
        dataset.PixelData = encapsulate([frame])
        for plugin in decoder.available_plugins:
            whole, _ = decoder.as_array(dataset, decoding_plugin=plugin)
            key = (decoder.UID.name, f"{plugin}{' (ours)' if plugin == own else ''}")
            for one in damaged(frame, arguments.frames):
                changed[key][outcome(dataset, one, plugin, whole)] += 1
            for share in (0.02, 0.1, 0.5, 0.9, 0.98):
                cut[key][outcome(dataset, frame[: int(len(frame) * share)], plugin, whole)] += 1
            dataset.PixelData = encapsulate([frame])
            print(*key, "changed:", dict(changed[key]), "cut:", dict(cut[key]), sep=" | ", flush=True)


if __name__ == "__main__":
    main()

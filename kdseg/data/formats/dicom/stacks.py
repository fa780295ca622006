"""Frames of a folder, divided into stacks: slices that together are one volume."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from kdseg.data.formats.dicom.slice_headers import DISTINCTIONS, Frame

__all__ = ["Stack", "plane_of", "split_into_stacks"]

# frames whose direction cosines differ by more are in different orientations: about 0.06 degrees
ORIENTATION_TOLERANCE = 1e-3
# slices nearer to each other than this, in mm, lie at one position
SAME_POSITION = 1e-2
# of the distance between slices: how far interleaved slices may be from even
INTERLEAVED_TOLERANCE = 0.1
PLANES = ("sagittal", "coronal", "axial")


@dataclass(frozen=True)
class Stack:
    """Frames of one series that make one volume, sorted along their normal."""

    frames: tuple[Frame, ...]  # in the order of their positions
    part: str  # what tells the stack from others of its series, for people; empty where there are no others
    copies: int  # how many files were left aside because they hold a frame once more


def split_into_stacks(frames: Iterable[Frame]) -> list[Stack]:
    """Divide frames by series, size, pixel spacing and orientation, and then by what separates slices at one position.

    Two slices at one position cannot be of one volume. What tells them apart (acquisition, image type, echo time,
    b value, …: the first of ``DISTINCTIONS`` that does) divides their stack; where nothing does, they stay together
    and the stack is refused later, with the reason. Acquisitions are also divided where their extents overlap.
    Acquisitions that lie one after the other, as of a scanner that steps, stay one stack.
    """
    stacks = []
    for of_series in _groups(frames, lambda frame: (frame.study, frame.series, frame.modality)).values():
        kept = {(frame.uid, frame.index): frame for frame in reversed(of_series)}
        parts = [
            (name, part) for name, group in _by_form(list(kept.values())) for name, part in _by_position(name, group)
        ]
        copies = len(of_series) - len(kept)
        stacks += [
            Stack(tuple(sorted(part, key=lambda frame: frame.depth)), _part_name(name, [n for n, _ in parts]), copies)
            for name, part in parts
        ]
    return sorted(stacks, key=lambda stack: (str(stack.frames[0].path), stack.frames[0].index))


def plane_of(frame: Frame) -> str:
    """The anatomical plane that the frame is nearest to."""
    return PLANES[int(np.argmax(np.abs(frame.normal)))]


Name = tuple[str, ...]


def _groups(frames: Iterable[Frame], key: Callable[[Frame], Hashable]) -> dict[Hashable, list[Frame]]:
    groups: dict[Hashable, list[Frame]] = {}
    for frame in frames:
        groups.setdefault(key(frame), []).append(frame)
    return groups


def _by_form(frames: Sequence[Frame]) -> list[tuple[Name, list[Frame]]]:
    """By size, pixel spacing and orientation; frames with a flaw by the flaw."""
    found: list[tuple[Name, list[Frame]]] = []
    forms = _groups(frames, lambda frame: (frame.shape, tuple(np.round(frame.pixel_spacing, 4)), frame.flaw or ""))
    for members in forms.values():
        clusters: list[list[Frame]] = []
        for frame in members:
            near = (cluster for cluster in clusters if _same_orientation(cluster[0], frame))
            cluster = next(near, None)
            clusters.append([frame]) if cluster is None else cluster.append(frame)
        for cluster in clusters:
            width, height = cluster[0].shape
            size = f"{width}×{height} of {cluster[0].pixel_spacing[0]:g} mm"
            plane = plane_of(cluster[0])
            same_plane = [other for other in clusters if plane_of(other[0]) == plane]
            place = f" {same_plane.index(cluster) + 1}" if len(same_plane) > 1 else ""
            found.append(((size, plane + place, cluster[0].flaw or ""), cluster))
    return found


def _same_orientation(first: Frame, second: Frame) -> bool:
    difference = np.abs(np.concatenate([first.row - second.row, first.column - second.column]))
    return bool(difference.max() <= ORIENTATION_TOLERANCE)


def _by_position(name: Name, frames: list[Frame]) -> list[tuple[Name, list[Frame]]]:
    if frames[0].flaw:
        return [(name, frames)]
    parts = {name: frames}
    acquisitions = _groups(frames, lambda frame: frame.distinctions["acquisition"]).values()
    if _extents_overlap(acquisitions) and not _interleaved(frames):
        parts = _divided(parts, "acquisition")
    for distinction in DISTINCTIONS:
        if any(_told_apart(part, distinction) for part in parts.values()):
            parts = _divided(parts, distinction)
    return list(parts.items())


def _divided(parts: dict[Name, list[Frame]], distinction: str) -> dict[Name, list[Frame]]:
    divided: dict[Name, list[Frame]] = {}
    for name, part in parts.items():
        groups = _groups(part, lambda frame: frame.distinctions[distinction])
        for value, group in groups.items():
            divided[(*name, f"{distinction} {value}" if len(groups) > 1 else "")] = group
    return divided


def _told_apart(frames: Sequence[Frame], distinction: str) -> bool:
    """Whether some slices at one position differ in ``distinction``."""
    ordered = sorted(frames, key=lambda frame: frame.depth)
    level: set[str] = set()
    previous: Frame | None = None
    for frame in ordered:
        if previous is not None and frame.depth - previous.depth > SAME_POSITION:
            level = set()
        level.add(frame.distinctions[distinction])
        if len(level) > 1:
            return True
        previous = frame
    return False


def _extents_overlap(groups: Iterable[Sequence[Frame]]) -> bool:
    extents = sorted((min(depths), max(depths)) for depths in ([frame.depth for frame in group] for group in groups))
    return any(extents[index][1] >= extents[index + 1][0] - SAME_POSITION for index in range(len(extents) - 1))


def _interleaved(frames: Sequence[Frame]) -> bool:
    """Whether acquisitions fill each other's gaps, as in MRI with concatenations.

    Together they are then evenly spaced, and no nearer to each other than the header says of one slice. Two phases of
    a CT of which one lies half a slice further would be even as well, but nearer than a slice is thick.
    """
    steps = np.diff(sorted(frame.depth for frame in frames))
    step, thickness = float(np.median(steps)), frames[0].thickness
    even = np.abs(steps - step).max() <= INTERLEAVED_TOLERANCE * step
    return bool(even and thickness is not None and thickness <= step * (1 + INTERLEAVED_TOLERANCE))


def _part_name(name: Name, names: Sequence[Name]) -> str:
    """The words of ``name`` that are not the same in all names."""
    longest = max(map(len, names))
    padded = [(*other, *[""] * (longest - len(other))) for other in names]
    differing = [len(set(words)) > 1 for words in zip(*padded, strict=True)]
    return ", ".join(word for word, differs in zip(name, differing, strict=False) if differs and word)

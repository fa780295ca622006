"""Which structures of a SEG or RTSTRUCT file are wanted, and the value that each one gets."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from kdseg.errors import UserError, suggestion

__all__ = ["ABSENT", "plain_name", "values_to_paint"]

ABSENT = ("refuse", "empty")


def values_to_paint(
    structures: Sequence[tuple[int, str]], names: Mapping[str, int] | None, absent: str, where: str
) -> list[tuple[int, int]]:
    """The structures' numbers with the values to paint them in, in the order of painting: what comes later covers.

    Args:
        structures: number and name of each that the file has.
        names: name to value, in the order of painting; several names may stand for one value. Capitals, underscores
            and the order of words do not matter. None: every structure, its number as value.
        absent: "refuse" a value none of whose names is in the file, or leave it "empty".
        where: the file's name, for messages.

    Raises:
        UserError: when a value has no structure and ``absent`` is "refuse"; the file's names are listed.

    Example:
        >>> values_to_paint([(1, "Liver"), (2, "Tumour")], {"tumour": 2, "liver": 1}, "refuse", "seg.dcm")
        [(2, 2), (1, 1)]
    """
    if absent not in ABSENT:
        raise UserError("absent", found=f"'{absent}'", expected="refuse or empty", fix=suggestion(absent, ABSENT))
    if names is None:
        return [(number, number) for number, _ in sorted(structures)]
    painted = [
        (number, value)
        for wanted, value in names.items()
        for number, name in structures
        if plain_name(name) == plain_name(wanted)
    ]
    missing = [value for value in dict.fromkeys(names.values()) if value not in {value for _, value in painted}]
    if missing and absent == "refuse":
        wanted_names = [name for name, value in names.items() if value == missing[0]]
        present = [name for _, name in structures]
        raise UserError(
            where,
            found=f"the structures {', '.join(repr(name) for name in present) or 'none'}",
            expected=f"{' or '.join(repr(name) for name in wanted_names)} for the value {missing[0]}",
            fix=f"{suggestion(wanted_names[0], present)}; or set absent to 'empty' if a case may lack it"
            if present
            else "name another file",
        )
    return painted


def plain_name(name: str) -> str:
    """A name without what people write differently: capitals, underscores for blanks, the order of the words.

    Example:
        >>> plain_name("right_kidney") == plain_name("Kidney Right")
        True
    """
    return " ".join(sorted(re.split(r"[\W_]+", name.casefold().strip(" _"))))

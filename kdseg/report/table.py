"""Plain tables for the terminal and for Markdown, with numbers flush right."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["markdown_table", "text_table"]


def text_table(rows: Sequence[Sequence[object]], headers: Sequence[str]) -> str:
    """Columns of equal width under their headers. A column is flush right if all it holds are numbers or blanks.

    Args:
        rows: of cells as they shall be printed; a number is rounded by the caller, who knows what its digits are worth.
        headers: one for each column.

    Raises:
        ValueError: a row has more or fewer cells than there are headers.

    Example:
        >>> print(text_table([["teacher", 14787777, 0.81], ["alone", 58557, "-"]], ["network", "params", "Dice"]))
        network    params  Dice
        -------  --------  ----
        teacher  14787777  0.81
        alone       58557     -
    """
    cells, rights = _cells(rows, headers)
    widths = [max(map(len, column)) for column in zip(headers, *cells, strict=True)]
    lines = [_aligned(line, widths, rights) for line in ([*headers], ["-" * width for width in widths], *cells)]
    return "\n".join("  ".join(line).rstrip() for line in lines)


def markdown_table(rows: Sequence[Sequence[object]], headers: Sequence[str]) -> str:
    """The same table in Markdown.

    Example:
        >>> print(markdown_table([["teacher", 0.81]], ["network", "Dice"]))
        | network | Dice |
        |---------|-----:|
        | teacher | 0.81 |
    """
    cells, rights = _cells(rows, headers)
    cells = [[cell.replace("|", "\\|") for cell in row] for row in cells]
    widths = [max(map(len, column)) for column in zip(headers, *cells, strict=True)]
    rule = ["-" * (width + 1) + (":" if right else "-") for width, right in zip(widths, rights, strict=True)]
    lines = [_aligned(line, widths, rights) for line in ([*headers], *cells)]
    head, *body = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([head, "|" + "|".join(rule) + "|", *body])


def _cells(rows: Sequence[Sequence[object]], headers: Sequence[str]) -> tuple[list[list[str]], list[bool]]:
    """All cells as text, and which columns are numbers."""
    cells = [[str(cell) for cell in row] for row in rows]
    for row in cells:
        if len(row) != len(headers):
            raise ValueError(f"a row of {len(row)} cells under {len(headers)} headers: {row}")
    rights = [bool(cells) and all(_is_number(row[index]) for row in cells) for index in range(len(headers))]
    return cells, rights


def _is_number(text: str) -> bool:
    """Whether a cell counts as a number: also with thousands' commas, a unit sign, a spread, or a dash for none."""
    first = text.split("±")[0].replace(",", "").strip(" %×")
    try:
        float(first)
    except ValueError:
        return first in ("", "-", "–")
    return True


def _aligned(line: Sequence[str], widths: Sequence[int], rights: Sequence[bool]) -> list[str]:
    return [
        text.rjust(width) if right else text.ljust(width)
        for text, width, right in zip(line, widths, rights, strict=True)
    ]

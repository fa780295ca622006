"""Plain and Markdown tables."""

from __future__ import annotations

import pytest

from kdseg.report.table import markdown_table, text_table

HEADERS = ["network", "params", "Dice"]
ROWS = [["teacher", "14,787,777", "0.812 ± 0.03"], ["student alone", "58,557", "-"]]


def test_numbers_are_flush_right_and_words_flush_left() -> None:
    assert text_table(ROWS, HEADERS).splitlines() == [
        "network            params          Dice",
        "-------------  ----------  ------------",
        "teacher        14,787,777  0.812 ± 0.03",
        "student alone      58,557             -",
    ]


def test_markdown_says_which_columns_are_numbers() -> None:
    lines = markdown_table([["a|b", 1], ["c", 2.5]], ["name", "value"]).splitlines()
    assert lines == ["| name | value |", "|------|------:|", "| a\\|b |     1 |", "| c    |   2.5 |"]


def test_a_table_without_rows_is_its_headers() -> None:
    assert text_table([], HEADERS).splitlines()[0].split() == HEADERS


def test_a_ragged_row_is_refused() -> None:
    with pytest.raises(ValueError, match="2 cells under 3 headers"):
        text_table([["teacher", 1]], HEADERS)

"""The benchmark of the fan-out: what it measures. The numbers themselves are for docs/benchmarks.md."""

from __future__ import annotations

import pytest

from kdseg.benchmark.fan_out_cost import benchmark_fan_out


def test_every_column_is_measured() -> None:
    rows = benchmark_fan_out((1, 3), size=(64, 64), batch=2, teacher_channels=8, steps=2)
    assert [row["arms"] for row in rows] == [1, 3]
    for row in rows:
        assert row["teacher_ms"] > 0 and row["student_ms"] > 0
        ideal = row["teacher_ms"] + row["arms"] * row["student_ms"]
        assert row["ratio"] == pytest.approx(row["fan_out_ms"] / ideal, rel=0.05)
    assert rows[1]["fan_out_ms"] > rows[0]["fan_out_ms"]

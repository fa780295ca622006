"""The benchmark measures what it says, at a size of no interest."""

from __future__ import annotations

from kdseg.benchmark.relations_cost import benchmark_relations


def test_rows_are_complete_and_the_error_is_small() -> None:
    rows = benchmark_relations(dense_sizes=[(12, 12)], large_sizes=[(4, 6, 8)])
    assert all({"term", "positions", "speedup", "extra_mb", "relative_error"} == set(row) for row in rows)
    measured = [row for row in rows if row["relative_error"] is not None]
    assert {row["positions"] for row in rows} == {144, 192} and len(rows) == 2 * len(measured)
    assert all(row["relative_error"] < 1e-5 for row in measured)
    assert all(row["extra_mb"] > 0 for row in rows)

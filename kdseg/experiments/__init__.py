"""The demo, the comparison of methods, and how their results are shown."""

from kdseg.experiments.table import markdown_table, text_table

__all__ = ["markdown_table", "text_table"]

"""The report of a comparison: one page that needs nothing else, and its tables for papers and programs."""

from kdseg.report.write import headline_text, write_report

__all__ = ["headline_text", "write_report"]

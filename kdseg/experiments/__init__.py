"""What is shown of an experiment: tables and pictures."""

from kdseg.experiments.overlay import OverlayRow, overlay_picture
from kdseg.experiments.table import markdown_table, text_table

__all__ = ["OverlayRow", "markdown_table", "overlay_picture", "text_table"]

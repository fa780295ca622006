"""``kdseg export``: a student as files for other runtimes, each measured on real cases before it is kept."""

from kdseg.deploy.export.export import DICE_LIMIT, Exported, export
from kdseg.deploy.export.formats import FORMATS, ExportFormat
from kdseg.deploy.export.job import Job, Written
from kdseg.deploy.export.outputs import OUTPUTS

__all__ = ["DICE_LIMIT", "FORMATS", "OUTPUTS", "ExportFormat", "Exported", "Job", "Written", "export"]

"""The inferers that MONAI lacks."""

from kdseg.inferers.trusted_centre import TrustedCentreInferer
from kdseg.inferers.whole_image import WholeImageInferer

__all__ = ["TrustedCentreInferer", "WholeImageInferer"]

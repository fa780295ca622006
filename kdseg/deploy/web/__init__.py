"""A student in a web page: it reads, segments and shows images in the browser, and sends nothing anywhere."""

from kdseg.deploy.web.packages import PACKAGES
from kdseg.deploy.web.write import write_web

__all__ = ["PACKAGES", "write_web"]

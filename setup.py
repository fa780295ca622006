"""What setup.cfg cannot say: packages are found, and two folders of the repository travel inside the package."""

from setuptools import find_packages, setup

# bundles and data lists stand at the top of the repository, where people look for them
TRAVELLERS = {"kdseg._bundles": "bundles", "kdseg._data_lists": "data_lists"}

setup(packages=[*find_packages(include=["kdseg", "kdseg.*"]), *TRAVELLERS], package_dir=TRAVELLERS)

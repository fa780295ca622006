"""The npm packages that a page is made with: fetched by npm or given as files, and checked before they are used."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kdseg.errors import UserError

__all__ = ["DICOM_PARSER", "PACKAGES", "RUNTIME", "Package", "page_files"]

SECONDS = 600


@dataclass(frozen=True)
class Package:
    """A version of an npm package, and what a page needs of it.

    Attributes:
        name, version: as npm knows it.
        integrity: SHA-512 of the package's file, in base64.
        files: where a file lies in the package → its name beside the page.
    """

    name: str
    version: str
    integrity: str
    files: Mapping[str, str]

    @property
    def title(self) -> str:
        return f"{self.name} {self.version}"


RUNTIME = Package(
    "onnxruntime-web",
    "1.30.0",
    "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
    {
        "dist/ort.wasm.bundle.min.mjs": "ort.wasm.bundle.min.mjs",
        "dist/ort-wasm-simd-threaded.wasm": "ort-wasm-simd-threaded.wasm",
    },
)
DICOM_PARSER = Package(
    "dicom-parser",
    "1.8.21",
    "lYCweHQDsC8UFpXErPlg86Px2A8bay0HiUY+wzoG3xv5GzgqVHU3lziwSc/Gzn7VV7y2KeP072SzCviuOoU02w==",
    {"dist/dicomParser.min.js": "dicomParser.min.js", "LICENSE": "dicomParser.LICENSE.txt"},
)
PACKAGES = (RUNTIME, DICOM_PARSER)


def page_files(given: Sequence[str | Path] = ()) -> dict[str, bytes]:
    """Name beside the page → content, of all packages.

    Args:
        given: files of packages that were fetched elsewhere, in any order; npm fetches the others.

    Raises:
        UserError: for a file that is none of the packages, and where npm is missing or cannot fetch one.
    """
    archives = dict(_known(Path(path)) for path in given)
    files = {}
    for package in PACKAGES:
        archive = archives.get(package.name) or _fetched(package)
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
            for inside, name in package.files.items():
                stream = tar.extractfile(f"package/{inside}")
                assert stream is not None, "the hash says that it is there"
                files[name] = stream.read()
    return files


def integrity_of(archive: bytes) -> str:
    """The SHA-512 of a package's file as npm writes it."""
    return base64.b64encode(hashlib.sha512(archive).digest()).decode()


def _known(path: Path) -> tuple[str, bytes]:
    """The package that a given file is."""
    if not path.is_file():
        raise UserError(path, found="no such file", expected="a package as npm pack writes it", fix="check the path")
    archive = path.read_bytes()
    for package in PACKAGES:
        if integrity_of(archive) == package.integrity:
            return package.name, archive
    raise UserError(
        path,
        found="a file of another content",
        expected=" or ".join(package.title for package in PACKAGES) + ", unchanged",
        fix="fetch it again: " + ", ".join(f"npm pack {package.name}@{package.version}" for package in PACKAGES),
    )


def _fetched(package: Package) -> bytes:
    npm = shutil.which("npm")
    if npm is None:
        raise _missing(package, "no npm on this machine")
    with tempfile.TemporaryDirectory() as folder:
        words = ["pack", f"{package.name}@{package.version}", "--pack-destination", folder]
        options = ["--ignore-scripts", "--prefer-offline", "--fetch-retries=1"]
        try:
            done = subprocess.run([npm, *words, *options], capture_output=True, text=True, cwd=folder, timeout=SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _missing(package, f"that npm does not answer ({type(error).__name__})") from error
        archives = list(Path(folder).glob("*.tgz"))
        if done.returncode != 0 or len(archives) != 1:
            # its code alone: the rest names places on this machine
            code = re.search(r"code (\w+)", done.stderr)
            raise _missing(package, f"that npm cannot fetch it ({code[1] if code else 'no reason given'})")
        archive = archives[0].read_bytes()
    if integrity_of(archive) != package.integrity:
        raise _missing(package, "that npm fetched another content than kdseg was tested with")
    return archive


def _missing(package: Package, found: str) -> UserError:
    return UserError(
        package.title,
        found=found,
        expected="the package, which runs in the page",
        fix=f"npm pack {package.name}@{package.version} where there is a network, and --runtime-package FILE.tgz here",
    )

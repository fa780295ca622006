"""Pages of students, opened in a headless Chromium, for the tests of `kdseg.deploy.web`."""

from __future__ import annotations

import functools
import http.server
import io
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from kdseg.deploy.web import PACKAGES, write_web
from kdseg.networks import count_parameters
from kdseg.task import Task, open_trained
from tests.tasks import trained_folder

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser without a window; the test is skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser of this test")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def npm_packages(folder: Path) -> list[Path]:
    """The packages that a page needs, fetched once for all pages; the test is skipped where npm cannot."""
    if shutil.which("npm") is None:
        pytest.skip("npm, which fetches ONNX Runtime Web, is not on this machine")
    for package in PACKAGES:
        command = ["npm", "pack", f"{package.name}@{package.version}", "--prefer-offline", "--fetch-retries=0"]
        if subprocess.run(command, cwd=folder, capture_output=True).returncode != 0:
            pytest.skip(f"npm cannot fetch {package.title}")
    return sorted(folder.glob("*.tgz"))


def write_student(folder: Path, task: Task, packages: list[Path], single_file: bool = False, **history: Any) -> Path:
    """An untrained student in ``folder/student`` and its page in ``folder/web``; the page's path."""
    network = trained_folder(folder / "student", task, **history)
    sides = {2: "width", 3: "height"}
    torch.onnx.export(
        network,
        (torch.zeros(1, task.in_channels, 32, 48),),
        str(folder / "model.onnx"),
        dynamo=False,
        input_names=["image"],
        output_names=["logits"],
        dynamic_axes={"image": sides, "logits": sides},
    )
    trained = open_trained(folder / "student")
    facts: Any = (trained.task, trained.history, count_parameters(network))
    names = write_web(folder / "model.onnx", "small student", *facts, folder / "web", single_file, packages)
    return folder / "web" / names[0]


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a plain file server that sends no header of its own."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *words: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


class Reader:
    """Somebody who opens a page and gives it files.

    Args:
        browser: see :func:`chromium`.
        address: of the page.

    Attributes:
        requests: addresses that the page asked for.
        complaints: what the browser found wrong, such as something that the page's policy does not allow.
    """

    def __init__(self, browser: Any, address: str) -> None:
        self.page = browser.new_page(accept_downloads=True)
        # a cine of many frames on a busy machine
        self.page.set_default_timeout(120_000)
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda line: line.type == "error" and self.complaints.append(line.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(address)
        self.page.wait_for_selector("#file:not([disabled])", state="attached")

    def open(self, path: Path) -> None:
        """Give it a file, and wait for the mask."""
        self.page.set_input_files("#file", str(path))
        self.wait()

    def wait(self) -> None:
        self.page.wait_for_selector("body:not(.busy)")
        problem = self.page.locator("#problem")
        assert not problem.is_visible(), problem.inner_text()

    def problem(self, path: Path) -> str:
        """Give it a file that it cannot take; what it says."""
        self.page.set_input_files("#file", str(path))
        self.page.wait_for_selector("#problem:not([hidden])")
        return self.page.inner_text("#problem")

    def turn_to(self, frame: int) -> None:
        """Move the slider to a frame, from 0."""
        self.page.locator("#frame").fill(str(frame + 1))
        self.wait()

    def mask(self) -> np.ndarray:
        """The saved mask, class numbers ``HW`` as it stands in the file."""
        with self.page.expect_download() as download:
            self.page.click("#save-mask")
        self.saved = download.value
        return np.asarray(Image.open(io.BytesIO(Path(self.saved.path()).read_bytes())))


def agree(found: np.ndarray, expected: np.ndarray) -> None:
    """At least 999 of 1000 pixels are equal, and the Dice of every class is .99 or more."""
    assert found.shape == expected.shape and len(np.unique(expected)) > 1
    assert (found == expected).mean() >= 0.999
    for number in set(np.unique(expected)) - {0}:
        first, second = found == number, expected == number
        assert 2 * (first & second).sum() / (first.sum() + second.sum()) >= 0.99

"""The report's page and tables: right content, well-formed, safe with any name, for half-finished folders too."""

from __future__ import annotations

import csv
import html
import itertools
import json
import shutil
import subprocess
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kdseg.cli.main import main
from kdseg.report import headline_text, write_report
from kdseg.report.verdict import level_of
from tests.statistics.make_comparison import make_comparison

VOID = {"meta", "br", "input", "link", "img"}


class Page(HTMLParser):
    """The text, the attributes of every element and the tables of a page; refuses what is not well-formed."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.text, self.elements, self.stack = "", [], []
        self.tables: dict[str, list[list[str]]] = {}
        self.feed(path.read_text(encoding="utf-8"))
        assert self.stack == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)
        if tag == "table":
            self.rows = self.tables[f"{dict(attrs)['data-name']}-{len(self.tables)}"] = []
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td") and "table" in self.stack:
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.stack):
            self.text += data
        if {"th", "td"} & set(self.stack):
            self.rows[-1][-1] += data

    def table(self, name: str) -> list[list[str]]:
        return next(rows for key, rows in self.tables.items() if key.rpartition("-")[0] == name)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    methods = {"kd": 1e-9, "lightvessel": 0.03, "emkd": -0.02}
    out = tmp_path_factory.mktemp("comparison")
    make_comparison(out, methods=methods, sites=("Ghent", "Lyon"), failed=["kd"], pictures=True)
    write_report(out)
    return out


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return Page(folder / "report.html")


def test_the_words_say_what_was_gained_how_sure_and_at_what_cost(page: Page) -> None:
    text = " ".join(page.text.split())
    assert "With lightvessel, the best of 3 methods" in text and "1 of 3 methods shows a clear gain" in text
    assert text.index("A clear gain lightvessel") < text.index("No gain shown kd") < text.index("A loss emkd")
    assert "paired over 12 test cases, of which 12 became better" in text
    assert "corrected for 3 methods" in text and "of the teacher's lead over the student alone" in text
    assert "58.6 k parameters and takes 6.2 ms an image; the teacher has 31.0 M parameters and takes 210 ms" in text
    assert "Its training took 1.6 times as long" in text


def test_the_words_follow_from_interval_and_test() -> None:
    def level(low: float | None, high: float | None, p: float | None, runs: int = 5) -> str:
        return level_of({"gain": 0.01, "ci_low": low, "ci_high": high, "p": p, "compared_runs": runs})

    assert [level(0.01, 0.02, 0.04), level(0.01, 0.02, 0.06)] == ["gain", "likely"]
    assert [level(-0.02, -0.01, 0.04), level(-0.02, -0.01, 0.06)] == ["loss", "likely-loss"]
    assert [level(-0.01, 0.02, 0.01), level(None, None, None), level(None, None, None, 4)] == ["none", "little", "few"]


def test_the_main_table_has_the_figures_of_the_results(folder: Path, page: Page) -> None:
    found = json.loads((folder / "results.json").read_text())
    rows = page.table("headline")
    assert [row[0] for row in rows[1:]] == ["teacher", "student alone", "kd", "lightvessel", "emkd"]
    row = found["methods"]["lightvessel"]
    assert rows[4][1] == f"{row['dice']:.3f} ± {row['metrics']['dice']['sd']:.3f}"
    assert rows[4][2] == f"+{row['gain']:.3f} (+{row['ci_low']:.3f} to +{row['ci_high']:.3f})"
    assert rows[4][3] == ("< 0.001" if row["p"] < 0.001 else f"{row['p']:.3f}")
    assert rows[4][4].startswith(f"{row['gap_closed'] * 100:.0f} % (")
    assert rows[1][5:] == ["31.0 M", "54.0 G", "210"]


def test_failed_trainings_standing_settings_and_the_reading_of_the_test_cases_are_told(page: Page) -> None:
    text = " ".join(page.text.split())
    assert "1 training failed and left no results" in text and "the loss was not finite in step 812" in text
    assert [row[:2] for row in page.table("standing")[1:]] == [
        ["kd", "code"],
        ["lightvessel", "reconstruction"],
        ["emkd", "code"],
    ]
    settings = dict(page.table("settings")[1:])
    assert settings["datalist · hash"] == "a3f0c9" and settings["versions · torch"] == "2.13.0"
    assert "kdseg compare bundles/coronary_angiogram" in text
    assert "read once, after all training, at 2026-03-04T05:06:07Z" in text


def test_an_arm_that_was_cut_off_while_it_rose_is_told(page: Page) -> None:
    text = " ".join(page.text.split())
    assert "Still improving when the training ended: lightvessel. Longer trainings may change" in text
    rows = {row[0]: row[1:] for row in page.table("patience")[1:]}
    spread = f"{np.std([0.005 * seed for seed in range(6)], ddof=1):.3f}"
    assert rows["lightvessel"] == ["+0.020", spread, "the spread between seeds", "was still improving"]
    assert rows["student alone"] == ["+0.001", spread, "the spread between seeds", "has stopped improving"]
    # a teacher that was given has no validations
    assert "teacher" not in rows


def test_there_are_charts_with_words_for_those_who_cannot_see_them(page: Page) -> None:
    charts = [attributes for attributes in page.all("svg") if attributes.get("class") == "chart"]
    # gains, all cases and two sites, two frontiers, the curves of three methods
    assert len(charts) == 1 + 3 + 2 + 3
    ids = [str(attributes["id"]) for _, attributes in page.elements if attributes.get("id")]
    assert max(Counter(ids).values()) == 1
    assert all(picture["role"] == "img" and picture["aria-label"] for picture in page.all("svg"))
    assert "Gain in Dice over the student alone: lightvessel +0.030" in str(charts[0]["aria-label"])
    used = [str(link["href"]).removeprefix("#") for link in page.all("use")]
    assert used and set(used) <= set(ids)


def test_best_and_worst_cases_are_shown_as_every_network_saw_them(folder: Path, page: Page) -> None:
    with (folder / "cases.csv").open(newline="") as file:
        # the pictures are those of the first run
        rows = [row for row in csv.DictReader(file) if row["seed"] == "0"]
    dice = {
        arm: {row["case"]: float(row["dice"]) for row in rows if row["arm"] == arm} for arm in ("alone", "lightvessel")
    }
    ranked = sorted(dice["lightvessel"], key=lambda name: -dice["lightvessel"][name])
    gains = {name: value - dice["alone"][name] for name, value in dice["lightvessel"].items()}
    text = " ".join(page.text.split())
    shown = {"Best Dice": ranked[0], "Median Dice": ranked[5], "Worst Dice": ranked[-1]}
    shown |= {"Largest gain": max(gains, key=lambda name: gains[name])}
    for why, case in shown.items():
        # a case that is shown for two reasons has both in its title
        title = text[text.index(why) :][:80]
        assert case in title and f"gain +{gains[case]:.3f}" in title
    # every case gained
    assert min(gains.values()) > 0 and "Largest loss" not in text
    titles = [str(svg["aria-label"]) for svg in page.all("svg") if svg.get("class") != "chart"]
    assert len(titles) % 5 == 0 and sum("teacher: Dice" in title for title in titles) == len(titles) // 5
    assert not any("whole volume" in title for title in titles)


def test_what_gained_and_lost_most_really_did_in_the_run_that_is_shown(tmp_path: Path) -> None:
    """A case may gain on average and lose in the pictures; a loss that is printed as nothing is none."""
    make_comparison(tmp_path, methods={"kd": 0.02}, seeds=2, cases=6, pictures=True)
    path = tmp_path / "cases.csv"
    frame = pd.read_csv(path, dtype={"seed": str, "student": str, "fold": str}, keep_default_na=False)
    gains = {"case 00": (-0.05, 0.2), "case 01": (0.03, -0.01), "case 02": (0.0001, -0.3), "case 03": (0.01, 0.01)}
    for case, changes in gains.items():
        for seed, change in enumerate(changes):
            of_case = (frame["case"] == case) & (frame["seed"] == str(seed))
            alone = frame.loc[of_case & (frame["arm"] == "alone"), "dice"].item()
            frame.loc[of_case & (frame["arm"] == "kd"), "dice"] = alone + change
    for others, lost in ((["case 04", "case 05"], "case 00"), (["case 00", "case 04", "case 05"], None)):
        frame[~frame["case"].isin(others)].to_csv(path, index=False)
        write_report(tmp_path)
        text = " ".join(Page(tmp_path / "report.html").text.split())
        assert "case 01 (seed 0: gain +0.030)" in text[text.index("Largest gain") :][:60]
        assert ("Largest loss" in text) == (lost is not None)
        assert lost is None or f"{lost} (seed 0: gain −0.050)" in text[text.index("Largest loss") :][:60]


def test_the_dice_under_a_slice_is_said_to_be_the_volumes(tmp_path: Path) -> None:
    make_comparison(tmp_path, methods={"kd": 0.02}, seeds=1, pictures=True)
    for path in tmp_path.glob("cells/**/*.npz"):
        with np.load(path) as content:
            np.savez_compressed(path, **{**content, "slice": [12, 40]})
    write_report(tmp_path)
    text = " ".join(Page(tmp_path / "report.html").text.split())
    assert "(slice 12 of 40; seed 0: gain +0.0" in text and "of the whole volume" in text


def test_a_protocols_distance_is_marked_and_never_alone(tmp_path: Path) -> None:
    make_comparison(tmp_path, methods={"kd": 0.02})
    path = tmp_path / "cases.csv"
    frame = pd.read_csv(path, dtype=str, keep_default_na=False).assign(hd95_transunet="3.5")
    frame.to_csv(path, index=False)
    write_report(tmp_path)
    page = Page(tmp_path / "report.html")
    assert "HD95 (TransUNet's protocol)" in [name.strip("↕") for name in page.table("metrics")[0]]
    assert "counts a missed organ as 0" in page.text
    frame.drop(columns=["hd95_px", "hd95_mm"]).to_csv(path, index=False)
    write_report(tmp_path)
    assert "TransUNet" not in Page(tmp_path / "report.html").text


def test_headings_tables_and_language_are_as_screen_readers_need_them(page: Page) -> None:
    tags = [tag for tag, _ in page.elements]
    assert tags.count("h1") == 1 and tags.count("main") == 1 and page.all("html")[0]["lang"] == "en"
    assert tags.count("caption") == tags.count("table") == len(page.tables)
    assert all("scope" in attributes for attributes in page.all("th"))
    levels = [int(tag[1]) for tag in tags if tag in ("h1", "h2", "h3", "h4")]
    assert all(next_one <= one + 1 for one, next_one in itertools.pairwise(levels))
    ids = {attributes.get("id") for _, attributes in page.elements}
    assert all(str(link["href"]).removeprefix("#") in ids for link in page.all("a"))


def test_the_page_needs_nothing_else(folder: Path, page: Page) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert "http:" not in text and "https:" not in text and str(folder) not in text
    sources = [attributes.get("href") or attributes.get("src") for _, attributes in page.elements]
    assert all(str(source).startswith(("#", "data:image/")) for source in sources if source)
    policy = next(meta["content"] for meta in page.all("meta") if "http-equiv" in meta)
    assert str(policy).startswith("default-src 'none'")


def test_names_are_text_whatever_is_in_them(tmp_path: Path) -> None:
    names = ["<script>alert(1)</script>", 'a"b', "ü & ö", "{{ 7 * 7 }}", "50%_x\\y"]
    evil = "<img src=x onerror=alert(2)>"
    make_comparison(tmp_path, names=names, students=("<b>small</b>",), methods={evil: 0.02}, pictures=True, seeds=1)
    write_report(tmp_path)
    page = Page(tmp_path / "report.html")
    assert page.all("img") == [] and len(page.all("script")) == 1 and page.all("b")
    assert evil in page.text and "<b>small</b>" in page.text
    assert {row[0] for row in page.table("cases")[1:]} >= set(names)
    latex = (tmp_path / "tables.tex").read_text()
    assert r"\ensuremath{<}img src=x onerror=alert(2)\ensuremath{>}" in latex


def test_the_tables_in_every_form_say_the_same(folder: Path) -> None:
    found = json.loads((folder / "results.json").read_text())["methods"]["lightvessel"]
    with (folder / "tables.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    row = next(row for row in rows if (row["arm"], row["group"], row["metric"]) == ("lightvessel", "all", "dice"))
    assert float(row["gain"]) == found["gain"] and float(row["p"]) == found["p"]
    site = next(row for row in rows if (row["arm"], row["group"]) == ("lightvessel", "sites: Lyon"))
    assert float(site["gain"]) == pytest.approx(found["gain"], abs=0.02) and site["p"] == ""
    text = f"+{found['gain']:.3f} (+{found['ci_low']:.3f} to +{found['ci_high']:.3f})"
    assert text in (folder / "tables.md").read_text() and text in headline_text(folder)
    assert text in (folder / "tables.tex").read_text().replace("$-$", "−")


def test_a_folder_that_is_not_measured_shows_its_curves(tmp_path: Path) -> None:
    write_report(make_comparison(tmp_path, measured=False, seeds=3))
    page = Page(tmp_path / "report.html")
    assert "The test cases have not been measured yet" in page.text
    assert "validation: dice" in page.text and len(page.table("trainings")) == 11
    assert json.loads((tmp_path / "results.json").read_text())["methods"]["kd"]["gain"] is None
    (tmp_path / "cells.json").unlink()
    shutil.rmtree(tmp_path / "cells")
    write_report(tmp_path)
    assert "No result yet" in Page(tmp_path / "report.html").text


def test_too_few_trainings_or_cases_are_said_to_be(tmp_path: Path) -> None:
    write_report(make_comparison(tmp_path / "cases", cases=3))
    text = " ".join(Page(tmp_path / "cases" / "report.html").text.split())
    assert "Too little to judge" in text and "only 3 cases, and a verdict needs at least 6" in text
    write_report(make_comparison(tmp_path / "runs", seeds=4, methods={"kd": 0.05, "lightvessel": 0.03}))
    text = " ".join(Page(tmp_path / "runs" / "report.html").text.split())
    assert text.count("Too few trainings to say") == 3 and "clear gain" not in text
    assert "only 4 trainings, and a verdict needs at least 5" in text


def test_few_labels_are_shown_beside_the_whole(tmp_path: Path) -> None:
    make_comparison(tmp_path, methods={"kd": 0.01}, seeds=1)
    for count, gain in {"2": 0.05, "10": 0.02}.items():
        part = make_comparison(tmp_path / f"labelled_{count}", methods={"kd": 0.01, "kd+unlabelled": gain}, seeds=1)
        write_report(part)
    write_report(tmp_path)
    rows = Page(tmp_path / "report.html").table("few_labels")
    assert [header.strip("↕") for header in rows[0]] == ["network", "2 labelled", "10 labelled", "all labelled"]
    gains = {row[0]: row[1:] for row in rows[1:]}
    assert gains["kd+unlabelled"][0].split("; ")[1].startswith("+0.0") and gains["kd+unlabelled"][2] == "–"
    assert gains["kd"][2] != "–"


def test_several_students_and_classes_have_their_parts(tmp_path: Path) -> None:
    make_comparison(tmp_path, students=("thin_unet", "enet"), classes=("liver", "spleen"), folds=("0", "1"), seeds=1)
    write_report(tmp_path)
    page = Page(tmp_path / "report.html")
    assert "Results: thin_unet" in page.text and "Results: enet" in page.text
    assert [row[0] for row in page.table("classes")[1:]] == ["teacher", "student alone", "kd", "lightvessel"]
    assert "Class: spleen" in page.text


def test_the_command_writes_prints_and_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = make_comparison(tmp_path / "run", seeds=1)
    assert main(["report", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "student alone" in printed and "report.html" in printed
    assert main(["report", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["methods"]["kd"]["gain"] is not None
    assert not [path for path in out.iterdir() if path.name.startswith(".")]
    assert main(["report", str(tmp_path)]) == 2
    assert "no comparison.json" in capsys.readouterr().err


def test_in_a_browser_it_loads_sorts_folds_and_prints(folder: Path, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium: the page in a real browser is not tested")
    clicks = """
    const table = document.querySelector('[data-name=headline]');
    const names = () => [...table.tBodies[0].rows].map((row) => row.cells[0].textContent).join('|');
    const press = (column) => { table.tHead.rows[0].cells[column].querySelector('button').click(); return names(); };
    const box = document.querySelector('[data-overlays]');
    const overlay = document.querySelector('.overlay');
    const before = getComputedStyle(overlay).visibility;
    box.click();
    const found = { gain: press(2), again: press(2), name: press(0), sort: table.tHead.rows[0].cells[0].ariaSort,
      said: document.getElementById('said').textContent, before, after: getComputedStyle(overlay).visibility,
      wide: document.documentElement.scrollWidth <= window.innerWidth };
    document.body.dataset.found = JSON.stringify(found);
    """
    page = tmp_path / "page.html"
    text = (folder / "report.html").read_text(encoding="utf-8")
    page.write_text(text.replace("</body>", f"<script>{clicks}</script></body>"), encoding="utf-8")
    shown = _browse(browser, page, tmp_path, "--dump-dom", "--window-size=400,900")
    assert "CONSOLE" not in shown.stderr
    written = shown.stdout.partition('<body data-found="')[2].partition('"')[0]
    found = json.loads(html.unescape(written))
    assert found["gain"] == "lightvessel|kd|emkd|teacher|student alone"
    assert found["again"] == "emkd|kd|lightvessel|teacher|student alone"
    assert found["name"] == "emkd|kd|lightvessel|student alone|teacher" and found["sort"] == "ascending"
    assert "sorted by network" in found["said"]
    assert (found["before"], found["after"]) == ("visible", "hidden") and found["wide"]

    _browse(browser, folder / "report.html", tmp_path, f"--screenshot={tmp_path / 'dark.png'}", *DARK)
    _browse(browser, folder / "report.html", tmp_path, f"--screenshot={tmp_path / 'light.png'}", *LIGHT)
    dark, light = (np.asarray(Image.open(tmp_path / name).convert("L")) for name in ("dark.png", "light.png"))
    assert dark.mean() < 80 and light.mean() > 200
    assert dark.std() > 10 and light.std() > 10
    _browse(browser, folder / "report.html", tmp_path, f"--print-to-pdf={tmp_path / 'page.pdf'}")
    assert (tmp_path / "page.pdf").read_bytes()[:4] == b"%PDF"


DARK = ("--window-size=1200,1600", "--blink-settings=preferredColorScheme=0")
LIGHT = ("--window-size=1200,1600", "--blink-settings=preferredColorScheme=1")


def _browse(browser: str, page: Path, folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    quiet = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    fixed = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", *quiet, "--enable-logging=stderr"]
    profile = folder / f"profile{len(list(folder.iterdir()))}"
    command = [browser, *fixed, f"--user-data-dir={profile}", *flags, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)

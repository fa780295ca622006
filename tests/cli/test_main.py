from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kdseg.cli import main as command
from kdseg.cli.main import COMMANDS, main
from kdseg.errors import UserError


def test_every_listed_command_has_its_module(capsys: pytest.CaptureFixture[str]) -> None:
    for name in COMMANDS:
        with pytest.raises(SystemExit) as ended:
            main([name, "--help"])
        assert ended.value.code == 0
        assert "--debug" in capsys.readouterr().out, name


def test_help_and_import_load_nothing_heavy() -> None:
    code = (
        "import sys, kdseg, kdseg.cli.main as m; m.build_parser(None); "
        "print([n for n in ('torch', 'monai', 'mlflow', 'numpy', 'SimpleITK', 'pydicom') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_error_of_the_user_is_one_message(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["prepare", "coronary_angiogram", str(tmp_path / "none"), "--out", str(tmp_path / "l.json")]) == 2
    told = capsys.readouterr().err
    assert told.startswith("kdseg prepare: ") and "To mend it:" in told and "Traceback" not in told
    assert not (tmp_path / "l.json").exists()


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        main(["prepare", "coronary_angiogram", str(tmp_path / "none"), "--out", str(tmp_path / "l.json"), "--debug"])


def test_an_unforeseen_error_says_so(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from kdseg.cli import methods

    def fail(arguments: object) -> int:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(methods, "run", fail)
    assert main(["methods"]) == 1
    assert "ZeroDivisionError: oops" in capsys.readouterr().err


def test_an_interrupt_is_no_error(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from kdseg.cli import methods

    def stop(arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(methods, "run", stop)
    assert main(["methods"]) == 130
    assert "what was finished is kept" in capsys.readouterr().err


def test_methods_as_a_table_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods"]) == 0
    assert "lightvessel" in capsys.readouterr().out
    assert main(["methods", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    keys = {"name", "terms", "taps", "extra_parts", "needs_labels", "paper", "standing"}
    assert all(set(row) == keys for row in rows.values())
    assert rows["lightvessel"]["needs_labels"] and "discriminator" in rows["lightvessel"]["extra_parts"]
    assert not rows["kd"]["needs_labels"] and rows["kd"]["taps"] == ["logits"]


def test_an_unknown_bundle_suggests_the_near_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "coronary_angiograms", "--datalist", "x.json"]) == 2
    assert "did you mean 'coronary_angiogram'?" in capsys.readouterr().err


def test_the_command_is_the_first_word_that_is_one() -> None:
    assert command.build_parser("methods").parse_args(["methods", "--json"]).json


def test_an_unforeseen_error_tells_what_went_wrong_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(arguments: object) -> int:
        try:
            raise AssertionError("no GPU here")
        except AssertionError as error:
            raise RuntimeError("failed to evaluate an expression") from error

    monkeypatch.setattr("kdseg.cli.methods.run", run)
    assert main(["methods"]) == 1
    assert capsys.readouterr().err.startswith("kdseg methods: AssertionError: no GPU here\nThis was not foreseen")


def test_a_gpu_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    words = ["train", "coronary_angiogram", "--datalist", "list.json", "--device", "cuda:1"]
    assert main(words) == 2
    assert "--device: found 'cuda:1', and no GPU" in capsys.readouterr().err

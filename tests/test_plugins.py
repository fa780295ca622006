"""The plug-in package of docs/plugins.md, to the letter, and plug-ins that are wrong."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import kdseg
from kdseg.cli.main import main
from kdseg.distill import LOSSES, METHODS, Distiller, build_method
from kdseg.errors import UserError
from kdseg.networks import NETWORKS, UNet, build_network

PAGE = Path(__file__).parents[1] / "docs" / "plugins.md"
Install = Callable[[str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Makes a package "kdseg_<module>" as pip would leave it, from its code and its entry points."""

    def put(code: str, entry_points: str) -> None:
        (tmp_path / "kdseg_sharp.py").write_text(code)
        (tmp_path / "kdseg_sharp-1.0.dist-info").mkdir()
        (tmp_path / "kdseg_sharp-1.0.dist-info" / "METADATA").write_text("Name: kdseg-sharp\nVersion: 1.0\n")
        (tmp_path / "kdseg_sharp-1.0.dist-info" / "entry_points.txt").write_text(entry_points)
        monkeypatch.syspath_prepend(str(tmp_path))

    for registry in (LOSSES, METHODS, NETWORKS):
        monkeypatch.setattr(registry, "_objects", dict(registry._objects))
        monkeypatch.setattr(registry, "_sources", dict(registry._sources))
        monkeypatch.setattr(registry, "broken", {})
        monkeypatch.setattr(registry, "_pending", None)
    monkeypatch.delitem(sys.modules, "kdseg_sharp", raising=False)
    return put


def test_the_page_s_package_works(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    code, project = re.findall(r"```(?:python|toml)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(code.splitlines()) <= 40
    groups = project[project.index("[project.entry") :]
    install(code, re.sub(r'\[project\.entry-points\."(.*?)"\]', r"[\1]", groups).replace('"', ""))
    assert main(["methods", "--json"]) == 0
    row = next(row for row in json.loads(capsys.readouterr().out) if row["name"] == "sharp")
    assert set(row["terms"]) == {"sharp", "deep"} and row["taps"] == ["logits", "enc2"]
    assert main(["networks", "--json"]) == 0
    assert "slim_net" in [row["name"] for row in json.loads(capsys.readouterr().out)]
    assert build_method("sharp", {"deep": {"weight": 0}}).terms.keys() == {"sharp"}
    for dims in (2, 3):
        student = build_network("slim_net", dims, out_channels=2)
        image = torch.rand(2, 1, *[16] * dims)
        distiller = Distiller(student, UNet(dims, 1, 2, 2), "sharp", probe_shape=image.shape)
        _, values = distiller(image, distiller.teacher.taps(image))
        total = distiller.total(values)
        assert isinstance(total, torch.Tensor)
        total.backward()
        assert all(p.grad is not None for p in student.parameters())


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import no_such_package_here", "ModuleNotFoundError: No module named 'no_such_package_here'"),
        ("THING = 1", "a class of losses"),
        ("1 +", "SyntaxError"),
    ],
)
def test_a_broken_plug_in_is_told_and_breaks_nothing_else(
    install: Install, capsys: pytest.CaptureFixture[str], code: str, told: str
) -> None:
    groups = "\n".join(f"[kdseg.{group}]\nsharp = kdseg_sharp:THING" for group in ("losses", "methods", "networks"))
    install(code, groups)
    for command in ("methods", "networks"):
        assert main([command, "--json"]) == 0
        printed = capsys.readouterr()
        assert "sharp" not in [row["name"] for row in json.loads(printed.out)]
        assert "left out: plug-in kdseg-sharp" in printed.err
    with pytest.raises(UserError, match=re.escape(told)):
        build_method({"mine": {"loss": "sharp"}})
    with pytest.raises(UserError, match="mend or uninstall kdseg-sharp"):
        build_method("sharp")
    with pytest.raises(UserError, match="mend or uninstall kdseg-sharp"):
        build_network("sharp")
    assert build_method("kd").terms


def test_a_name_that_is_taken_stays_with_its_owner(install: Install) -> None:
    install("from kdseg.losses import FitNetLoss as Loss", "[kdseg.losses]\nlogits = kdseg_sharp:Loss")
    assert "logits" in LOSSES and LOSSES.find("logits") is not sys.modules.get("kdseg_sharp")
    list(LOSSES)
    assert "a name that is taken" in str(LOSSES.broken["logits"])


def test_registered_in_a_program(install: Install) -> None:
    @kdseg.register_loss("my_loss")
    class MyLoss(kdseg.losses.FitNetLoss):  # type: ignore[misc]
        pass

    @kdseg.register_network("my_net")
    class MyNet(UNet):
        pass

    kdseg.register_method("my_method", {"features": {"loss": "my_loss", "taps": ["enc2"]}})
    assert build_method("my_method").terms["features"].loss == "my_loss"
    assert isinstance(build_network("my_net", base_channels=2), MyNet)
    assert kdseg.register_loss("my_loss")(MyLoss) is MyLoss, "a module that is imported twice"
    wrong = [
        (lambda: kdseg.register_loss("logits")(MyLoss), "a name that is taken"),
        (lambda: kdseg.register_loss("other")(dict), "a class of losses"),
        (lambda: kdseg.register_network("other")(dict), "a class of networks"),
        (lambda: kdseg.register_method("other", {"soft": {"loss": "logit"}}), "did you mean 'logits'"),
        (lambda: kdseg.register_method("other", {}), "a Method or its terms"),
    ]
    for register, told in wrong:
        with pytest.raises(UserError, match=told):
            register()

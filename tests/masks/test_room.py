"""Codes, names, marks, and that nothing here needs torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydicom.sr._concepts_dict import concepts

from kdseg.errors import UserError
from kdseg.masks import Mask, OutputNames, check_formats, is_marked, read_mark, save_mask
from kdseg.masks.codes import ABNORMAL, ANATOMY, CATEGORIES, SIDES, code_of
from tests.masks.make_masks import MAKER

KNOWN = {code for values in concepts["SCT"].values() for code in values}


def test_every_code_is_one_that_dicom_uses() -> None:
    used = [*ANATOMY, *ABNORMAL, *CATEGORIES.values(), *SIDES.values()]
    assert [code for code, _ in used if code not in KNOWN] == []


@pytest.mark.parametrize(
    ("name", "value", "side"),
    [
        ("prostate", "41216001", None),
        ("Right_Kidney", "64033007", "Right"),
        ("kidney left", "64033007", "Left"),
        ("heart_atrium_left", "82471001", None),
        ("coronary artery", "41801008", None),
        ("vessel", "59820001", None),
        ("tumour", "108369006", None),
    ],
)
def test_names_find_their_codes(name: str, value: str, side: str | None) -> None:
    code = code_of(name)
    assert code.kind[0] == value and (code.side[2] if code.side else None) == side and not code.is_private


def test_other_names_have_private_codes_of_their_own() -> None:
    long = "a very long name of a structure that nobody has coded so far, number "
    codes = [code_of(f"{long}{number}") for number in range(20)]
    assert all(code.is_private and len(code.kind[0]) <= 16 and len(code.kind[2]) <= 64 for code in codes)
    assert len({code.kind[0] for code in codes}) == 20


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(UserError, match="did you mean 'rtstruct'"):
        check_formats(["seg", "rtstuct"])


def test_two_inputs_never_share_a_path() -> None:
    names = OutputNames("out")
    first, second = names.path(Path("a/7.png"), ".png"), names.path(Path("b/7.png"), ".png")
    assert first != second and first == names.path(Path("a/7.png"), ".png")
    assert names.path(Path("a/7.png"), ".png", word="preview").name == "7_preview.png"


@pytest.mark.parametrize("file_format", ["picture", "nifti"])
def test_the_mark_names_the_student(file_format: str, tmp_path: Path) -> None:
    labels = {"0": "background", "1": "vessel"}
    mask = Mask(np.ones((1, 5, 4)), np.eye(4), labels, ["7.png"], file_format, maker=MAKER)
    (path,), remarks = save_mask(mask, OutputNames(tmp_path))
    mark = read_mark(path)
    assert mark is not None and mark["student"] == MAKER.student and mark["labels"] == labels and not remarks
    with pytest.raises(UserError, match="there already"):
        save_mask(mask, OutputNames(tmp_path))
    save_mask(mask, OutputNames(tmp_path), overwrite=True)
    (tmp_path / "empty.png").touch()
    assert not is_marked(tmp_path / "empty.png")


def test_the_room_needs_no_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = sys.modules['monai'] = None\n"
        "import kdseg.masks.pipeline, kdseg.masks.report, kdseg.masks.preview\n"
        "heavy = {'pydicom', 'highdicom', 'nibabel', 'skimage', 'scipy', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])

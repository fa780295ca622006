from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kdseg.data import content_hash, load_datalist, save_datalist, split_by_patient
from kdseg.errors import UserError


def records(patients: int, pictures: int = 2) -> list[dict]:
    return [{"patient": f"p{p}", "case": f"p{p}_{i}"} for p in range(patients) for i in range(pictures)]


def patients_of(split: dict, *sections: str) -> set[str]:
    return {record["patient"] for section in sections for record in split[section]}


def test_patients_stay_together_and_nobody_is_lost():
    split = split_by_patient(records(20, 3), seed=1)
    sections = [patients_of(split, section) for section in ("training", "validation", "test")]
    assert [len(section) for section in sections] == [12, 4, 4]
    assert len(set.union(*sections)) == 20
    assert sum(map(len, split.values())) == 60


def test_split_depends_on_the_seed_alone():
    forward, backward = split_by_patient(records(20), seed=3), split_by_patient(records(20)[::-1], seed=3)
    for section in forward:
        assert patients_of(forward, section) == patients_of(backward, section)
    assert patients_of(forward, "test") != patients_of(split_by_patient(records(20), seed=4), "test")


def test_known_split():
    # guards the promise that a seed gives the same split in every version
    assert patients_of(split_by_patient(records(10), seed=0), "test") == {"p1", "p9"}


def test_folds_are_by_patient_and_never_hold_test_patients():
    split = split_by_patient(records(20), seed=0, folds=5)
    fold_of: dict[str, int] = {}
    for record in split["training"] + split["validation"]:
        assert fold_of.setdefault(record["patient"], record["fold"]) == record["fold"]
    assert sorted(list(fold_of.values()).count(fold) for fold in range(5)) == [3, 3, 3, 3, 4]
    assert not any("fold" in record for record in split["test"])


@pytest.mark.parametrize(("patients", "sizes"), [(3, [1, 1, 1]), (4, [2, 1, 1]), (5, [3, 1, 1]), (7, [5, 1, 1])])
def test_tiny_sets(patients: int, sizes: list[int]):
    split = split_by_patient(records(patients, 1))
    assert [len(split[section]) for section in ("training", "validation", "test")] == sizes
    assert {record["fold"] for record in split["training"] + split["validation"]} == set(range(min(5, patients - 1)))


def test_a_fraction_of_zero_leaves_its_section_empty():
    split = split_by_patient(records(10), fractions=(0.8, 0.2, 0))
    assert [len(patients_of(split, section)) for section in split] == [8, 2, 0]


def test_too_few_patients_and_wrong_settings():
    with pytest.raises(UserError, match="2 patients"):
        split_by_patient(records(2))
    with pytest.raises(UserError, match="fractions"):
        split_by_patient(records(9), fractions=(0.6, 0.2, 0.1))
    with pytest.raises(UserError, match="folds"):
        split_by_patient(records(9), folds=1)


def test_published_split_is_kept_and_validation_made_where_it_lacks():
    published = [record | {"section": "test" if record["patient"] < "p4" else "training"} for record in records(10)]
    split = split_by_patient(published, fractions=(0.6, 0.2, 0.2))
    assert patients_of(split, "test") == {"p0", "p1", "p2", "p3"}
    assert [len(patients_of(split, section)) for section in ("training", "validation")] == [4, 2]
    assert not any("section" in record for section in split.values() for record in section)


@pytest.fixture
def datalist(tmp_path: Path) -> Path:
    content: dict = {"root": "../pictures", "name": "x"}
    split = split_by_patient([{"patient": str(i), "image": f"{i}.png", "label": f"{i}_gt.png"} for i in range(10)])
    for i in range(10):
        for name in (f"{i}.png", f"{i}_gt.png"):
            path = tmp_path / "pictures" / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"x")
    path = tmp_path / "lists" / "list.json"
    save_datalist(content | split, path)
    return path


def test_paths_are_absolute_from_any_folder(datalist: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(datalist.parent)
    loaded = load_datalist("list.json", "training")
    assert len(loaded) == 6
    assert all(Path(record["image"]).is_absolute() and Path(record["label"]).is_file() for record in loaded)
    assert ".." not in loaded[0]["image"]


def test_folds_divide_training_and_validation(datalist: Path):
    held_out = []
    for fold in range(5):
        training = {record["patient"] for record in load_datalist(datalist, "training", fold=fold)}
        validation = {record["patient"] for record in load_datalist(datalist, "validation", fold=fold)}
        assert not training & validation and len(training | validation) == 8
        held_out += sorted(validation)
    assert len(held_out) == len(set(held_out)) == 8
    assert len(load_datalist(datalist, "test", fold=0)) == len(load_datalist(datalist, "test")) == 2


def test_msd_list_with_bare_test_images(tmp_path: Path):
    (tmp_path / "a.nii").write_bytes(b"x")
    (tmp_path / "list.json").write_text(json.dumps({"training": [], "test": ["./a.nii"]}))
    assert load_datalist(tmp_path / "list.json", "test") == [{"image": str(tmp_path / "a.nii")}]


def test_errors(datalist: Path, tmp_path: Path):
    with pytest.raises(UserError, match="no such file"):
        load_datalist(tmp_path / "nowhere.json", "training")
    with pytest.raises(UserError, match="did you mean 'training'"):
        load_datalist(datalist, "trainig")
    with pytest.raises(UserError, match="fold 9"):
        load_datalist(datalist, "training", fold=9)
    (datalist.parent.parent / "pictures" / "3.png").unlink()
    with pytest.raises(UserError, match=r"1 files .* missing.*3\.png"):
        for section in ("training", "validation", "test"):
            load_datalist(datalist, section)
    for text, message in (("{", "not JSON"), ("[]", "a JSON list"), ('{"training": [{"image": "x"}]}', "missing")):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(UserError, match=message):
            load_datalist(tmp_path / "bad.json", "training")


def test_list_without_folds(tmp_path: Path):
    (tmp_path / "list.json").write_text('{"training": [{"image": "x"}]}')
    with pytest.raises(UserError, match="records without folds"):
        load_datalist(tmp_path / "list.json", "training", fold=0)


def test_failed_writing_leaves_the_old_list(datalist: Path):
    before = datalist.read_text()
    with pytest.raises(TypeError):
        save_datalist({"training": [object()]}, datalist)
    assert datalist.read_text() == before
    assert [path.name for path in datalist.parent.iterdir()] == ["list.json"]


def test_full_disk_is_a_clear_error(datalist: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(UserError, match="No space left"):
        save_datalist({}, datalist)
    assert json.loads(datalist.read_text())["name"] == "x"


def test_lists_need_no_torch():
    code = "import sys, kdseg.data.lists.datalist, kdseg.cli.prepare; "
    code += "print('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_content_hash(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"abc")
    assert content_hash(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("patient", [{"patient": "somebody"}, {}])
def test_a_patient_in_two_sections_is_refused(tmp_path: Path, patient: dict[str, str]) -> None:
    one, two = ({"image": "a.png", "case": name, **patient} for name in ("first", "second"))
    path = tmp_path / "list.json"
    (tmp_path / "a.png").touch()
    path.write_text(json.dumps({"training": [one], "test": [two]}))
    with pytest.raises(UserError, match=r"one patient in training \(first\) and in test \(second\)") as told:
        load_datalist(path, "training")
    assert "somebody" not in str(told.value)
    # pooled by folds, training and validation may share a patient, but folds may not
    pooled = {"training": [one | {"fold": 0}], "validation": [two | {"fold": 0}]}
    path.write_text(json.dumps(pooled))
    assert len(load_datalist(path, "validation", fold=0)) == 2
    path.write_text(json.dumps({**pooled, "validation": [two | {"fold": 1}]}))
    with pytest.raises(UserError, match=r"in fold 0 \(first\) and in fold 1"):
        load_datalist(path, "validation", fold=0)

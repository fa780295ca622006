"""Settings that would not do what they say are refused, and a training goes on with the same settings only."""

from __future__ import annotations

from typing import Any

import pytest
from monai.bundle import ConfigParser

from kdseg.errors import UserError, user_error_in
from kdseg.settings import check_keys, parse_setting, training_settings


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=True", True),
        ("a=false", False),
        ("a=None", None),
        ("a=null", None),
        ("a=[1,2]", [1, 2]),
        ("a=yes", "yes"),
        ("a=['x']", ["x"]),
    ],
)
def test_values_of_json_and_of_python(text: str, value: object) -> None:
    assert parse_setting(text) == ("a", value)


@pytest.mark.parametrize(("word", "meant"), [("true", "True"), ("false", "False"), ("null", "None")])
def test_a_text_that_was_meant_as_a_value(word: str, meant: str) -> None:
    with pytest.raises(UserError, match=f"write {meant}"):
        check_keys({"mlflow": word, "train": "@mlflow"})


def test_what_makes_another_training() -> None:
    config: dict[str, Any] = {
        "epochs": 3,
        "output_dir": "a",
        "num_workers": 0,
        "train": {"loader": {"batch_size": 8, "num_workers": "@num_workers"}, "handlers": [1]},
    }
    same = {**config, "output_dir": "b", "num_workers": 2, "train": {**config["train"], "handlers": [2]}}
    assert training_settings(config) == training_settings(same)
    for changes in ({"epochs": 4}, {"learning_rate": 1}, {"train": {"loader": {"batch_size": 4}}}):
        assert training_settings({**config, **changes}) != training_settings(config)


def fails() -> None:
    raise TypeError("a fault of a program")


@pytest.mark.parametrize(("value", "theirs"), [("$min(2, 'many')", True), ("$tests.test_settings.fails()", False)])
def test_a_setting_of_a_wrong_kind_is_the_users_and_a_fault_in_a_function_is_not(value: str, theirs: bool) -> None:
    parser = ConfigParser({"imports": ["$import tests.test_settings"], "a": value}, globals={"tests": "tests"})
    with pytest.raises(RuntimeError) as caught:
        parser.get_parsed_content("a")
    assert (user_error_in(caught.value) is not None) == theirs

from __future__ import annotations

import pickle
import subprocess
import sys

from kdseg.errors import UserError, suggestion, user_error_in

ERROR = UserError("fold", found="7", expected="0 to 4", fix="use 4")


def test_the_message_has_all_four_parts() -> None:
    assert str(ERROR) == "fold: found 7; expected 0 to 4. To mend it: use 4."


def test_it_comes_through_a_workers_pipe() -> None:
    assert str(pickle.loads(pickle.dumps(ERROR))) == str(ERROR)


def test_it_is_found_under_what_libraries_wrap_around_it() -> None:
    try:
        try:
            raise ERROR
        except UserError as error:
            raise RuntimeError("applying transform") from error
    except RuntimeError as wrapped:
        assert user_error_in(wrapped) is ERROR
    assert user_error_in(ValueError("other")) is None and user_error_in(None) is None


def test_suggestions_name_the_near_or_all() -> None:
    assert suggestion("lightvesel", ["kd", "lightvessel"]) == "did you mean 'lightvessel'?"
    assert suggestion("zzz", ["kd", "at"]) == "choose one of kd, at"


def test_uncaught_user_errors_have_no_traceback() -> None:
    code = "from kdseg.errors import *; explain_uncaught(); raise UserError('a', found='b', expected='c', fix='d')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr == "kdseg: a: found b; expected c. To mend it: d.\n"
    other = subprocess.run(
        [sys.executable, "-c", "from kdseg.errors import *; explain_uncaught(); 1/0"], capture_output=True, text=True
    )
    assert "Traceback" in other.stderr

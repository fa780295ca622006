"""The one kind of error that a user of kdseg sees: where, what was found, what was expected, what to do."""

from __future__ import annotations

import difflib
import re
import sys
import traceback as tracebacks
from collections.abc import Iterable
from types import TracebackType

__all__ = ["UserError", "explain_uncaught", "reason_of", "suggestion", "user_error_in"]


class UserError(Exception):
    """Bad input, told so that it can be mended. Commands print it in one piece, without a traceback, and exit with 2.

    Args:
        where: the file, case or configuration key that is at fault.
        found: what is there.
        expected: what should be there.
        fix: what to do about it.

    Example:
        >>> print(UserError("method", found="'lightvesel'", expected="one of kd, lightvessel", fix="use 'lightvessel'"))
        method: found 'lightvesel'; expected one of kd, lightvessel. To mend it: use 'lightvessel'.
    """

    def __init__(self, where: object, *, found: str, expected: str, fix: str) -> None:
        self.where, self.found, self.expected, self.fix = str(where), found, expected, fix
        super().__init__(
            f"{where}: found {found}; expected {expected}. To mend it: {fix}{'' if fix.endswith(('.', '?')) else '.'}"
        )

    def __reduce__(self) -> tuple[object, ...]:
        # exceptions with keyword-only arguments do not survive the way back from a data loader's worker otherwise
        return _rebuild, (self.where, self.found, self.expected, self.fix)


def _rebuild(where: str, found: str, expected: str, fix: str) -> UserError:
    return UserError(where, found=found, expected=expected, fix=fix)


def suggestion(name: str, choices: Iterable[str]) -> str:
    """Say which of ``choices`` was probably meant by ``name``, or list them all when none is near.

    Example:
        >>> suggestion("enc11", ["enc1", "dec1", "logits"])
        "did you mean 'enc1'?"
        >>> suggestion("xyz", ["kd", "lightvessel"])
        'choose one of kd, lightvessel'
    """
    names = list(choices)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"did you mean '{near[0]}'?" if near else f"choose one of {', '.join(names)}"


def user_error_in(error: BaseException | None) -> UserError | None:
    """The UserError that caused ``error``, however deeply libraries have wrapped it.

    A setting of a wrong kind in a configuration counts as one, see :func:`_setting_error`.
    """
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        if isinstance(error, UserError):
            return error
        chain.append(error)
        error = error.__cause__ or error.__context__
    return _setting_error(chain) if chain else None


def reason_of(error: BaseException) -> str:
    """What went wrong, in one line for people.

    Example:
        >>> reason_of(ValueError("no such thing\\nat all"))
        'ValueError: no such thing'
    """
    return (str(user_error_in(error) or f"{type(error).__name__}: {error}").splitlines() or [""])[0]


def _setting_error(chain: list[BaseException]) -> UserError | None:
    """What MONAI's configuration says when a setting is of a wrong kind, or None where the fault is in a program.

    The fault is in a setting when an expression fails in itself, and not in a function that it calls, or when a
    component has no such name or no such argument.

    Args:
        chain: the error, its cause, the cause of that, …
    """
    first = chain[-1]
    files = [frame.filename.replace("\\", "/") for frame in tracebacks.extract_tb(first.__traceback__)]
    in_expression = len(files) > 1 and files[-2].endswith("monai/bundle/config_item.py") and files[-1] == "<string>"
    in_call = (
        bool(files) and files[-1].endswith("monai/utils/module.py") and isinstance(first, (ImportError, TypeError))
    )
    if not (in_expression or in_call):
        return None
    place = re.sub(r"__local_refs\['([^']+)'\]", r"@\1", str(chain[-2])) if len(chain) > 1 else "configuration"
    place = re.sub(r"\s+", " ", place.split("set '_mode_")[0].replace("::", "#")).strip()
    return UserError(
        place.removeprefix("Failed to evaluate ConfigExpression: ").removeprefix("Failed to "),
        found=f"{type(first).__name__} ({str(first).rstrip('.')})",
        expected="settings of the kind that the bundle's configuration has",
        fix="check the settings that you changed",
    )


def explain_uncaught() -> None:
    """Print an uncaught UserError as one message, without a traceback.

    For processes that are not ours: ``python -m monai.bundle run`` prints the traceback of every error otherwise.
    """
    ordinary = sys.excepthook

    def explain(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        cause = user_error_in(error)
        if cause is None:
            ordinary(kind, error, traceback)
        else:
            print(f"kdseg: {cause}", file=sys.stderr)

    sys.excepthook = explain

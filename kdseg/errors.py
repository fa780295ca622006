"""The one kind of error that a user of kdseg sees: where, what was found, what was expected, what to do."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable
from types import TracebackType

__all__ = ["UserError", "explain_uncaught", "suggestion", "user_error_in"]


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
    """The UserError that caused ``error``, however deeply libraries have wrapped it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, UserError):
            return error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None


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

"""What stands for a patient id or a UID outside of the files themselves."""

from __future__ import annotations

import hashlib
from functools import cache

__all__ = ["pseudonym"]


@cache
def pseudonym(patient_id: str) -> str:
    """Twelve hexadecimal digits that stand for a patient id: always the same, and slow to try ids against.

    A pseudonym, not anonymity: who has a list of ids can still find which of them are here.

    Example:
        >>> pseudonym("12345") == pseudonym("12345 "), len(pseudonym("12345"))
        (True, 12)
    """
    return hashlib.pbkdf2_hmac("sha256", patient_id.strip().encode(), b"kdseg", 20_000).hex()[:12]

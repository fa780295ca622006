"""In which numbers a teacher computes: bfloat16 where the processor has instructions for it, told by its own flags."""

from __future__ import annotations

from typing import Literal, get_args

import torch

from kdseg.errors import UserError, suggestion

__all__ = ["Precision", "has_bfloat16", "wants_bfloat16"]

Precision = Literal["auto", "bfloat16", "float32"]

_FLAGS = ("avx512_bf16", "amx_bf16", "bf16")


def has_bfloat16(device: torch.device | str) -> bool:
    """Whether a device multiplies bfloat16 by itself; elsewhere it is emulated, and slower than float32.

    False where PyTorch does not tell.
    """
    if torch.device(device).type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if torch.device(device).type != "cpu":
        return False
    told: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(bool(told.get(flag)) for flag in _FLAGS)


def wants_bfloat16(precision: str, device: torch.device | str) -> bool:
    """Whether a teacher computes in bfloat16: as told, or ("auto") where the device has it.

    Raises:
        UserError: for another word, with the near one.

    Example:
        >>> wants_bfloat16("float32", "cpu"), wants_bfloat16("bfloat16", "cpu")
        (False, True)
    """
    if precision not in get_args(Precision):
        expected = ", ".join(get_args(Precision))
        fix = suggestion(str(precision), get_args(Precision))
        raise UserError("teacher_precision", found=repr(precision), expected=expected, fix=fix)
    return precision == "bfloat16" or (precision == "auto" and has_bfloat16(device))

"""Exact relations between all pairs of positions, without the matrix of all pairs.

For features ``F`` of shape ``C × N`` the matrix of relations ``FᵀF`` has N² entries, but the squared distance between
two such matrices needs channel products only (``C × C``), because ``‖AᵀB‖² = ⟨AAᵀ, BBᵀ⟩``. Time is N·C² and memory
N·C where the dense form takes N²·C and N².
"""

from __future__ import annotations

from torch import Tensor

__all__ = ["cross_relation_distance"]


def cross_relation_distance(a_student: Tensor, b_student: Tensor, a_teacher: Tensor, b_teacher: Tensor) -> Tensor:
    r"""``mean_b ‖A_SᵀB_S − A_TᵀB_T‖²_F / N²``: relations of every position of A with every position of B.

    The channel products are summed in float64: where student and teacher are nearly equal, the three parts cancel.

    Args:
        a_student, b_student: ``BC_sH[WD]``, the same number N of positions.
        a_teacher, b_teacher: ``BC_tH[WD]``, the same N, without gradient.

    Example:
        >>> import torch
        >>> f = torch.randn(2, 3, 4, 4)
        >>> cross_relation_distance(f, f, f, f).item()
        0.0
    """
    a_s, b_s, a_t, b_t = (x.flatten(2).double() for x in (a_student, b_student, a_teacher, b_teacher))

    def inner(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
        # ⟨AᵀB, CᵀD⟩ = ⟨ACᵀ, BDᵀ⟩
        return ((a @ c.transpose(1, 2)) * (b @ d.transpose(1, 2))).sum((1, 2))

    squared = inner(a_s, b_s, a_s, b_s) + inner(a_t, b_t, a_t, b_t) - 2 * inner(a_s, b_s, a_t, b_t)
    return (squared.clamp_min(0).mean() / a_s.shape[2] ** 2).to(a_student.dtype)

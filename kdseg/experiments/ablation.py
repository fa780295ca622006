"""Which parts of a method are tried by themselves: what ``kdseg compare --ablate`` runs."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from kdseg.distill import METHODS

__all__ = ["subsets"]


def subsets(method: str) -> list[tuple[tuple[str, ...], dict[str, Any]]]:
    """Subsets of a method's terms, each with the ``method_args`` that leave the other terms out.

    Every term by itself, then the terms added one after the other in the method's order, the whole method last.

    Args:
        method: a name of :data:`kdseg.distill.METHODS`.

    Example:
        >>> [terms for terms, _ in subsets("lightvessel")]
        [('fsd',), ('asd',), ('fsd', 'asd')]
        >>> subsets("lightvessel")[0][1]
        {'asd': {'weight': 0}}
    """
    terms = [name for name, term in METHODS[method].terms.items() if term.weight != 0 or term.share]
    chosen = [*combinations(terms, 1), *(tuple(terms[:count]) for count in range(2, len(terms) + 1))]
    return [(kept, {name: {"weight": 0} for name in terms if name not in kept}) for kept in chosen]

"""Objects by name: kdseg's own, those that a program registers, and those of installed plug-in packages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from kdseg.errors import UserError, suggestion

__all__ = ["Registry"]

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """A mapping of name → object that plug-ins add to.

    The entry points of ``group`` are loaded when a name that is not known is looked up, or the names are listed. One
    that cannot be used is left out of the names, told in :attr:`broken`, and refused by :meth:`find`.

    Args:
        kind: what an object is called in messages, for instance "loss".
        group: of the entry points, for instance "kdseg.losses".
        own: kdseg's own objects by name.
        read: turns what is registered into an object of the registry's kind.

    Example:
        >>> colours = Registry("colour", "kdseg.colours", {"red": "#f00"}, str)
        >>> colours.find("red")
        '#f00'
        >>> colours.register("green", "#0f0")
        >>> list(colours)
        ['red', 'green']
    """

    def __init__(self, kind: str, group: str, own: Mapping[str, T], read: Callable[[object], T]) -> None:
        self.kind = kind
        self.group = group
        self.broken: dict[str, UserError] = {}
        """The entry points that could not be used, by name."""
        self._read = read
        self._objects = dict(own)
        self._sources: dict[str, object] = {}
        self._pending: list[EntryPoint] | None = None

    def register(self, name: str, value: object) -> None:
        """Add an object; the same one twice under one name is fine.

        Raises:
            UserError: for a name that is taken, and an object of the wrong kind.
        """
        if name in self._sources and self._sources[name] is value:
            return
        if name in self._objects:
            fix = "give it another name, such as one that begins with your package's"
            where = f"{self.kind} {name!r}"
            raise UserError(where, found="a name that is taken", expected="a new name", fix=fix)
        self._objects[name] = self._read(value)
        self._sources[name] = value

    def find(self, name: str, where: str | None = None) -> T:
        """The object of a name.

        Args:
            name: the name.
            where: what a message calls the place where the name stands; the registry's kind by default.

        Raises:
            UserError: for a name that is unknown, with the near one, or whose plug-in is broken, with the reason.
        """
        if name in self:
            return self._objects[name]
        if name in self.broken:
            raise self.broken[name]
        expected = f"one of {', '.join(self)}"
        raise UserError(where or self.kind, found=repr(name), expected=expected, fix=suggestion(name, self))

    def __getitem__(self, name: str) -> T:
        if name not in self._objects:
            self._load()
        return self._objects[name]

    def __iter__(self) -> Iterator[str]:
        self._load()
        return iter(self._objects)

    def __len__(self) -> int:
        self._load()
        return len(self._objects)

    def _load(self) -> None:
        if self._pending is None:
            self._pending = list(entry_points(group=self.group))
        while self._pending:
            # taken out first: a plug-in may look names up while it is imported
            point = self._pending.pop(0)
            try:
                self.register(point.name, point.load())
            except Exception as error:
                package = point.dist.name if point.dist is not None else point.module
                self.broken[point.name] = UserError(
                    f"plug-in {package}, {self.kind} {point.name!r}",
                    found=f"{type(error).__name__}: {error}".rstrip("."),
                    expected=f"{point.value} to be a {self.kind} under a name of its own",
                    fix=f"mend or uninstall {package}",
                )

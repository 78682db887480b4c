"""The root of every error that a user can put right."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


class UserError(Exception):
    """Something outside the program is wrong, and the user can put it right.

    Args:
        what: what was found, naming the file or argument; no final full stop.
        hint: what to do next; no final full stop.
    """

    exit_code = 1

    def __init__(self, what: str, hint: str) -> None:
        self.what = _one_line(what)
        self.hint = _one_line(hint)
        super().__init__(f"{self.what}; {self.hint}")

    def __reduce__(self) -> tuple[type[UserError], tuple[str, str]]:
        return type(self), (self.what, self.hint)  # survives the way back from a worker process


class UnknownName(UserError):
    """A name that is in none of our tables; lists the known ones."""

    exit_code = 2

    def __init__(self, kind: str, name: str, known: list[str]) -> None:
        self.kind, self.name, self.known = kind, name, list(known)
        near = difflib.get_close_matches(name, self.known, n=1)
        guess = f"did you mean '{near[0]}'? " if near else ""
        super().__init__(f"unknown {kind} '{name}'", f"{guess}known: {', '.join(self.known)}")

    def __reduce__(self) -> tuple[type[UnknownName], tuple[str, str, list[str]]]:  # type: ignore[override]
        return type(self), (self.kind, self.name, self.known)


def lookup(table: Mapping[str, T], kind: str, name: str) -> T:
    """The entry called `name`.

    Raises:
        UnknownName: listing the table's keys.
    """
    if name not in table:
        raise UnknownName(kind, name, list(table))
    return table[name]


def _one_line(text: str) -> str:
    return " ".join(str(text).split())

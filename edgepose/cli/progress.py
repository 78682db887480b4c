"""What a command tells whoever watches: on stderr, so that stdout stays clean for scripts.

A terminal gets one progress bar. A log file, where a bar is a heap of empty lines, gets one line of how long
a step will take, after its first parts. A command that is not done at once is announced.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from typing import TextIO

_QUIET_S = 0.5  # then a command is announced
_HEAVY = ("tensorflow", "jax", "ray")  # imports that a command is announced before
_LOOK_S = 5.0  # of a step, before its time is told
_PARTS = 3  # done in that time at least
_SHORT_S = 10.0  # a step that is done sooner is not told of
_SERVERS = ("view",)  # commands that say where they are to be found, and run until they are stopped
_shown = threading.Event()  # a bar is on a terminal


@dataclass
class Pace:
    """Tells once, after a step's first parts, how long the others will take.

    Attributes:
        say: who is told.
        now: a clock, s.
    """

    title: str
    unit: str
    say: Callable[[str], None]
    now: Callable[[], float] = time.monotonic
    _first: tuple[float, int, int] | None = None  # when, parts done by then, parts in all
    _told: bool = False

    def update(self, done: int, total: int) -> None:
        """`done` of `total` parts are done; another total begins anew."""
        now = self.now()
        if self._first is None or self._first[2] != total:
            self._first = (now, done, total)
        began, before, _ = self._first
        took, parts = now - began, done - before
        if self._told or took < _LOOK_S or parts < _PARTS:
            return
        self._told = True
        left = took / parts * (total - done)
        if left >= _SHORT_S:
            from edgepose.training.forecast import duration

            self.say(f"{self.title}: {done} of {total} {self.unit}, {duration(left)} to come")


@contextmanager
def bar(title: str, unit: str, forecast: bool = True) -> Iterator[Callable[[int, int], None]]:
    """Yields `update(done, total)`.

    Args:
        forecast: False where the step tells by itself how long it takes.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    if not console.is_terminal:
        pace = Pace(title, unit.split(",")[0], lambda text: print(text, file=sys.stderr, flush=True))
        yield pace.update if forecast else lambda done, total: None
        return
    with Progress(*columns, console=console, transient=True) as progress:
        _shown.set()
        task = progress.add_task(title, total=None)
        try:
            yield lambda done, total: progress.update(task, completed=done, total=total)
        finally:
            _shown.clear()


class _Announcement(MetaPathFinder):
    """What a command does, told once: after a while, or before an import that takes seconds.

    Such an import holds the interpreter, so that no thread can speak, and its noise is kept off stderr: hence
    a stream of its own.
    """

    def __init__(self, text: Callable[[], str], stream: TextIO) -> None:
        self._text, self._stream = text, stream
        self._lock, self._done = threading.Lock(), threading.Event()

    def wait(self) -> None:
        """Tell it, unless the command is done before."""
        if not self._done.wait(_QUIET_S):
            self.tell()

    def tell(self) -> None:
        """Tell it now, but for a bar that already does."""
        with self._lock:
            if self._done.is_set() or _shown.is_set():
                return
            self._done.set()
            if text := self._text():
                print(text, file=self._stream, flush=True)

    def end(self) -> None:
        """Nothing is told from here on."""
        with self._lock:
            self._done.set()

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Finds no module, and sees which is imported."""
        if name in _HEAVY:
            self.tell()


@contextmanager
def announced(words: Sequence[str], purpose: Callable[[Sequence[str]], str]) -> Iterator[None]:
    """Say what a command does that takes a while, unless a bar on a terminal shows it.

    Args:
        words: of the command line, without the program's name.
        purpose: what such a command does; empty where there is nothing to say.
    """
    if not words or words[0] in _SERVERS:
        yield
        return
    with _beside(sys.stderr) as stream:
        announcement = _Announcement(lambda: purpose(words), stream)
        sys.meta_path.insert(0, announcement)
        threading.Thread(target=announcement.wait, name="announcement", daemon=True).start()
        try:
            yield
        finally:
            announcement.end()
            sys.meta_path.remove(announcement)


@contextmanager
def _beside(stream: TextIO) -> Iterator[TextIO]:
    """The stream under another descriptor, which stays where it is while the first one is captured."""
    try:
        number = os.dup(stream.fileno())
    except OSError:  # it is no file
        yield stream
        return
    with os.fdopen(number, "w", encoding=stream.encoding, errors="backslashreplace") as other:
        yield other

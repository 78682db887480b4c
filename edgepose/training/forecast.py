"""How long a run will take, told once, from its own first steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

_COMPILED = 1  # the first step of a process compiles, and says nothing about the others
_STEPS = 3


@dataclass
class Forecast:
    """Watches a session's steps and says, after the fourth, how long the others will take.

    Attributes:
        say: who is told.
    """

    say: Callable[[str], None]
    _seconds: list[float] = field(default_factory=list)

    def step(self, seconds: float, left: int) -> None:
        """A step is done.

        Args:
            seconds: that it took.
            left: steps to come.
        """
        if len(self._seconds) == _COMPILED + _STEPS:
            return
        self._seconds.append(seconds)
        if len(self._seconds) == _COMPILED + _STEPS and left:
            each = median(self._seconds[_COMPILED:])
            self.say(f"{each:.2g} s a step: {duration(each * left)} for the {left} to come, and validation")


def duration(seconds: float) -> str:
    """As one says it: "about 40 seconds", "about 12 minutes", "about 3.5 hours"."""
    if seconds < 90:
        return f"about {max(round(seconds), 1)} seconds"
    if seconds < 90 * 60:
        return f"about {round(seconds / 60)} minutes"
    return f"about {seconds / 3600:.1f} hours"

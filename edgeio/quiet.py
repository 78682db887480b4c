"""Keep native libraries' chatter off the terminal."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

_LOGGERS = ("tensorflow", "absl")


@contextmanager
def captured_stderr(stdout: bool = False) -> Iterator[IO[str]]:
    """Send the process's stderr, C++ included, to a temporary file for as long as the block runs.

    Args:
        stdout: send it there too.

    Yields:
        the file, to be read when something failed.
    """
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        streams = {2: sys.stderr} | ({1: sys.stdout} if stdout else {})
        saved = {number: os.dup(number) for number in streams}
        for number, stream in streams.items():
            stream.flush()
            os.dup2(log.fileno(), number)
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield log
        finally:
            for number, stream in streams.items():
                stream.flush()
                os.dup2(saved[number], number)
                os.close(saved[number])
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)

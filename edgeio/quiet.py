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
def captured_stderr() -> Iterator[IO[str]]:
    """Send the process's stderr, C++ included, to a temporary file for as long as the block runs.

    Yields:
        the file, to be read when something failed.
    """
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    sys.stderr.flush()
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        saved = os.dup(2)
        os.dup2(log.fileno(), 2)
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield log
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)

"""Every error that edgepose raises on purpose.

edgeio.UserError                 one line: what was found; what to do. Exit code 1
├── edgeio.UnknownName           a name in none of our tables. Exit code 2
├── export.errors.ExportError    the converter, a recipe or a .tflite file
├── android_harness.errors.HarnessError   a device, or what runs on it
└── EdgeposeError
    ├── UsageError               arguments that do not go together. Exit code 2
    ├── BadImage                 a file that is not a usable image
    │   └── NobodyFound          one in which a network's own detector finds nobody
    ├── BadDataset               a data set that cannot be read as its format
    ├── BadCheckpoint            weights that are missing, misshapen or of another network
    ├── BadModel                 a .tflite or its sidecar that cannot be scored
    ├── BadResults               a results file that cannot be read or compared
    ├── BadVideo                 a file that is not a usable video (prediction.video)
    ├── BadSource                an input that cannot be predicted on (prediction.sources)
    ├── DeadWorker               a process that was killed, or hung (tracking.workers)
    ├── FailedBefore             an input that failed in an earlier run (tracking.archive)
    ├── MissingPackage           a format, or an engine, whose package is not installed
    ├── EngineError              an engine that cannot be reached or used (engines)
    └── Diverged                 training that is no longer numbers (training.loop)
"""

from __future__ import annotations

from edgeio import UserError


class EdgeposeError(UserError):
    """Base of edgepose's own errors."""


class UsageError(EdgeposeError):
    """Arguments that do not go together."""

    exit_code = 2


class BadImage(EdgeposeError):
    """A file that is not a usable image."""


class NobodyFound(BadImage):
    """An image in which a network's own detector finds nobody."""


class BadDataset(EdgeposeError):
    """A data set that cannot be read as its format."""


class BadCheckpoint(EdgeposeError):
    """Weights that are missing, misshapen or of another network."""


class BadModel(EdgeposeError):
    """A .tflite or its sidecar that cannot be scored."""


class BadResults(EdgeposeError):
    """A results file that cannot be read or compared."""


class MissingPackage(EdgeposeError):
    """A format, or an engine, whose package is not installed."""

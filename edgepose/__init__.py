"""edgepose: infant pose estimation, small enough for a phone and measured like a clinical instrument.

In a notebook: `edgepose.load(MODEL).predict(image_or_video)` and `edgepose.evaluate(MODEL, DATA)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgepose.api import Model, Prediction, evaluate, load

__version__ = "0.1.0"
__all__ = ["Model", "Prediction", "__version__", "evaluate", "load"]


def __getattr__(name: str) -> Any:
    """The API's names, at their first use: `import edgepose` itself loads nothing."""
    if name not in __all__:
        raise AttributeError(f"module 'edgepose' has no attribute '{name}'")
    from edgepose import api

    return getattr(api, name)

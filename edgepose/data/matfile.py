"""MATLAB files, which may be damaged or hostile. Nothing in them is ever run."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from scipy.io import loadmat, whosmat

from edgepose.errors import BadDataset


def mat_shape(path: Path, variable: str) -> tuple[int, ...]:
    """Shape of a variable, from the file's headers.

    Raises:
        BadDataset: no such file, not a MATLAB file, or without the variable.
    """
    shapes = {name: tuple(shape) for name, shape, _ in _guarded(path, whosmat)}
    if variable not in shapes:
        found = ", ".join(shapes) or "nothing"
        raise BadDataset(
            f"{path} has no variable '{variable}' (found: {found})", "give the data set's own file"
        )
    return shapes[variable]


def load_variable(path: Path, variable: str, squeeze: bool = False) -> Any:
    """One variable: an array, or nested objects with an attribute for each field.

    Args:
        path: the file.
        variable: its name.
        squeeze: drop axes of length 1, so that a struct holding one value holds the value itself.

    Raises:
        BadDataset: no such file, not a MATLAB file, or without the variable.
    """
    mat_shape(path, variable)
    options = {"variable_names": [variable], "squeeze_me": squeeze, "struct_as_record": False}
    return _guarded(path, loadmat, **options)[variable]


def _guarded(path: Path, reader: Any, **options: Any) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return reader(str(path), appendmat=False, **options)
    except FileNotFoundError:
        raise BadDataset(f"{path} does not exist", "check the path") from None
    except NotImplementedError:
        raise BadDataset(f"{path} is a MATLAB 7.3 file", "save it from MATLAB with -v7") from None
    except Exception as error:  # scipy's parser raises nearly anything on damaged bytes
        raise BadDataset(
            f"{path} is not a readable MATLAB file ({type(error).__name__}: {error})", "download it again"
        ) from None

"""What can go wrong with a recipe, the converter or a .tflite file."""

from __future__ import annotations

from edgeio import UserError


class ExportError(UserError):
    """A recipe, a conversion or a .tflite file that cannot be used."""

"""What can go wrong with a device, its runner or a job."""

from __future__ import annotations

from edgeio import UserError


class HarnessError(UserError):
    """A device that cannot be made or used, or a job that it could not do."""


class GuestCrashed(HarnessError):
    """The process on the device died by a signal; the job says which, and what was finished is kept."""

"""Mistakes of the user that the sweeper finds."""

from hydra.errors import CompactHydraException


class SweepError(CompactHydraException):
    """One or two lines for the user; Hydra prints it without a traceback."""

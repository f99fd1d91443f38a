"""The one exception for mistakes that a user can mend."""

from hydra.errors import CompactHydraException


class UserError(CompactHydraException):
    """A wrong value or a missing thing; the message names the key and what to do.

    Hydra prints such an exception as its message alone, without a traceback.
    """

"""One that knows which process has imported it."""

import os

IMPORTED_IN = os.getpid()

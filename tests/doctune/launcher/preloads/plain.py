"""One that knows which process has imported it, and whether garbage was looked for then."""

import gc
import os

IMPORTED_IN = os.getpid()
LOOKED_FOR_GARBAGE = gc.isenabled()
print("imported")

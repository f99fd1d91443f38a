"""One whose import takes longer than a test."""

import time

time.sleep(600)

"""One that opens what stands for a card's device file, as CUDA does."""

import os

DEVICE = os.open(os.environ["DEVICE_OF_TEST"], os.O_RDONLY)

"""Draws the pages of a search into its cache: `python -m tests.benchmarks.card.draw WORDS`."""

import sys

from hydra import compose, initialize_config_dir

from src.before import config as config
from src.data.load import load_splits
from src.hardware import profile as profile
from tests.conftest import CONF

# Processes that draw import this file.
if __name__ == "__main__":
    with initialize_config_dir(CONF):
        load_splits(compose("train", sys.argv[1:]).data)

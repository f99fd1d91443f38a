"""The card check: what this machine's card does with this software, in a few minutes."""

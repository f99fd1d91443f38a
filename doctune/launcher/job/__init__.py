"""One Hydra job in another process: composed, run, and its end told."""

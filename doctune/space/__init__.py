"""What is searched: typed entries and Hydra's sweeps, conditions, ranges from earlier studies."""

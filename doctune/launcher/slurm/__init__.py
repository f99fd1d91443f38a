"""Jobs of submitit, on Slurm or beside this process: handed over, looked after, ended."""

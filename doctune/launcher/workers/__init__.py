"""Long-lived processes of this machine, each on a device or on a share of the cores."""

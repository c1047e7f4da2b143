"""Many bags at once: one task a bag, on the cores of this machine or on a Ray cluster."""

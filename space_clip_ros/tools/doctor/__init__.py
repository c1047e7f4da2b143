"""Says what this machine has and which backend it would use, for bug reports. No probe's failure stops the others."""

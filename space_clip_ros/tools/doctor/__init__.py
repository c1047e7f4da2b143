"""Reports what this machine has and which backend it would use, for bug reports. One failing probe stops no other."""

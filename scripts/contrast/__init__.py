"""Whether a person and a pole stand out in the depth of synthetic streets."""

"""Several models side by side: accuracy and speed on the same frames."""

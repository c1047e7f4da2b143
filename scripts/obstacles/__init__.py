"""How well obstacles are found on synthetic courses, where the truth is known."""

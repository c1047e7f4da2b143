"""Measures a model's speed, stage by stage, next to the best the machine could do."""

"""Measures a model's speed, stage by stage, next to what the machine could do at best."""

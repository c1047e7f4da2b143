"""Depth metrics and evaluation protocols."""

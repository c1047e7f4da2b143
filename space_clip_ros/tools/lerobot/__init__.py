"""Bags with depth as data sets of LeRobot, which robot policies are trained on."""

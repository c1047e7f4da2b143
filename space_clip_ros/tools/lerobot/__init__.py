"""Converts bags with depth to LeRobot data sets, on which robot policies are trained."""

"""The node ``depth``: subscribe, schedule, publish, report."""

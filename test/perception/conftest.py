"""These files speak of ROS's own messages; without ROS there is nothing of them to run."""

from __future__ import annotations

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("rclpy") else ["test_*.py"]

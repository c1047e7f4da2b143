"""The demo: a drive played over ROS 2 into the depth node, with pictures, rates, latencies and live error."""

"""From an image message to depth, cloud and colours: what the node does with an image, needing no ROS itself."""

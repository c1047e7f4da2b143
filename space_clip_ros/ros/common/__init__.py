"""What all ROS nodes here share: parameters, QoS, DDS settings, logging and the main loop."""

"""A recorded drive over ROS: the KITTI player, and the node that compares depth with its LiDAR."""

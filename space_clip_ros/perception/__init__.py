"""The pure core: RGB, camera and settings in, named arrays out. It needs no ROS and knows no publishers."""

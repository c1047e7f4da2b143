"""A page on this machine that shows the node live: image, depth and figures."""

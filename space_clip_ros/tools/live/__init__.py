"""A page on this machine that shows what the node does while it does it: image, depth and figures."""

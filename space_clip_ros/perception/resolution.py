"""Which pixels of an image get depth: ``depth_resolution`` as a grid of pixels."""

from __future__ import annotations

from space_clip_ros.geometry.pixel_grid import EVERY_PIXEL, PixelGrid

_HALF = PixelGrid(2, 2)


def depth_grid(resolution: str, image_size: tuple[int, int], network_grid: tuple[int, int]) -> PixelGrid:
    """Return the pixels that depth, cloud and camera_info are published for.

    Args:
        resolution: ``image`` for all of them, ``half`` for every second row and column, ``network`` for as many as the
            network estimates, as near as whole steps come to that; never more than the image has.
        image_size: height and width of the image, pixels.
        network_grid: rows and columns of the depth that the network makes before it is resized to the image.
    """
    if resolution == "image":
        return EVERY_PIXEL
    if resolution == "half":
        return _HALF
    rows, columns = (max(1, round(pixels / own)) for pixels, own in zip(image_size, network_grid, strict=True))
    return PixelGrid(rows, columns)

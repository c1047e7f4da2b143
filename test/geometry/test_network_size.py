"""The size at which a network sees an image, worked out by hand."""

from __future__ import annotations

import pytest

from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.focal_factor import focal_factor, training_camera_at
from space_clip_ros.geometry.network_size import NetworkSize


@pytest.mark.parametrize(
    ("network", "image", "content"),
    [
        (NetworkSize(224, 224), (375, 1242), (224, 224)),
        # 375 -> 518 makes 1242 -> 1715.6, and 123 x 14 = 1722 is nearest
        (NetworkSize(518, 518, "lower_bound", 14), (375, 1242), (518, 1722)),
        # 480 -> 518 makes 640 -> 690.7; 49 x 14 = 686
        (NetworkSize(518, 518, "lower_bound", 14), (480, 640), (518, 686)),
        # 520 is not a multiple: 37 x 14 = 518 would be less, so 38 x 14
        (NetworkSize(520, 520, "lower_bound", 14), (100, 100), (532, 532)),
        # 1242 -> 504 makes 375 -> 152.2; 11 x 14 = 154
        (NetworkSize(504, 504, "upper_bound", 14), (375, 1242), (154, 504)),
        (NetworkSize(500, 500, "upper_bound", 14), (100, 100), (490, 490)),
        # min(616 / 375, 1064 / 1242) = 0.8567 makes 375 -> 321.25
        (NetworkSize(616, 1064, "pad"), (375, 1242), (321, 1064)),
        (NetworkSize(616, 1064, "pad"), (375, 375), (616, 616)),
        (NetworkSize(14, 14, "upper_bound", 14), (10, 1000), (14, 14)),
    ],
)
def test_content(network: NetworkSize, image: tuple[int, int], content: tuple[int, int]) -> None:
    assert network.content(*image) == content


def test_a_network_that_keeps_shapes_compares_focal_lengths_in_its_own_pixels() -> None:
    """Twice the image at twice the focal length is the same picture, and half of it, cut out, is another camera."""
    network = NetworkSize(616, 1064, "pad")
    canonical = (1064.0, 616.0, 1000.0, 1000.0)
    for width, height, focal in ((1064, 616, 500.0), (2128, 1232, 1000.0)):
        camera = PinholeCamera(width, height, focal, focal, width / 2, height / 2)
        assert focal_factor(camera, training_camera_at(canonical, network, width, height)) == pytest.approx(0.5)
    # 532 x 616 pixels fit by their height, as they are: f stays 1000
    narrow = PinholeCamera(532, 616, 1000.0, 1000.0, 266.0, 308.0)
    assert focal_factor(narrow, training_camera_at(canonical, network, 532, 616)) == pytest.approx(1.0)

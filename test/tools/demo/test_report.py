"""The demo's ``report.png``: its layout, one colour scale, and a truth that can be seen."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from space_clip_ros.config import NodeConfig
from space_clip_ros.geometry.color import colorize
from space_clip_ros.geometry.planar_scan import PlanarScan
from space_clip_ros.messages.semantics import NamedBox
from space_clip_ros.tools.demo.report import ReportFrame, draw_report
from space_clip_ros.tools.reporting.scan_picture import boxes_picture, scan_picture
from space_clip_ros.tools.reporting.uncertainty_picture import SURE, UNSURE, colored_uncertainty

NODE = NodeConfig()
MARGIN, GAP, PANEL_WIDTH = 14, 6, 800


def frame(depth: float = 10.0, truth: float = 20.0) -> ReportFrame:
    sparse = np.full((94, 312), np.nan, np.float32)
    sparse[60, 100] = truth
    return ReportFrame(
        index=7,
        image=np.full((94, 312, 3), 128, np.uint8),
        depth=np.full((94, 312), depth, np.float32),
        truth=sparse,
        points=np.array([[3.0, 1.0, 10.0], [np.nan, np.nan, np.nan]], np.float32),
        colors=np.array([[255, 0, 255], [255, 0, 255]], np.uint8),
    )


def color(depth: float) -> np.ndarray:
    return colorize(np.array([[depth]], np.float32), NODE.color.colormap, NODE.min_depth, NODE.max_depth)[0, 0]


def bottom_block(page: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Image, depth, truth and cloud of the last frame."""
    height = round(PANEL_WIDTH * 94 / 312)
    end = page.shape[0] - MARGIN - GAP
    lower, upper = slice(end - height, end), slice(end - 2 * height - GAP, end - height - GAP)
    left, right = slice(MARGIN, MARGIN + PANEL_WIDTH), slice(MARGIN + PANEL_WIDTH + GAP, -MARGIN)
    return page[upper, left], page[upper, right], page[lower, left], page[lower, right]


def test_depth_truth_and_cloud_are_where_they_belong() -> None:
    image, depth, truth, cloud = bottom_block(draw_report([frame()], "title", ["figures"], NODE))
    assert (image[120, 400] == 128).all()
    assert (depth[120, 400] == color(10.0)).all()
    # Pixel (100, 60) of 312 x 94 has its centre at ((100.5) * 800 / 312 - 0.5, (60.5) * 241 / 94 - 0.5).
    assert (truth[154, 257] == color(20.0)).all()
    assert (truth == color(20.0)).all(axis=2).sum() == 9
    assert (cloud == [255, 0, 255]).all(axis=2).any()


def test_colours_mean_the_same_metres_in_every_frame() -> None:
    page = draw_report([frame(depth=5.0), frame(depth=40.0)], "title", [], NODE)
    for metres in (5.0, 40.0):
        assert (page == color(metres)).all(axis=2).sum() > 100_000


def test_the_scale_bar_runs_from_the_nearest_to_the_furthest_depth() -> None:
    page = draw_report([frame()], "title", [], NODE)
    row = next(row for row in page if (row[MARGIN + 31] == color(NODE.min_depth)).all())
    assert (row[-MARGIN - 32] == color(NODE.max_depth * 0.999)).all()


def test_a_frame_without_truth_and_depth_is_drawn_too() -> None:
    """The truth has no panel then, and the cloud gets a row of its own."""
    empty = frame()
    empty.truth[:] = np.nan
    empty.depth[:] = np.nan
    page = draw_report([empty], "title", [], NODE)
    height = round(PANEL_WIDTH * 94 / 312)
    end = page.shape[0] - MARGIN - GAP
    cloud, above = page[end - 2 * height : end], page[end - 3 * height - GAP : end - 2 * height - GAP]
    assert (cloud == [255, 0, 255]).all(axis=2).any()
    assert (above[120, MARGIN + 400] == 128).all()
    assert not above[100:, MARGIN + PANEL_WIDTH + GAP : -MARGIN].any()


@pytest.mark.parametrize("views", [0, 1, 2])
@pytest.mark.parametrize(
    ("width", "height"), [(640, 480), (1280, 720), (480, 640), (640, 640), (1242, 375), (64, 900), (3000, 60)]
)
def test_pictures_of_every_shape_are_drawn_whole(width: int, height: int, views: int) -> None:
    image = np.full((height, width, 3), (200, 20, 30), np.uint8)
    depth = np.full((height, width), 10.0, np.float32)
    free = PlanarScan(np.full(80, np.inf, np.float32), -0.4, 0.01, 0.1, 30.0, np.eye(4))
    box = NamedBox("car 90%, 10.0 m", (0.0, 0.5, 10.0), (2.0, 1.5, 4.0), (0.0, 1.0, 1.0))
    shown = dataclasses.replace(
        frame(),
        image=image,
        depth=depth,
        truth=depth,
        scan=free if views else None,
        boxes=[box] if views == 2 else None,
    )
    # With three pictures, where the last one shares its row, and with four.
    for drawn in (shown, dataclasses.replace(shown, uncertainty=depth)):
        page = draw_report([drawn], "title", [], NODE)
        assert page.shape[1] == 2 * (PANEL_WIDTH + MARGIN) + GAP
        rows, columns = np.nonzero((page == (200, 20, 30)).all(axis=2))
        # Less one pixel, where a picture's side of at least 16 is rounded.
        seen = (np.ptp(columns) + 1) / (np.ptp(rows) + 1)
        assert seen == pytest.approx(width / height, rel=1 / 16)
        assert (page == [255, 0, 255]).all(axis=2).any(), "the cloud"


def test_without_frames_the_figures_remain() -> None:
    page = draw_report([], "title", ["no frame arrived"], NODE)
    assert page.shape[1] == 2 * (PANEL_WIDTH + MARGIN) + GAP
    assert page.dtype == np.uint8


def test_a_scan_is_drawn_beside_the_cloud() -> None:
    free = PlanarScan(np.full(80, np.inf, np.float32), -0.4, 0.01, 0.1, 30.0, np.eye(4))
    *_, cloud = bottom_block(draw_report([dataclasses.replace(frame(), scan=free)], "title", [], NODE))
    side = cloud.shape[0]
    # But for the label in its upper left corner.
    np.testing.assert_array_equal(cloud[40:, -side:], scan_picture(free, side, side)[40:])
    assert (cloud[:, : -side - GAP] == [255, 0, 255]).all(axis=2).any()


def test_what_was_found_by_name_is_drawn_beside_the_scan() -> None:
    box = NamedBox("car 90%, 10.0 m", (0.0, 0.5, 10.0), (2.0, 1.5, 4.0), (0.0, 1.0, 1.0))
    *_, cloud = bottom_block(draw_report([dataclasses.replace(frame(), boxes=[box])], "title", [], NODE))
    side = cloud.shape[0]
    np.testing.assert_array_equal(cloud[40:, -side:], boxes_picture([box], side, side)[40:])


def test_uncertainty_is_drawn_beside_the_truth_and_the_cloud_gets_a_row_of_its_own() -> None:
    shown = dataclasses.replace(frame(), uncertainty=np.full((94, 312), 2.0, np.float32))
    free = PlanarScan(np.full(80, np.inf, np.float32), -0.4, 0.01, 0.1, 30.0, np.eye(4))
    for scan in (None, free):
        page = draw_report([dataclasses.replace(shown, scan=scan)], "title", [], NODE)
        height = round(PANEL_WIDTH * 94 / 312)
        end = page.shape[0] - MARGIN - GAP
        row = page[end - 2 * height : end, MARGIN:-MARGIN]
        assert (row == [255, 0, 255]).all(axis=2).any()
        if scan is not None:
            np.testing.assert_array_equal(row[40:, -2 * height :], scan_picture(free, 2 * height, 2 * height)[40:])
        truth, uncertainty = np.split(page[end - 3 * height - GAP : end - 2 * height - GAP], 2, axis=1)
        assert (truth == color(20.0)).all(axis=2).sum() == 9
        # 2 m of 10 m.
        twenty_percent = colored_uncertainty(np.array([[0.2]], np.float32))[0, 0]
        assert (uncertainty[120, 400] == twenty_percent).all()


def test_uncertainty_has_a_scale_of_its_own() -> None:
    shown = dataclasses.replace(frame(), uncertainty=np.full((94, 312), 2.0, np.float32))
    with_it, without = (draw_report([shown_frame], "title", [], NODE) for shown_frame in (shown, frame()))
    for share in (SURE, UNSURE):
        end = colored_uncertainty(np.array([[share]], np.float32))[0, 0]
        for page, there in ((with_it, True), (without, False)):
            assert (page[:250] == end).all(axis=2).any() == there

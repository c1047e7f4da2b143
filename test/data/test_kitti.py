from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from space_clip_ros.data.kitti import KittiDrive, project_scan
from space_clip_ros.errors import DataError, InputError
from space_clip_ros.geometry.depth import resize_nearest, to_kitti_png, write_depth_png

NAME = "2011_09_26_drive_0001_sync"
# Eight pixels by six; a point (x, y, z) of the scanner lies at (-y, -z, x) of the camera, 4 pixels a radian.
CAMERAS = "S_rect_0{n}: 8 6\nP_rect_0{n}: 4 0 4 0 0 4 3 0 0 0 1 0\n"


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    day = tmp_path / "2011_09_26"
    drive = day / NAME
    for folder in ("image_02/data", "image_03/data", "velodyne_points/data"):
        (drive / folder).mkdir(parents=True)
    (day / "calib_cam_to_cam.txt").write_text(
        "R_rect_00: 1 0 0 0 1 0 0 0 1\n" + CAMERAS.format(n=2) + CAMERAS.format(n=3)
    )
    (day / "calib_velo_to_cam.txt").write_text("R: 0 -1 0 0 0 -1 1 0 0\nT: 0 0 0\n")
    for camera in (2, 3):
        folder = drive / f"image_0{camera}"
        (folder / "timestamps.txt").write_text("".join(f"2011-09-26 13:00:0{n}.5\n" for n in range(4)))
        for frame in range(4):
            bgr = np.full((6, 8, 3), (frame, 10, 20 * camera), np.uint8)
            cv2.imwrite(str(folder / "data" / f"{frame:010d}.png"), bgr)
    for frame in (0, 1, 3):
        scan = np.array([[10.0 + frame, 0, 0, 0.5]], "<f4")
        (drive / "velodyne_points" / "data" / f"{frame:010d}.bin").write_bytes(scan.tobytes())
    return drive


def test_reads_images_stamps_and_camera(drive: Path) -> None:
    kitti = KittiDrive(drive)
    assert len(kitti) == 4 and kitti.name == NAME and kitti.frame_ids == [0, 1, 2, 3]
    assert (kitti.camera.width, kitti.camera.height, kitti.camera.fx, kitti.camera.cy) == (8, 6, 4.0, 3.0)
    assert kitti.projection.shape == (3, 4) and kitti.velodyne_to_camera.shape == (4, 4)
    assert np.diff(kitti.stamps_ns).tolist() == [10**9] * 3
    np.testing.assert_array_equal(kitti.image(1)[0, 0], [40, 10, 1])


def test_the_camera_can_be_chosen(drive: Path) -> None:
    np.testing.assert_array_equal(KittiDrive(drive, camera=3).image(0)[0, 0], [60, 10, 0])
    with pytest.raises(InputError, match="0 to 3"):
        KittiDrive(drive, camera=4)
    with pytest.raises(DataError, match=r"image_00/data: has no pictures"):
        KittiDrive(drive, camera=0)


def test_frames_are_matched_by_number_when_scans_are_missing(drive: Path) -> None:
    kitti = KittiDrive(drive)
    assert [kitti.has_scan(index) for index in range(4)] == [True, True, False, True]
    assert kitti.scan(3)[0, 0] == 13.0
    # pixel = round(4) - 1, round(3) - 1.
    assert kitti.ground_truth(3)[2, 3] == 13.0
    assert np.isfinite(kitti.ground_truth(3)).sum() == 1
    for read in (kitti.scan, kitti.ground_truth):
        with pytest.raises(DataError, match=r"frame 2 has no laser scan \(3 of 4"):
            read(2)


def test_a_missing_first_image_shifts_nothing(drive: Path) -> None:
    (drive / "image_02" / "data" / "0000000000.png").unlink()
    kitti = KittiDrive(drive)
    assert kitti.frame_ids == [1, 2, 3]
    assert kitti.stamps_ns[0] % 60_000_000_000 == 1_500_000_000
    assert kitti.scan(0)[0, 0] == 11.0


def test_a_drive_without_scans_still_has_images(drive: Path) -> None:
    shutil.rmtree(drive / "velodyne_points")
    kitti = KittiDrive(drive)
    assert not kitti.has_ground_truth(0)
    assert kitti.image(0).shape == (6, 8, 3)


@pytest.mark.parametrize("where", ["in the drive", "train", "val", ""])
def test_annotated_depth_is_found_in_the_drive_or_in_its_own_root(drive: Path, tmp_path: Path, where: str) -> None:
    base = drive if where == "in the drive" else tmp_path / "annotated" / where / NAME
    folder = base / "proj_depth" / "groundtruth" / "image_02"
    folder.mkdir(parents=True)
    depth = np.full((6, 8), np.nan, np.float32)
    depth[4, 5] = 7.5
    write_depth_png(folder / "0000000002.png", depth, "kitti")
    kitti = KittiDrive(drive, annotated_root=None if base == drive else tmp_path / "annotated")
    np.testing.assert_array_equal(kitti.ground_truth(2, annotated=True), depth)
    assert [kitti.has_ground_truth(index, annotated=True) for index in range(4)] == [False, False, True, False]
    with pytest.raises(DataError, match=r"frame 1 has no annotated depth \(1 of 4"):
        kitti.ground_truth(1, annotated=True)


def test_refuses_an_annotated_root_without_this_drive(drive: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"has no annotated depth of {NAME} .*; give the folder of data_depth"):
        KittiDrive(drive, annotated_root=tmp_path / "nothing")


def test_refuses_annotated_depth_of_another_size(drive: Path) -> None:
    folder = drive / "proj_depth" / "groundtruth" / "image_02"
    folder.mkdir(parents=True)
    write_depth_png(folder / "0000000000.png", np.ones((5, 8), np.float32), "kitti")
    with pytest.raises(DataError, match=r"0000000000.png: is 8x5, but the calibration .* says 8x6"):
        KittiDrive(drive).ground_truth(0, annotated=True)


def test_refuses_images_that_are_damaged_or_of_another_size(drive: Path) -> None:
    path = drive / "image_02" / "data" / "0000000000.png"
    kitti = KittiDrive(drive)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"0000000000.png: the image ends early"):
        kitti.image(0)
    cv2.imwrite(str(path), np.zeros((6, 9, 3), np.uint8))
    with pytest.raises(DataError, match=r"is 9x6, but the calibration of 2011_09_26 says 8x6; put"):
        kitti.image(0)


def test_refuses_a_scan_cut_short(drive: Path) -> None:
    (drive / "velodyne_points" / "data" / "0000000000.bin").write_bytes(bytes(17))
    with pytest.raises(DataError, match="17 bytes"):
        KittiDrive(drive).scan(0)


def test_refuses_drives_without_images_stamps_or_calibration(drive: Path) -> None:
    (drive.parent / "calib_velo_to_cam.txt").unlink()
    with pytest.raises(DataError, match=r"calib_velo_to_cam\.txt"):
        KittiDrive(drive)
    for path in (drive / "image_02" / "data").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="has no pictures"):
        KittiDrive(drive)


def test_a_drive_without_stamps_can_be_trained_on_but_not_played(drive: Path) -> None:
    (drive / "image_02" / "timestamps.txt").unlink()
    kitti = KittiDrive(drive)
    assert kitti.image(1).shape == (6, 8, 3) and kitti.has_scan(1)
    with pytest.raises(DataError, match=r"timestamps\.txt: cannot be read .*; KITTI's archive of the drive has it"):
        _ = kitti.stamps_ns


@pytest.mark.parametrize("folder", ["image_02/data", "image_02"])
def test_pictures_may_be_converted_and_moved_up(drive: Path, folder: str) -> None:
    for path in sorted((drive / "image_02" / "data").iterdir()):
        picture = cv2.imread(str(path))
        path.unlink()
        cv2.imwrite(str(drive / folder / f"{path.stem}.jpg"), picture)
    kitti = KittiDrive(drive)
    assert kitti.frame_ids == [0, 1, 2, 3]
    np.testing.assert_allclose(kitti.image(1)[0, 0], [40, 10, 1], atol=3)


def test_a_link_to_a_drive_is_that_drive(drive: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "town"
    link.symlink_to(drive)
    kitti = KittiDrive(link)
    assert (kitti.path, kitti.name, kitti.day) == (link, NAME, drive.parent)
    assert kitti.ground_truth(3)[2, 3] == 13.0


@pytest.mark.parametrize("where", ["data_depth_annotated/val", "2011_09_26", "train without _sync", "without _sync"])
def test_annotated_depth_is_found_however_it_was_unpacked(drive: Path, tmp_path: Path, where: str) -> None:
    part = {"train without _sync": "train", "without _sync": ""}.get(where, where)
    name = NAME.removesuffix("_sync") if where.endswith("_sync") else NAME
    folder = tmp_path / "annotated" / part / name / "proj_depth" / "groundtruth" / "image_02"
    folder.mkdir(parents=True)
    write_depth_png(folder / "0000000002.png", np.full((6, 8), 7.5, np.float32), "kitti")
    assert (KittiDrive(drive, annotated_root=tmp_path / "annotated").ground_truth(2, annotated=True) == 7.5).all()


@pytest.mark.parametrize("which", ["image", "scan"])
def test_git_lfs_pointers_are_named(drive: Path, which: str) -> None:
    folder, read = {"image": ("image_02", KittiDrive.image), "scan": ("velodyne_points", KittiDrive.scan)}[which]
    file = next((drive / folder / "data").glob("0000000001.*"))
    file.write_text(
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{64 * '0'}\nsize 12345\n", encoding="utf-8"
    )
    with pytest.raises(DataError, match="is a Git LFS pointer, not the file itself; run `git lfs pull`"):
        read(KittiDrive(drive), 1)


def test_the_folder_above_says_which_drives_it_has(drive: Path) -> None:
    for folder in (drive.parent, drive.parent.parent):
        with pytest.raises(DataError, match=NAME):
            KittiDrive(folder)


def test_no_such_frame_is_an_index_error(drive: Path) -> None:
    with pytest.raises(IndexError):
        KittiDrive(drive).image(4)


# u = 4 x / z + 4, v = 4 y / z + 3 for a scanner that looks along the camera's axes (x = z here).
LOOKING = np.array([[4.0, -4, 0, 0], [3, 0, -4, 0], [1, 0, 0, 0]])


def scan_of(*points: tuple[float, float, float]) -> np.ndarray:
    return np.array([(*point, 1.0) for point in points], np.float32)


def test_the_nearest_of_several_points_wins_in_any_order() -> None:
    for points in ([(8, 0, 0), (5, 0, 0), (9, 0, 0)], [(5, 0, 0), (9, 0, 0), (8, 0, 0)]):
        depth = project_scan(scan_of(*points), LOOKING, 8, 6)
        assert depth[2, 3] == 5.0 and np.isfinite(depth).sum() == 1


def test_points_behind_and_beside_are_left_out() -> None:
    depth = project_scan(scan_of((-5, 0, 0), (0, 0, 0), (5, 50, 0), (5, 0, -50)), LOOKING, 8, 6)
    assert depth.shape == (6, 8) and depth.dtype == np.float32
    assert np.isnan(depth).all()


def test_points_behind_the_camera_but_not_the_scanner_are_left_out() -> None:
    behind = LOOKING.copy()
    behind[2, 3] = -6.0
    assert np.isnan(project_scan(scan_of((5, 0, 0)), behind, 8, 6)).all()


def test_pixels_at_the_border_are_kitti_s_one_based_ones() -> None:
    # u = 4 - 4 y / x: 0.6 rounds to pixel 1, which is column 0; 0.4 falls off; 8.4 is column 7; 8.6 falls off.
    y = [(4 - u) / 4 * 10 for u in (0.6, 0.4, 8.4, 8.6)]
    depth = project_scan(scan_of(*[(10 + n, value * (10 + n) / 10, 0) for n, value in enumerate(y)]), LOOKING, 8, 6)
    assert depth[2, 0] == 10.0 and depth[2, 7] == 12.0
    assert np.isfinite(depth).sum() == 2


def test_an_empty_scan_gives_an_empty_map_and_wrong_shapes_an_error() -> None:
    assert np.isnan(project_scan(np.empty((0, 4), np.float32), LOOKING, 8, 6)).all()
    with pytest.raises(InputError, match="scan"):
        project_scan(np.zeros(4, np.float32), LOOKING, 8, 6)
    with pytest.raises(InputError, match="projection"):
        project_scan(scan_of((1, 0, 0)), np.eye(4), 8, 6)


def test_real_drive_has_its_published_size_and_calibration(kitti_drive_dir: Path) -> None:
    kitti = KittiDrive(kitti_drive_dir)
    assert len(kitti) == 48 and (kitti.camera.width, kitti.camera.height) == (1242, 375)
    assert kitti.camera.fx == pytest.approx(721.5377)
    assert all(kitti.has_scan(index) for index in range(48))
    np.testing.assert_array_equal(np.diff(kitti.stamps_ns), 100_000_000)


def test_lidar_depth_equals_the_reference_in_every_pixel(kitti_drive_dir: Path, reference_dir: Path) -> None:
    expected = np.load(reference_dir / "preprocess_kitti_frame0.npz")
    depth = KittiDrive(kitti_drive_dir).ground_truth(0)
    np.testing.assert_array_equal(to_kitti_png(depth), expected["lidar_depth_1242x375"])
    decoded = to_kitti_png(resize_nearest(depth, 704, 352)) / np.float32(256)
    np.testing.assert_array_equal(decoded, expected["depth_352x704"][0])


def test_images_lead_to_the_reference_s_network_input(kitti_drive_dir: Path, reference_dir: Path) -> None:
    pillow = pytest.importorskip("PIL.Image")
    expected = np.load(reference_dir / "preprocess_kitti_frame0.npz")
    image = pillow.fromarray(KittiDrive(kitti_drive_dir).image(0)).resize((704, 352), pillow.BICUBIC)
    np.testing.assert_array_equal(np.moveaxis(np.asarray(image), 2, 0), expected["image_352x704"])
    small = np.asarray(image.resize((224, 224), pillow.BICUBIC), np.float32) / 255
    mean, std = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    network_input = np.moveaxis((small - np.float32(mean)) / np.float32(std), 2, 0)
    np.testing.assert_array_equal(network_input.astype(np.float16), expected["model_input"])

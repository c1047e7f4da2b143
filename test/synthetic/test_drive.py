from __future__ import annotations

import cv2
import numpy as np
import pytest

from space_clip_ros.data.kitti import KittiDrive
from space_clip_ros.data.labels import Label
from space_clip_ros.errors import DataError, InputError
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.synthetic.calibration import drawing_camera
from space_clip_ros.synthetic.drive import KITTI_CAMERA, LABEL_FOLDER, render, write_drive
from space_clip_ros.synthetic.render import CameraView
from space_clip_ros.synthetic.rig import random_rig, random_shape
from space_clip_ros.synthetic.scene_builder import build_scene

SMALL = PinholeCamera(310, 94, 180.0, 180.0, 152.4, 43.2)


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> KittiDrive:
    return KittiDrive(write_drive(tmp_path_factory.mktemp("synthetic"), 3, 7))


def test_drive_is_read_back_as_kitti(drive: KittiDrive) -> None:
    assert len(drive) == 3
    assert drive.path.name == "2026_01_01_drive_0007_sync"
    assert drive.camera == KITTI_CAMERA
    np.testing.assert_array_equal(np.diff(drive.stamps_ns), 100_000_000)
    image = drive.image(1)
    assert image.shape == (375, 1242, 3)
    assert 40 < image.mean() < 180
    assert image.std() > 20


def test_depth_is_plausible_for_a_street(drive: KittiDrive) -> None:
    depth = drive.ground_truth(0, annotated=True)
    lower = depth[250:]
    assert np.isfinite(lower).all()
    assert 2 < np.median(lower) < 15
    assert np.isfinite(depth).mean() > 0.5


def test_scan_agrees_with_exact_depth(drive: KittiDrive) -> None:
    for index in range(len(drive)):
        measured, exact = drive.ground_truth(index), drive.ground_truth(index, annotated=True)
        assert np.isfinite(measured).sum() > 10_000
        both = np.isfinite(measured) & np.isfinite(exact)
        assert both.sum() > 0.98 * np.isfinite(measured).sum()
        error = np.abs(measured - exact)[both]
        assert np.median(error) < 0.03
        # A measured point lies anywhere in its pixel; on slanted surfaces the pixel's centre has another depth.
        assert (error < 0.05 + 0.02 * exact[both]).mean() > 0.9


def test_depth_png_holds_the_rendered_depth(drive: KittiDrive) -> None:
    scene = build_scene(7, 0.2)
    _, depth = render(scene, scene.camera_pose(0.1), drawing_camera(KITTI_CAMERA), 0.1)
    written = drive.ground_truth(1, annotated=True)
    # The same duration builds the same street. Files truncate depth to 1/256 m.
    both = np.isfinite(written) & np.isfinite(depth)
    assert (np.abs(depth - written)[both] <= 1 / 256 + 1e-3).all()
    assert np.isnan(written[np.isnan(depth)]).all()


def test_exact_depth_agrees_with_ray_plane_intersections() -> None:
    scene = build_scene(21, 0.0)
    pose, camera = scene.camera_pose(0.0), drawing_camera(SMALL)
    view = CameraView(scene.mesh(0.0), scene.atlas, camera, pose)
    depth = view.depth()
    facet = view.z_buffer.facet.reshape(depth.shape)
    rng = np.random.default_rng(0)
    rows, columns = rng.integers(0, 94, 3000), rng.integers(0, 310, 3000)
    seen = facet[rows, columns] >= 0
    assert np.isnan(depth[rows[~seen], columns[~seen]]).all()
    rows, columns = rows[seen], columns[seen]
    corners = view.mesh.corners[view.facets.index[facet[rows, columns]]]
    normal = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    ray = np.stack([(columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy, np.ones(len(rows))], axis=1)
    world = ray @ pose[:3, :3].T
    along = np.einsum("ij,ij->i", normal, corners[:, 0] - pose[:3, 3]) / np.einsum("ij,ij->i", normal, world)
    np.testing.assert_allclose(depth[rows, columns], along, rtol=1e-4)
    # And the point lies inside the quad: on the inner side of all its edges.
    point = pose[:3, 3] + world * along[:, None]
    for k in range(4):
        edge = corners[:, (k + 1) % 4] - corners[:, k]
        side = np.einsum("ij,ij->i", np.cross(edge, point - corners[:, k]), normal)
        scale = np.linalg.norm(edge, axis=1) * np.linalg.norm(normal, axis=1)
        assert (side >= -1e-4 * np.maximum(scale, 1.0) * np.maximum(along, 1.0)).all()


def test_same_arguments_same_files_other_seed_other_street(tmp_path) -> None:
    drives = [write_drive(tmp_path / name, 1, seed, SMALL) for name, seed in (("a", 3), ("b", 3), ("c", 4))]
    first, again, other = (
        {path.relative_to(drive): path.read_bytes() for path in drive.rglob("*") if path.is_file()} for drive in drives
    )
    assert first == again
    assert first.keys() == other.keys()
    assert [path.name for path in first if first[path] == other[path]] == ["timestamps.txt", "timestamps.txt"]


def test_any_camera_stride_layout_and_speed(tmp_path) -> None:
    counts = []
    path = write_drive(
        tmp_path, 2, 12_345, SMALL, stride=5, layout="highway", speed=18.0, progress=lambda *n: counts.append(n)
    )
    drive = KittiDrive(path)
    assert path.name.endswith("drive_12345_sync")
    assert counts == [(1, 2), (2, 2)]
    assert drive.camera == SMALL
    assert np.diff(drive.stamps_ns).tolist() == [500_000_000]
    assert drive.image(0).shape == (94, 310, 3)
    assert np.abs(drive.image(0).astype(int) - drive.image(1)).mean() > 3


def test_a_folder_of_another_cameras_drives_is_rejected(tmp_path) -> None:
    write_drive(tmp_path, 1, 1, SMALL, scans=False)
    with pytest.raises(DataError, match="another camera") as error:
        write_drive(tmp_path, 1, 2, SMALL.resized(155, 47), scans=False)
    assert error.value.remedy == "write to another folder"


def test_drives_of_varied_cameras_share_a_folder_and_are_read_with_their_own_calibration(tmp_path) -> None:
    usual = KittiDrive(write_drive(tmp_path, 1, 4, SMALL, scans=False))
    varied = [KittiDrive(write_drive(tmp_path, 1, seed, SMALL, vary=["camera"])) for seed in (4, 5)]
    assert [drive.name for drive in varied] == ["2027_01_05_drive_0004_sync", "2027_01_06_drive_0005_sync"]
    assert usual.camera == SMALL
    for seed, drive in zip((4, 5), varied, strict=True):
        expected = random_rig(seed, SMALL).camera
        np.testing.assert_allclose(drive.camera.K, expected.K)
        measured, exact = drive.ground_truth(0), drive.ground_truth(0, annotated=True)
        both = np.isfinite(measured) & np.isfinite(exact)
        assert np.median((np.abs(measured - exact) / exact)[both]) < 0.01


def test_drives_of_varied_shapes_have_the_pictures_of_usual_cameras(tmp_path) -> None:
    camera = random_shape(4, SMALL)
    assert camera.width * camera.height == pytest.approx(SMALL.width * SMALL.height, rel=0.02)
    shaped, both = (
        KittiDrive(write_drive(tmp_path / str(len(vary)), 1, 4, SMALL, scans=False, vary=vary))
        for vary in (["shape"], ["camera", "shape"])
    )
    assert shaped.name == both.name == "2027_01_05_drive_0004_sync"
    assert shaped.camera == camera
    assert both.camera.fx == pytest.approx(random_rig(4, camera).camera.fx)
    assert shaped.image(0).shape == both.image(0).shape == (camera.height, camera.width, 3)


def test_labels_name_what_every_pixel_shows(tmp_path) -> None:
    path = write_drive(tmp_path, 1, 7, SMALL, scans=False, vary=["streets"], labels=True)
    labels = cv2.imread(str(path / LABEL_FOLDER / "0000000000.png"), cv2.IMREAD_UNCHANGED)
    assert labels.shape == (94, 310)
    assert labels.dtype == np.uint8
    depth = KittiDrive(path).ground_truth(0, annotated=True)
    assert np.isnan(depth[labels == Label.SKY]).all()
    assert (np.isnan(depth) & (labels != Label.SKY)).mean() < 0.01  # files hold no depth beyond 256 m
    assert (labels[70:, 140:170] == Label.ROAD).mean() > 0.5


def test_a_smaller_picture_shows_the_same(tmp_path) -> None:
    whole, half = (
        KittiDrive(write_drive(tmp_path / str(scale), 1, 9, scans=False, vary=["camera", "streets"], scale=scale))
        for scale in (1.0, 0.5)
    )
    assert half.image(0).shape == (188, 621, 3)
    # KITTI's files count pixels from 1: the first pixel's outer edge is at 0.5.
    assert half.camera.cx - 0.5 == pytest.approx((whole.camera.cx - 0.5) / 2)
    assert half.camera.fx == pytest.approx(whole.camera.fx / 2)
    mean = cv2.resize(whole.image(0), (621, 188), interpolation=cv2.INTER_AREA)
    assert np.corrcoef(mean.ravel(), half.image(0).ravel())[0, 1] > 0.9
    depth = whole.ground_truth(0, annotated=True)[::2, ::2][:188, :621]
    smaller = half.ground_truth(0, annotated=True)
    assert np.nanmedian(np.abs(smaller / depth - 1)) < 0.01


def test_without_scans(tmp_path) -> None:
    path = write_drive(tmp_path, 1, 0, SMALL, scans=False)
    assert not (path / "velodyne_points").exists()
    assert not KittiDrive(path).has_scan(0)


def test_interrupted_drive_holds_only_whole_frames(tmp_path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_drive(tmp_path, 3, 5, SMALL, progress=interrupt)
    (path,) = tmp_path.glob("*/*_sync")
    drive = KittiDrive(path)
    assert drive.frame_ids == [0]
    assert drive.has_scan(0)
    assert drive.has_ground_truth(0, annotated=True)
    assert not list(tmp_path.rglob("*.part*"))
    assert len(KittiDrive(write_drive(tmp_path, 3, 5, SMALL))) == 3


def test_a_shorter_drive_written_over_a_longer_one_leaves_nothing_of_it(tmp_path) -> None:
    write_drive(tmp_path, 3, 5, SMALL)
    assert len(KittiDrive(write_drive(tmp_path, 2, 5, SMALL))) == 2


def test_a_drive_is_written_over_only_by_one_of_the_same_arguments(tmp_path) -> None:
    path = write_drive(tmp_path, 1, 3, SMALL, scans=False, vary=["streets"], labels=True)
    files = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    for other in ({"layout": "woods"}, {"labels": False}, {"stride": 2}):
        with pytest.raises(DataError, match="was made with other options") as error:
            write_drive(tmp_path, 1, 3, SMALL, **{"scans": False, "vary": ["streets"], "labels": True, **other})
        assert error.value.what == str(path)
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == files


def test_every_seed_has_its_own_drive(tmp_path) -> None:
    first, far = (write_drive(tmp_path, 1, seed, SMALL, scans=False) for seed in (3, 10_003))
    assert (first.name, far.name) == ("2026_01_01_drive_0003_sync", "2026_01_01_drive_10003_sync")
    assert [KittiDrive(path).name for path in (first, far)] == [first.name, far.name]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"frames": 0}, "at least 1"),
        ({"stride": 0}, "at least 1"),
        ({"seed": -1}, "0 or more"),
        ({"layout": "moon"}, "city, residential"),
        ({"speed": 99.0}, "0 to 50"),
        ({"scale": 1.5}, "0.1 to 1"),
        ({"vary": ["camera", "planets"]}, "camera, shape, streets, got 'planets'"),
        ({"speed": float("nan")}, "0 to 50"),
    ],
)
def test_impossible_arguments(tmp_path, arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        write_drive(tmp_path, **{"frames": 1, "seed": 0, **arguments})


def test_unwritable_folder(tmp_path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="file"):
        write_drive(tmp_path / "file", 1, 0, SMALL)


def test_images_of_every_layout_are_plausible() -> None:
    for seed, layout in enumerate(("city", "residential", "country", "highway", "avenue")):
        scene = build_scene(seed, 0.0, layout)
        rgb, depth = render(scene, scene.camera_pose(0.0), drawing_camera(SMALL))
        assert cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).std() > 15
        assert np.nanmin(depth) >= 0.3 - 1e-3
        assert np.isfinite(depth[80:]).mean() > 0.99

"""The published splits: their counts, and that the tables hold exactly the frames of the lists that everybody uses."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from space_clip_ros.data.file_lists import read_file_list
from space_clip_ros.data.published_lists import published_frames, published_samples, read_samples
from space_clip_ros.errors import InputError
from space_clip_ros.training_config import PUBLISHED_LISTS

# Of `image depth` lines, sorted, joined by newlines, without the slashes that NYU's paths start with: what BTS, AdaBins
# and NeWCRFs publish (Lee et al., arXiv:1907.10326), with None for the depth of frames that have none.
SHA256 = {
    "eigen_train": "bd3bcbf75dc6d9ed69c7291dd75e93691da54fd1429197dd8baed9901fab4a46",
    "eigen_test": "805e05e3e79f3ff649ee9a9c9699a6b3f4250e8ade563aca6e14e43ab154e714",
    "nyu_train": "b1269d77809160b136a08a820d0a372ed00e5e28bb808fc9a2579b9ea184e835",
    "nyu_test": "c6510d1a83aa28bddb01d4d2db454a8418f89ee1c89fdff234c7f41358e827d1",
}


def picture(drive: str, frame: int) -> str:
    return f"{drive[:10]}/{drive}/image_02/data/{frame:010d}.png"


@pytest.mark.parametrize("name", PUBLISHED_LISTS)
def test_a_table_holds_exactly_the_published_frames(name: str) -> None:
    lines = [f"{sample.image} {sample.depth}" for sample in published_samples(name)]
    published = published_frames(name).items()
    lines += [f"{picture(drive, frame)} None" for drive, frames in published for frame in frames.without_depth]
    assert hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest() == SHA256[name]


@pytest.mark.parametrize(
    ("name", "scenes", "with_depth", "without"),
    [
        ("eigen_train", 33, 23158, 0),
        ("eigen_test", 28, 652, 45),
        ("nyu_train", 284, 24231, 0),
        ("nyu_test", 16, 654, 0),
    ],
)
def test_the_counts_are_the_paper_s(name: str, scenes: int, with_depth: int, without: int) -> None:
    published = published_frames(name)
    assert len(published) == scenes
    assert len(published_samples(name)) == with_depth == sum(len(frames.with_depth) for frames in published.values())
    assert sum(len(frames.without_depth) for frames in published.values()) == without


def test_the_splits_share_no_drive() -> None:
    assert not published_frames("eigen_train").keys() & published_frames("eigen_test").keys()


def test_frames_are_ascending_and_unique() -> None:
    for name in PUBLISHED_LISTS:
        for frames in published_frames(name).values():
            for numbers in frames:
                assert list(numbers) == sorted(set(numbers))


def test_a_published_list_reads_as_the_file_of_the_same_lines_does(tmp_path: Path) -> None:
    samples = published_samples("nyu_test")[:3]
    path = tmp_path / "list.txt"
    path.write_text("".join(f"/{sample.image} /{sample.depth} {sample.focal}\n" for sample in samples))
    assert read_file_list(path) == samples == read_samples(path)
    assert read_samples(Path("nyu_test"))[:3] == samples


def test_an_unknown_list_is_refused() -> None:
    with pytest.raises(InputError, match="eigen_train, eigen_test, nyu_train, nyu_test, not 'eigen_val'"):
        published_frames("eigen_val")


def test_the_tables_are_installed_with_the_package(project_root: Path, tmp_path: Path) -> None:
    command = [sys.executable, "setup.py", "-q", "build", "--build-base", str(tmp_path)]
    subprocess.run(command, cwd=project_root, check=True, capture_output=True, timeout=120)
    for name in PUBLISHED_LISTS:
        (built,) = tmp_path.rglob(f"data/splits/{name}.txt")
        assert built.read_bytes() == (project_root / "space_clip_ros/data/splits" / built.name).read_bytes()

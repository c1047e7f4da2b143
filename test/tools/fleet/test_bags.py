from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from space_clip_ros.errors import DataError, InputError
from space_clip_ros.tools.fleet.bags import find_bags, is_fleet, refuse_inside

ALL = ["broken", "monday/first", "monday/second", "tuesday"]


def names(*sources: object) -> list[str]:
    return [bag.name for bag in find_bags([str(source) for source in sources])]


def test_bags_are_found_at_any_depth(fleet: Path) -> None:
    assert names(fleet) == ALL
    assert names(fleet / "monday", fleet / "tuesday") == ["first", "second", "tuesday"]
    assert [bag.source for bag in find_bags([str(fleet)])] == [str(fleet / name) for name in ALL]


def test_a_single_file_is_named_without_its_suffix(fleet: Path) -> None:
    assert names(fleet / "tuesday" / "tuesday.mcap", fleet / "monday") == ["first", "second", "tuesday"]


def test_files_beside_bags_are_bags_of_their_own(fleet: Path) -> None:
    """Once they were left out, or the only one was taken for the whole folder."""
    file = fleet / "tuesday" / "tuesday.mcap"
    for name in ("extra.mcap", "monday/third.mcap", ".hidden.mcap"):
        shutil.copy(file, fleet / name)
    assert names(fleet) == ["broken", "extra", "monday/first", "monday/second", "monday/third", "tuesday"]
    assert is_fleet([str(fleet / "monday")])
    assert names(fleet / "monday") == ["first", "second", "third"]


def test_a_folder_of_files_is_one_bag_only_if_they_are_of_one_recording(fleet: Path, tmp_path: Path) -> None:
    file = fleet / "tuesday" / "tuesday.mcap"
    for name in ("split/run_0.mcap", "split/run_1.mcap", "two/front.mcap", "two/rear.mcap"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(file, tmp_path / name)
    assert not is_fleet([str(tmp_path / "split")])
    assert is_fleet([str(tmp_path / "two")])
    assert names(tmp_path / "split", tmp_path / "two") == ["front", "rear", "split"]


def test_a_bag_that_is_also_a_folder_of_bags_is_refused(fleet: Path, tmp_path: Path) -> None:
    """The results of the bags inside once passed for that of the bag itself."""
    for name in ("a.mcap", "a/x.mcap", "a/y.mcap"):
        (tmp_path / "rec" / name).parent.mkdir(exist_ok=True, parents=True)
        shutil.copy(fleet / "tuesday" / "tuesday.mcap", tmp_path / "rec" / name)
    with pytest.raises(InputError, match=r"would be written to a and, inside that, to a/x"):
        find_bags([str(tmp_path / "rec")])


def test_links_show_no_bag_twice(fleet: Path, tmp_path: Path) -> None:
    (fleet / "monday" / "loop").symlink_to(fleet)
    (fleet / "monday" / "itself").symlink_to("itself")
    (fleet / "latest").symlink_to(fleet / "tuesday")
    assert names(fleet) == ALL
    # Links to somewhere else, or to what is hidden, are how the bag is found.
    shutil.copytree(fleet / "tuesday", tmp_path / "disk" / "wednesday")
    shutil.copytree(fleet / "tuesday", fleet / ".store" / "one")
    (fleet / "disk").symlink_to(tmp_path / "disk")
    (fleet / "stored").symlink_to(fleet / ".store" / "one")
    (tmp_path / "disk" / "back").symlink_to(tmp_path / "disk")
    assert names(fleet) == ["broken", "disk/wednesday", "monday/first", "monday/second", "stored", "tuesday"]


def test_sources_do_not_depend_on_the_folder_of_a_worker(fleet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(fleet.parent)
    (fleet / "list.txt").write_text("tuesday\n", encoding="utf-8")
    for source in ("fleet", "fleet/tuesday", "fleet/list.txt"):
        assert all(Path(bag.source).is_absolute() for bag in find_bags([source]))


def test_a_list_names_bags_from_where_it_is(fleet: Path) -> None:
    listed = fleet / "bags.txt"
    listed.write_text(f"# today\ntuesday\n\n{fleet}/monday\n", encoding="utf-8")
    assert names(listed) == ["first", "second", "tuesday"]


def test_one_bag_is_no_fleet(fleet: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for single in (
        fleet / "tuesday",
        fleet / "tuesday" / "tuesday.mcap",
        fleet / "broken",
        "/nowhere",
        tmp_path / "empty",
    ):
        assert not is_fleet([str(single)])
    for many in ([fleet], [fleet / "tuesday", fleet / "broken"], ["s3://bucket/bags"]):
        assert is_fleet([str(source) for source in many])


def test_object_storage_is_searched_like_a_folder(fleet: Path) -> None:
    pytest.importorskip("fsspec")
    address = f"file://{fleet}"
    result = find_bags([address])
    assert [bag.name for bag in result] == ALL
    assert result[-1].source == f"{address}/tuesday"
    assert [bag.name for bag in find_bags([f"{address}/tuesday"])] == ["tuesday"]
    assert [bag.name for bag in find_bags([f"{address}/tuesday/tuesday.mcap"])] == ["tuesday"]


def test_object_storage_has_the_bags_of_the_same_folder(fleet: Path) -> None:
    pytest.importorskip("fsspec")
    file = fleet / "tuesday" / "tuesday.mcap"
    for name in (".trash/x.mcap", "split/run_0.mcap", "split/run_1.mcap", "day/a b#1.mcap", "day/.hidden.mcap"):
        (fleet / name).parent.mkdir(exist_ok=True)
        shutil.copy(file, fleet / name)
    assert (
        [bag.name for bag in find_bags([f"file://{fleet}"])]
        == names(fleet)
        == [*ALL[:1], "day", *ALL[1:3], "split", ALL[3]]
    )


def test_what_has_no_bags_is_named(fleet: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="/empty: has no bags in it"):
        find_bags([str(fleet), str(tmp_path / "empty")])
    with pytest.raises(DataError, match="/nowhere: no such bag"):
        find_bags([str(fleet), "/nowhere"])
    (tmp_path / "list.txt").write_text("# none\n", encoding="utf-8")
    with pytest.raises(DataError, match="names no bags; give one per line"):
        find_bags([str(tmp_path / "list.txt")])
    pytest.importorskip("fsspec")
    with pytest.raises(DataError, match=r"nobody://x: is not an address that can be read"):
        find_bags(["nobody://x"])
    with pytest.raises(DataError, match="has no files"):
        find_bags([f"file://{tmp_path}/empty"])


def test_two_results_of_one_name_are_refused(fleet: Path) -> None:
    with pytest.raises(InputError, match=r"would both be written to tuesday; give a folder above both"):
        find_bags([str(fleet / "tuesday"), f"{fleet}/tuesday/tuesday.mcap"])


def test_results_may_not_lie_among_their_sources(fleet: Path, tmp_path: Path) -> None:
    bags = find_bags([str(fleet)])
    refuse_inside([str(fleet)], bags, str(tmp_path / "fleet_depth"))
    with pytest.raises(InputError, match="lies where the bags of"):
        refuse_inside([str(fleet)], bags, str(fleet / "depth"))
    with pytest.raises(InputError, match="lies where the bags of"):
        refuse_inside([f"file://{fleet}"], [], str(fleet / "depth"))
    two = [str(fleet / "tuesday"), str(fleet / "broken")]
    with pytest.raises(InputError, match="lies where the bags of"):
        refuse_inside(two, find_bags(two), str(fleet))

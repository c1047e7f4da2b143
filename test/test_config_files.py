"""The files in config/ that users copy: they parse, name what exists, and their numbers fit together."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from space_clip_ros.config import NodeConfig
from space_clip_ros.messages.outputs import TOPICS
from space_clip_ros.model_config import DecoderConfig
from space_clip_ros.settings import load, parse
from space_clip_ros.training_config import AblationConfig, AblationRowConfig, TrainingConfig

CYCLONE = "{https://cdds.io/config}"


@pytest.fixture
def node(project_root: Path) -> NodeConfig:
    file = project_root / "config" / "nav2" / "depth.yaml"
    return parse(NodeConfig, yaml.safe_load(file.read_text(encoding="utf-8"))["/**"]["ros__parameters"])


def test_the_paper_s_ablations_differ_from_the_kitti_recipe_by_their_names(project_root: Path) -> None:
    file = project_root / "config" / "paper_ablation.yaml"
    ablation = load(AblationConfig, file)
    assert (file.parent / ablation.base).name == "kitti.yaml"
    rows = {row.name: row for row in (parse(AblationRowConfig, values) for values in ablation.rows)}
    assert list(rows) == ["full", "no_film", "no_structural", "no_film_no_structural", "two_states", "siglip"]
    assert rows["full"].overrides == ()
    siglip = load(TrainingConfig, file.parent / ablation.base, rows["siglip"].overrides).model
    assert (siglip.encoder.kind, siglip.mean, siglip.std) == ("siglip", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert {*rows["no_film"].overrides, *rows["no_structural"].overrides} == {*rows["no_film_no_structural"].overrides}


@pytest.mark.skipif(not hasattr(DecoderConfig(), "semantic_states"), reason="needs the decoder's switches")
def test_the_paper_s_ablations_are_settings_that_there_are(project_root: Path) -> None:
    file = project_root / "config" / "paper_ablation.yaml"
    ablation = load(AblationConfig, file)
    for values in ablation.rows:
        config = load(TrainingConfig, file.parent / ablation.base, values.get("overrides", ()))
        assert (config.model.encoder.kind == "siglip") == (values["name"] == "siglip")


@pytest.fixture
def voxels(project_root: Path) -> dict[str, Any]:
    file = project_root / "config" / "nav2" / "local_costmap.yaml"
    values = yaml.safe_load(file.read_text(encoding="utf-8"))["local_costmap"]["local_costmap"]["ros__parameters"]
    assert all(name in values for name in values["plugins"])
    return values["voxel_layer"]


def test_the_costmap_clears_what_it_does_not_mark(node: NodeConfig, voxels: dict[str, Any]) -> None:
    assert voxels["observation_sources"].split() == ["mark", "clear"]
    mark, clear = voxels["mark"], voxels["clear"]
    assert {mark["topic"], clear["topic"]} == {"/depth/points"}
    assert (mark["marking"], mark["clearing"], clear["marking"], clear["clearing"]) == (True, False, False, True)
    assert node.points.clearing
    # A point put at max_range to clear its ray must never become an obstacle.
    assert mark["obstacle_max_range"] < node.points.max_range
    assert mark["obstacle_max_range"] < clear["raytrace_max_range"] <= node.points.max_range
    assert clear["min_obstacle_height"] < mark["min_obstacle_height"] < mark["max_obstacle_height"]
    assert mark["max_obstacle_height"] < clear["max_obstacle_height"]
    assert voxels["z_voxels"] <= 16


@pytest.mark.parametrize(
    ("variant", "marks", "clears"),
    [("scan", "/depth/scan", "/depth/scan"), ("obstacles", "/depth/obstacles", "/depth/scan")],
)
def test_a_free_bearing_clears_and_never_marks(
    project_root: Path, node: NodeConfig, variant: str, marks: str, clears: str
) -> None:
    file = project_root / "config" / "nav2" / f"local_costmap_{variant}.yaml"
    values = yaml.safe_load(file.read_text(encoding="utf-8"))["local_costmap"]["local_costmap"]["ros__parameters"]
    assert all(name in values for name in values["plugins"])
    layer = values["obstacle_layer"]
    # Voxels would be cleared at the height of the scan only.
    assert layer["plugin"] == "nav2_costmap_2d::ObstacleLayer"
    sources = [layer[name] for name in layer["observation_sources"].split()]
    (mark,) = (source for source in sources if source["marking"])
    (clear,) = (source for source in sources if source["clearing"])
    assert (mark["topic"], clear["topic"]) == (marks, clears)
    kinds = {"/depth/scan": "LaserScan", "/depth/obstacles": "PointCloud2"}
    assert all(source["data_type"] == kinds[source["topic"]] for source in sources)
    assert clear["inf_is_valid"]
    # Nav2 puts the end of a free bearing just inside range_max, which is obstacles.max_range.
    assert mark["obstacle_max_range"] < node.obstacles.max_range == clear["raytrace_max_range"]
    assert all(source["min_obstacle_height"] < 0 < source["max_obstacle_height"] for source in sources)
    assert node.scan.frame_id == values["robot_base_frame"]


# Parameters that semantic_segmentation_layer 1.0 declares, of a source and of a class type.
SOURCE = {
    "segmentation_topic",
    "confidence_topic",
    "labels_topic",
    "pointcloud_topic",
    "observation_persistence",
    "expected_update_rate",
    "class_types",
    "max_obstacle_distance",
    "min_obstacle_distance",
    "tile_map_decay_time",
    "visualize_tile_map",
    "use_cost_selection",
}
CLASS_TYPE = {"classes", "base_cost", "max_cost", "mark_confidence", "samples_to_max_cost", "dominant_priority"}


def test_the_semantic_layer_knows_what_the_node_looks_for(project_root: Path, node: NodeConfig) -> None:
    folder = project_root / "config" / "nav2"
    file = folder / "local_costmap_semantic.yaml"
    values = yaml.safe_load(file.read_text(encoding="utf-8"))["local_costmap"]["local_costmap"]["ros__parameters"]
    assert all(name in values for name in values["plugins"])
    layer = values["semantic_layer"]
    source = layer[layer["observation_sources"]]
    assert set(source) <= SOURCE | set(source["class_types"])
    topics = {f"/{topic.topic}" for topic in TOPICS.values()}
    assert {value for name, value in source.items() if name.endswith("_topic")} <= topics
    # Labels and points are read pixel by pixel.
    assert (source["segmentation_topic"], source["pointcloud_topic"]) == ("/semantic/labels", "/depth/points")
    semantic = yaml.safe_load((folder / "depth_semantic.yaml").read_text(encoding="utf-8"))["/**"]["ros__parameters"]
    finder = parse(NodeConfig, semantic)
    assert not finder.points.dense
    # A point that clearing has put at max_range has the label of what is further away.
    assert finder.points.clearing and source["max_obstacle_distance"] < finder.points.max_range
    types = [source[name] for name in source["class_types"]]
    assert all(set(entry) == CLASS_TYPE for entry in types)
    # The layer drops a class that it does not know, with an error a query.
    assert sorted(name for entry in types for name in entry["classes"]) == sorted(finder.semantic.queries)
    assert all(0 <= entry["base_cost"] <= entry["max_cost"] <= 254 for entry in types)
    assert all(255 * finder.semantic.threshold < entry["mark_confidence"] < 255 for entry in types)
    # Its marks on the scan are those of local_costmap_scan.yaml, and its node is depth.yaml with queries.
    scan = yaml.safe_load((folder / "local_costmap_scan.yaml").read_text(encoding="utf-8"))
    assert layer["combination_method"] == 1
    assert values["obstacle_layer"] == scan["local_costmap"]["local_costmap"]["ros__parameters"]["obstacle_layer"]
    assert replace(finder, semantic=node.semantic) == node


def test_nav2s_lifecycle_manager_starts_the_node(node: NodeConfig) -> None:
    assert not node.autostart


def test_the_cyclone_profile_asks_and_does_not_demand(project_root: Path) -> None:
    root = ElementTree.parse(project_root / "config" / "cyclonedds.xml").getroot()
    assert root.tag == f"{CYCLONE}CycloneDDS"
    (size,) = root.iter(f"{CYCLONE}SocketReceiveBufferSize")
    # With a min, Cyclone DDS would not start on a kernel that allows less.
    assert set(size.attrib) == {"max"}

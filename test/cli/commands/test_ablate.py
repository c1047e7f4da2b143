from __future__ import annotations

import json
from pathlib import Path

import yaml

from space_clip_ros.cli.main import main


def test_trains_the_rows_and_prints_the_table_once_more_when_asked_again(
    run_yaml: Path, tmp_path: Path, capsys
) -> None:
    path = tmp_path / "ablation.yaml"
    rows = [{"name": "full"}, {"name": "steady", "overrides": ["model.decoder.dropout=0.0"]}]
    path.write_text(yaml.safe_dump({"base": str(run_yaml), "dir": str(tmp_path / "table"), "rows": rows}))

    assert main(["ablate", str(path), "--list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert listed == [
        f"full: {tmp_path / 'table' / 'full'}, the base",
        f"steady: {tmp_path / 'table' / 'steady'}, model.decoder.dropout=0.0",
    ]
    assert not (tmp_path / "table").exists()

    assert main(["ablate", str(path), "optimizer.lr=1e-4"]) == 0
    first = capsys.readouterr().out
    table = (tmp_path / "table" / "table.md").read_text()
    assert "row 2 of 2: steady" in first and table in first
    assert main(["ablate", str(path), "optimizer.lr=1e-4"]) == 0
    again = capsys.readouterr().out
    assert again.count("already finished") == 2 and table in again
    assert len(json.loads((tmp_path / "table" / "table.json").read_text())["rows"]) == 2


def test_a_base_that_is_not_there_is_named(tmp_path: Path, capsys) -> None:
    path = tmp_path / "ablation.yaml"
    path.write_text(yaml.safe_dump({"base": "nowhere.yaml", "rows": [{"name": "full"}]}))
    assert main(["ablate", str(path)]) == 1
    assert f"row full: {tmp_path / 'nowhere.yaml'}: cannot be read" in capsys.readouterr().err

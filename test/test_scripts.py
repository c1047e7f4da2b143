"""The two set-up scripts: what they refuse, and in which words."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOOLS = (
    *("bash", "basename", "dirname", "uname", "df", "awk", "cat", "sha256sum", "sed", "grep", "nproc"),
    *("mktemp", "rm", "tail", "mkdir", "cp", "chmod"),
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Both scripts and what they read, in a folder of their own, with only the listed tools on PATH."""
    for name in ("demo.sh", "test.sh", "setup.py", "setup.cfg"):
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("scripts", "constraints"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        path = shutil.which(tool)
        assert path, tool
        (tmp_path / "bin" / tool).symlink_to(path)
    return tmp_path


def add_tool(tree: Path, name: str, script: str) -> None:
    path = tree / "bin" / name
    path.unlink(missing_ok=True)
    path.write_text(f"#!{shutil.which('bash')}\n{script}\n", encoding="utf-8")
    path.chmod(0o755)


def run(
    tree: Path, script: str, *words: str, folder: Path | None = None, **extra: str
) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(tree / "bin"), "HOME": str(tree), **extra}
    return subprocess.run(
        [tree / "bin" / "bash", tree / script, *words],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("script", ["demo.sh", "test.sh"])
def test_no_python_is_one_clear_line(tree: Path, script: str) -> None:
    result = run(tree, script)
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        f"{script}: needs CPython 3.10 to 3.13 (or a sourced ROS 2), and found none; "
        "sudo apt install python3 python3-venv, or set PYTHON to one"
    ]


def test_another_processor_without_ros_is_one_clear_line(tree: Path) -> None:
    add_tool(tree, "uname", "echo aarch64")
    result = run(tree, "demo.sh")
    assert result.returncode == 1
    assert "ROS 2 is not sourced" in result.stderr
    assert "aarch64" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_no_venv_module_is_one_clear_line(tree: Path) -> None:
    python = sys.executable
    add_tool(tree, "python3", f'case "$*" in *ensurepip*) exit 1 ;; esac\nexec {python} "$@"')
    result = run(tree, "demo.sh")
    assert result.returncode == 1
    assert "has no venv module; sudo apt install python3." in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_full_disk_is_one_clear_line(tree: Path) -> None:
    add_tool(tree, "python3", f'exec {sys.executable} "$@"')
    add_tool(tree, "df", "echo head; echo /dev/x 1000000 999000 51200 99% /")
    result = run(tree, "test.sh")
    assert result.returncode == 1
    assert "GB free on the disk" in result.stderr
    assert "only 50 MB are" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tree / ".venv-test").exists()


def test_a_sourced_ros_is_used_instead_of_the_wheels(tree: Path) -> None:
    """With ROS_DISTRO set and rclpy importable the environment sees the system's packages and gets no ROS wheel."""
    real = sys.executable
    log = tree / "calls"
    add_tool(
        tree,
        "python3",
        'case "$*" in\n'
        '  *"import rclpy"*) exit 0 ;;\n'
        f'  "-m venv"*) echo "$*" >>{log}; mkdir -p .venv/bin; cp "$0" .venv/bin/python; exit 0 ;;\n'
        f'  "-m pip"*) echo "$*" >>{log}; exit 0 ;;\n'
        f'  "-m space_clip_ros.tools.demo"*) echo "$*" >>{log}; exit 0 ;;\n'
        f'esac\nexec {real} "$@"',
    )
    result = run(tree, "demo.sh", ROS_DISTRO="humble")
    assert result.returncode == 0, result.stderr
    calls = log.read_text(encoding="utf-8").splitlines()
    assert calls[0] == "-m venv --clear --system-site-packages .venv"
    assert calls[1].endswith("-c constraints/robot.txt -e .[bags,view]")
    again = run(tree, "demo.sh", ROS_DISTRO="humble")
    assert again.returncode == 0
    assert log.read_text(encoding="utf-8").splitlines()[3:] == ["-m space_clip_ros.tools.demo"], "set up only once"


def test_a_failed_installation_says_so_and_is_tried_again(tree: Path) -> None:
    real = sys.executable
    add_tool(
        tree,
        "python3",
        'case "$*" in\n'
        '  *"import rclpy"*) exit 0 ;;\n'
        '  "-m venv"*) mkdir -p .venv/bin; cp "$0" .venv/bin/python; exit 0 ;;\n'
        '  "-m pip"*) echo "no route to the registry" >&2; exit 1 ;;\n'
        f'esac\nexec {real} "$@"',
    )
    result = run(tree, "demo.sh", ROS_DISTRO="humble")
    assert result.returncode == 1
    assert "no route to the registry" in result.stderr
    assert "the set-up of .venv did not succeed" in result.stderr
    assert not (tree / ".venv" / ".ready").exists()


def test_a_long_installation_says_that_it_goes_on(tree: Path) -> None:
    sleep = shutil.which("sleep")
    add_tool(tree, "sleep", f"exec {sleep} 0.1")
    add_tool(
        tree,
        "python3",
        'case "$*" in\n'
        '  *"import rclpy"*|"-m space_clip_ros"*) exit 0 ;;\n'
        '  "-m venv"*) mkdir -p .venv/bin; cp "$0" .venv/bin/python; exit 0 ;;\n'
        f'  "-m pip"*) {sleep} 2; exit 0 ;;\n'
        f'esac\nexec {sys.executable} "$@"',
    )
    result = run(tree, "demo.sh", ROS_DISTRO="humble")
    assert (result.returncode, result.stderr) == (0, "")
    first, *others = result.stdout.splitlines()
    assert first.endswith("this is done once and takes some minutes.")
    assert others and all(re.fullmatch(r"still installing, \d+ s so far \.\.\.", line) for line in others)


def fake_python(tree: Path) -> Path:
    """Puts a python3 on PATH that writes down what it is asked to install and run, and does none of it."""
    log = tree / "calls"
    add_tool(
        tree,
        "python3",
        'case "$*" in\n'
        f'  "-m venv"*) echo "$*" >>{log}; for folder; do :; done; mkdir -p $folder/bin; cp "$0" $folder/bin/python; '
        'for name in ruff mypy; do printf "#!/bin/sh\\n" >$folder/bin/$name; chmod +x $folder/bin/$name; done; '
        "exit 0 ;;\n"
        f'  "-m pip"*|"-m pytest"*|"-m space_clip_ros"*) echo "$*" >>{log}; exit 0 ;;\n'
        f'esac\nexec {sys.executable} "$@"',
    )
    add_tool(tree, "uname", "echo x86_64")
    return log


@pytest.mark.parametrize(
    ("release", "installed"),
    [
        ("", "-c constraints/jazzy.txt -e .[ros,bags,view]"),
        ("jazzy", "-c constraints/jazzy.txt -e .[ros,bags,view]"),
        ("kilted", "-c constraints/kilted.txt -e .[ros-kilted,bags,view]"),
    ],
)
def test_the_wheels_are_of_the_release_asked_for(tree: Path, release: str, installed: str) -> None:
    log = fake_python(tree)
    result = run(tree, "demo.sh", SPACE_CLIP_ROS=release)
    assert result.returncode == 0, result.stderr
    assert f"ROS 2 {release or 'jazzy'} from wheels" in result.stdout
    assert log.read_text(encoding="utf-8").splitlines()[1].endswith(installed)


def test_another_release_sets_the_environment_up_again(tree: Path) -> None:
    log = fake_python(tree)
    for release in ("jazzy", "jazzy", "kilted", "kilted"):
        assert run(tree, "demo.sh", SPACE_CLIP_ROS=release).returncode == 0
    assert log.read_text(encoding="utf-8").count("-m venv") == 2


def test_another_patch_level_of_python_leaves_the_environment_alone(tree: Path) -> None:
    log = fake_python(tree)
    assert run(tree, "demo.sh").returncode == 0
    python = tree / "bin" / "python3"
    changed = python.read_text(encoding="utf-8").replace('case "$*" in\n', 'case "$*" in\n-VV) echo 3.11.99 ;;\n')
    python.write_text(changed, encoding="utf-8")
    assert run(tree, "demo.sh").returncode == 0
    assert log.read_text(encoding="utf-8").count("-m venv") == 1


def test_the_demo_runs_in_the_folder_it_is_called_from(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    log, elsewhere = fake_python(tree), tmp_path_factory.mktemp("elsewhere")
    script = (tree / "bin" / "python3").read_text(encoding="utf-8")
    script = script.replace("case ", f'case "$*" in "-m space_clip_ros"*) pwd >>{log} ;; esac\ncase ', 1)
    (tree / "bin" / "python3").write_text(script, encoding="utf-8")
    result = run(tree, "demo.sh", "--drive", "my drive", folder=elsewhere)
    assert result.returncode == 0, result.stderr
    assert log.read_text(encoding="utf-8").splitlines()[2:] == [
        str(elsewhere),
        "-m space_clip_ros.tools.demo --drive my drive",
    ]
    assert (tree / ".venv" / ".ready").is_file()
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("words", [("-h",), ("--rate", "5", "--help")])
def test_help_needs_no_set_up(tree: Path, words: tuple[str, ...]) -> None:
    result = run(tree, "demo.sh", *words)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("usage: ./demo.sh ") and "--drive DIR" in result.stdout
    assert not (tree / ".venv").exists()


def test_ctrl_c_during_the_set_up_is_no_fault_of_the_network(tree: Path) -> None:
    add_tool(tree, "sleep", f'exec {shutil.which("sleep")} "$@"')
    add_tool(
        tree,
        "python3",
        'case "$*" in\n'
        '  *"import rclpy"*) exit 0 ;;\n'
        '  "-m venv"*) mkdir -p .venv/bin; cp "$0" .venv/bin/python; exit 0 ;;\n'
        # As pip does, which ends with a status, not by the signal.
        f'  "-m pip"*) trap "exit 1" INT; touch {tree}/installing; while :; do sleep 0.1; done ;;\n'
        f'esac\nexec {sys.executable} "$@"',
    )
    add_tool(tree, "touch", f'exec {shutil.which("touch")} "$@"')
    process = subprocess.Popen(
        [tree / "bin" / "bash", tree / "demo.sh"],
        env={"PATH": str(tree / "bin"), "HOME": str(tree), "ROS_DISTRO": "humble"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not (tree / "installing").exists():
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error == "\ndemo.sh: stopped; run it again to set up .venv\n"


def test_an_unknown_release_is_one_clear_line(tree: Path) -> None:
    fake_python(tree)
    result = run(tree, "demo.sh", SPACE_CLIP_ROS="humble")
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        "demo.sh: SPACE_CLIP_ROS is humble, and there are wheels of jazzy and kilted; set it to one of them"
    ]


@pytest.mark.parametrize(("release", "folder"), [("", ".venv-quick"), ("kilted", ".venv-quick-kilted")])
def test_the_quick_tests_have_an_environment_without_pytorch(tree: Path, release: str, folder: str) -> None:
    log = fake_python(tree)
    result = run(tree, "test.sh", "--quick", "-k", "cloud", SPACE_CLIP_ROS=release)
    assert result.returncode == 0, result.stderr
    calls = log.read_text(encoding="utf-8").splitlines()
    assert calls[0] == f"-m venv --clear {folder}"
    assert calls[1].endswith(f"-e .[ros{release and f'-{release}'},bags,view,quick]")
    assert calls[2] == "-m pytest -n 4 --dist loadfile -k cloud"


@pytest.mark.parametrize("words", [(), ("-n", "0", "test/geometry")])
def test_all_tests_share_the_cores_unless_told_otherwise(tree: Path, words: tuple[str, ...]) -> None:
    log = fake_python(tree)
    add_tool(tree, "df", "echo head; echo /dev/x 99999999 0 99999999 0% /")
    stubs = tree / ".venv-test" / "stubs" / ".version"
    stubs.parent.mkdir(parents=True)
    versions = re.search(
        r"^tensorrt=(\S+) rclpy=(\S+)$", (tree / "scripts" / "type_stubs.sh").read_text(), re.MULTILINE
    )
    assert versions
    stubs.write_text("{} {}\n".format(*versions.groups()), encoding="utf-8")
    result = run(tree, "test.sh", *words)
    assert result.returncode == 0, result.stderr
    last = log.read_text(encoding="utf-8").splitlines()[-1]
    processes = min(len(os.sched_getaffinity(0)) + 1, 5)
    assert last == " ".join((f"-m pytest -n {processes} --dist loadfile", *words))


@pytest.mark.parametrize("release", ["jazzy", "kilted"])
def test_every_ros_package_is_pinned_exactly_and_nothing_twice(release: str) -> None:
    lines = (ROOT / "constraints" / f"{release}.txt").read_text(encoding="utf-8").splitlines()
    assert lines[1] == "-c wheels.txt"
    common = (ROOT / "constraints" / "wheels.txt").read_text(encoding="utf-8").splitlines()[1:]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in [*lines[2:], *common])
    names = [line.partition("==")[0] for line in [*lines[2:], *common]]
    assert len(names) == len(set(names))
    assert {"ros-rclpy", "ros-common-interfaces", "ros-rmw-fastrtps-cpp"} <= set(names)


def test_the_scripts_are_executable() -> None:
    for name in ("demo.sh", "test.sh", ".ci/run"):
        assert os.access(ROOT / name, os.X_OK), name

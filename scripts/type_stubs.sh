#!/usr/bin/env bash
# Fetches types for mypy into ENVIRONMENT/stubs, once, and prints that folder:
#   MYPYPATH=$(scripts/type_stubs.sh .venv-test) mypy
# They are published stubs of TensorRT, and Kilted's rclpy, which is typed where Jazzy's and older ones are not. The folder
# is kept off Python's path, where its folder named tensorrt would pass for the library.
set -euo pipefail
tensorrt=tensorrt-stubs==10.13.0.35.1 rclpy=ros-rclpy==9.1.2
environment=$1 folder=$1/stubs

pip() {
  local said
  said=$("$environment/bin/python" -m pip "$@" --quiet --disable-pip-version-check --progress-bar off --no-deps 2>&1) ||
    { echo "$said" >&2; exit 1; }
}

if [ "$(cat "$folder/.version" 2>/dev/null)" != "$tensorrt $rclpy" ]; then
  rm -rf "$folder"
  pip install --target "$folder" "$tensorrt"
  # What mypy cannot read past: parameters named "in", one without a default after others with, a variable named bool.
  sed -i -E 's/\bin: /in_: /; s/channel_axis: int\) -> IScaleLayer/channel_axis: int = ...) -> IScaleLayer/; /^bool: /d' \
    "$folder/tensorrt_bindings/tensorrt.pyi"
  # Only its Python files are read, so one processor's wheel does for every other.
  pip download --dest "$folder/wheel" --platform manylinux_2_28_x86_64 --python-version 3.12 --only-binary=:all: "$rclpy"
  "$environment/bin/python" -m zipfile -e "$folder"/wheel/*.whl "$folder/wheel"
  mv "$folder"/wheel/*.data/data/lib/python3.12/site-packages/rclpy "$folder/rclpy"
  rm -r "$folder/wheel"
  echo "$tensorrt $rclpy" >"$folder/.version"
fi
echo "$folder"

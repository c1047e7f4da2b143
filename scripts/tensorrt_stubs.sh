#!/usr/bin/env bash
# Fetches published type stubs of TensorRT for mypy into ENVIRONMENT/stubs, once, and prints that folder.
# It is kept off Python's path, where its folder named tensorrt would pass for the library.
#   MYPYPATH=$(scripts/tensorrt_stubs.sh .venv-test) mypy
set -euo pipefail
version=10.13.0.35.1
environment=$1 folder=$1/stubs
if [ "$(cat "$folder/.version" 2>/dev/null)" != "$version" ]; then
  rm -rf "$folder"
  said=$("$environment/bin/python" -m pip install --quiet --disable-pip-version-check --progress-bar off --no-deps \
    --target "$folder" "tensorrt-stubs==$version" 2>&1) || { echo "$said" >&2; exit 1; }
  # What mypy cannot read past: parameters named "in", one without a default after others with, a variable named bool.
  sed -i -E 's/\bin: /in_: /; s/channel_axis: int\) -> IScaleLayer/channel_axis: int = ...) -> IScaleLayer/; /^bool: /d' \
    "$folder/tensorrt_bindings/tensorrt.pyi"
  echo "$version" >"$folder/.version"
fi
echo "$folder"

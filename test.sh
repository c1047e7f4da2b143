#!/usr/bin/env bash
# Sets up .venv-test and runs lint, types and every test; extra arguments go to pytest.
# ./test.sh --quick [...] sets up .venv-quick (0.6 GB, no PyTorch) and runs lint and every test that needs none.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=scripts/environment.sh
. scripts/environment.sh
if [ "${1:-}" = --quick ]; then
  shift
  folder=.venv-quick${SPACE_CLIP_ROS:+-$SPACE_CLIP_ROS}
  make_environment "$folder" ros,bags,view,quick 2
else
  folder=.venv-test
  make_environment "$folder" ros,bags,view,train,nyu,wandb,dev 9
fi
export PATH="$PWD/$folder/bin:$PATH"
ruff check .
ruff format --check .
# Each process of pytest keeps to one core, and to a ROS domain of its own; -n 0 runs all tests in one process. One more
# than there are cores, as many tests wait for messages and processes.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
if [ "$folder" != .venv-test ]; then
  # Most of these tests wait for messages and processes, not for the processor.
  exec python -m pytest -n 4 --dist loadfile "$@"
fi
stubs=$(scripts/type_stubs.sh "$folder")
MYPYPATH=$stubs mypy
cores=$(OMP_NUM_THREADS="" nproc)
exec python -m pytest -n $((cores < 4 ? cores + 1 : 5)) --dist loadfile "$@"

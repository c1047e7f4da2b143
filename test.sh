#!/usr/bin/env bash
# Sets up .venv-test and runs lint, types and every test; extra arguments go to pytest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=scripts/environment.sh
. scripts/environment.sh
make_environment .venv-test ros,bags,view,train,nyu,dev 9
export PATH="$PWD/.venv-test/bin:$PATH"
ruff check .
ruff format --check .
stubs=$(scripts/tensorrt_stubs.sh .venv-test)
MYPYPATH=$stubs mypy
exec python -m pytest --cov --cov-report=term "$@"

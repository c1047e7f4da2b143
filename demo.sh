#!/usr/bin/env bash
# Sets up .venv and plays a drive over ROS 2 into the depth node, with pictures, rates, latencies and live error.
# ./demo.sh --help lists the options.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=scripts/environment.sh
. scripts/environment.sh
make_environment .venv ros,bags,view 2
exec .venv/bin/python -m space_clip_ros.tools.demo "$@"

#!/usr/bin/env bash
# Sets up .venv and plays a drive over ROS 2 into the depth node, with pictures, rates, latencies and live error.
# ./demo.sh --help lists the options. Paths are relative to the folder it is called from.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
for word in "$@"; do
  case $word in -h | --help) exec cat "$here/scripts/demo_help.txt" ;; esac
done
# shellcheck source=scripts/environment.sh
. "$here/scripts/environment.sh"
(cd "$here" && make_environment .venv ros,bags,view 2)
# Nothing is imported from the folder it is called from.
PYTHONSAFEPATH=1 exec "$here/.venv/bin/python" -m space_clip_ros.tools.demo "$@"

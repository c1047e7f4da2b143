# Sourced by demo.sh and test.sh: makes a virtual environment once and leaves it alone while its inputs are unchanged.
# Two ways to ROS 2: the one that is sourced (a robot, any processor), else the wheels (x86-64, CPython 3.10-3.13) of the
# release that SPACE_CLIP_ROS names: jazzy (the default) or kilted.

fail() {
  printf '%s: %s\n' "$(basename "$0")" "$1" >&2
  exit 1
}

# Prints the interpreter to use and, after a blank, "system" (ROS 2 is sourced) or "wheels".
find_python() {
  local candidate
  if [ -n "${ROS_DISTRO:-}" ] && python3 -c 'import rclpy' >/dev/null 2>&1; then
    echo "python3 system"
    return
  fi
  if [ "$(uname -m)" != x86_64 ]; then
    fail "ROS 2 is not sourced, and its wheels exist only for x86-64 (this is $(uname -m)); source /opt/ros/DISTRO/setup.bash and try again"
  fi
  for candidate in "${PYTHON:-python3}" python3.12 python3.13 python3.11 python3.10; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1; then
      echo "$candidate wheels"
      return
    fi
  done
  fail "needs CPython 3.10 to 3.13 (or a sourced ROS 2), and found none; sudo apt install python3 python3-venv, or set PYTHON to one"
}

# check_space GIGABYTES
check_space() {
  local free_kb
  free_kb=$(df -Pk . | awk 'NR == 2 { print $4 }')
  if [ "${free_kb:-0}" -lt $(($1 * 1024 * 1024)) ]; then
    fail "needs $1 GB free on the disk of $PWD, and only $((free_kb / 1024)) MB are; make room and try again"
  fi
}

# Says every 20 s that pip is still at work, which is silent, until it is killed or the script ends.
say_still_installing() {
  while sleep 20 >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do
    echo "still installing, $SECONDS s so far ..."
  done
}

# make_environment FOLDER EXTRAS GIGABYTES: sets up FOLDER with this project and its extras, at the pinned versions.
make_environment() {
  local folder=$1 extras=$2 gigabytes=$3 release=${SPACE_CLIP_ROS:-jazzy} python kind constraints options wanted log watcher interrupted
  read -r python kind < <(find_python) || true
  [ -n "${python:-}" ] || exit 1
  if [ "$kind" = system ]; then
    constraints=constraints/robot.txt options=--system-site-packages
    # ROS brings rclpy, messages and cv_bridge; the wheels of the same must not shadow them.
    extras=$(printf ',%s,' "$extras" | sed 's/,ros,/,/; s/^,//; s/,$//')
  else
    case $release in
      jazzy) ;;
      kilted) extras=$(printf ',%s,' "$extras" | sed 's/,ros,/,ros-kilted,/; s/^,//; s/,$//') ;;
      *) fail "SPACE_CLIP_ROS is $release, and there are wheels of jazzy and kilted; set it to one of them" ;;
    esac
    constraints=constraints/$release.txt options=
  fi
  wanted=$( (cat setup.py setup.cfg constraints/*.txt scripts/environment.sh; echo "$extras $kind $PWD"; "$python" -c 'import sys; print(sys.version_info[:2])') | sha256sum)
  if [ "$(cat "$folder/.ready" 2>/dev/null)" = "$wanted" ] && "$folder/bin/python" -c '' 2>/dev/null; then
    return
  fi
  "$python" -c 'import ensurepip, venv' >/dev/null 2>&1 ||
    fail "$("$python" -V) has no venv module; sudo apt install $("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
  check_space "$gigabytes"
  echo "Setting up $folder ($("$python" -V), ROS 2 $([ "$kind" = system ] && echo "$ROS_DISTRO" || echo "$release from wheels")); this is done once and takes some minutes."
  rm -f "$folder/.ready"
  log=$(mktemp)
  say_still_installing &
  watcher=$!
  disown "$watcher"
  interrupted=
  trap 'interrupted=yes' INT
  if ! { "$python" -m venv --clear $options "$folder" &&
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --progress-bar off \
      -c "$constraints" -e ".${extras:+[$extras]}"; } >"$log" 2>&1; then
    kill "$watcher" 2>/dev/null || true
    if [ "$interrupted" ]; then
      rm -f "$log"
      printf '\n%s: stopped; run it again to set up %s\n' "$(basename "$0")" "$folder" >&2
      exit 130
    fi
    grep -v '^WARNING: ' "$log" | tail -n 15 >&2
    rm -f "$log"
    check_space 1
    fail "the set-up of $folder did not succeed (its last lines are above); check the network and run again"
  fi
  trap - INT
  kill "$watcher" 2>/dev/null || true
  rm -f "$log"
  echo "$wanted" >"$folder/.ready"
}

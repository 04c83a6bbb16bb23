#!/usr/bin/env bash
# What the channels cost beside their yardsticks and peers, one line a figure:
# NAME VALUE TARGET ok|missed|undecided # medians, spread
# Exit 0; 1 when a target is missed; 3 when something that is needed is absent.
set -eu

usage() {
    cat <<'END_OF_USAGE'
usage: scripts/bench/ipc.sh [--full] [--launches N] [--pus A,B] [--only GLOBS] [--no-suites] [--no-peers]
  --full        the suite ipc-full too, 16 MiB, and adaptive waiting on more channels: half an hour
  --launches N  of each measurement, at least 7 (default 10; fewer, and said so, where ten minutes do not hold them);
                what they leave undecided is launched up to 2 N and then up to 4 N times
  --pus A,B     the processing units of both sides (default: the first two allowed)
  --only GLOBS  only figures whose name fits one of them, by commas
  --no-suites   not the wall time of suites
  --no-peers    not Open MPI, which is otherwise looked for by mpicc and mpirun
BUILD names the build folder to measure (default: build/release).
END_OF_USAGE
}
for argument in "$@"; do
    case $argument in -h | --help) usage && exit 0 ;; esac
done

here=$(cd "$(dirname "$0")" && pwd)
BUILD=${BUILD:-$here/../../build/release}
for program in prony ipc_loops; do
    if [ ! -x "$BUILD/bin/$program" ]; then
        echo "ipc: no $program in $BUILD/bin: run cmake --preset release && cmake --build --preset release" >&2
        exit 3
    fi
done
if ! command -v /usr/bin/python3 >/dev/null; then
    echo "ipc: python3 is not installed: run scripts/setup.sh --tests" >&2
    exit 3
fi
BUILD=$(readlink -f "$BUILD")
PRONY=$BUILD/bin/prony
export BUILD PRONY
exec /usr/bin/python3 -B "$here/ipc.py" "$@"

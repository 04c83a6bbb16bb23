#!/usr/bin/env bash
# What the C shim over Google Benchmark costs, and whether its times agree with prony's own clock; one line a figure:
# NAME VALUE TARGET ok|missed|undecided # medians, spread
# Exit 0; 1 when a target is missed; 3 when something that is needed is absent.
set -eu

usage() {
    cat <<'END'
usage: scripts/bench/gbench.sh [--rounds N]
  --rounds N  interleaved rounds, at least 7 (default 9)
BUILD names the build folder to measure (default: build/release).
END
}
for argument in "$@"; do
    case $argument in -h | --help) usage && exit 0 ;; esac
done

here=$(cd "$(dirname "$0")" && pwd)
BUILD=${BUILD:-$here/../../build/release}
if [ ! -x "$BUILD/bin/prony" ]; then
    echo "gbench: no program at $BUILD/bin: run cmake --preset release && cmake --build --preset release" >&2
    exit 3
fi
if [ ! -x "$BUILD/bin/prony-gbench" ]; then
    echo "gbench: $BUILD was built without Google Benchmark: run scripts/setup.sh, and configure again" >&2
    exit 3
fi
if ! command -v /usr/bin/python3 >/dev/null; then
    echo "gbench: python3 is not installed: run scripts/setup.sh --tests" >&2
    exit 3
fi
BUILD=$(readlink -f "$BUILD")
export BUILD
exec /usr/bin/python3 -B "$here/gbench.py" "$@"

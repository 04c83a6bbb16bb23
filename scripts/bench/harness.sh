#!/usr/bin/env bash
# What prony itself costs, one line a figure: NAME VALUE TARGET ok|missed|undecided # medians, spread
# Exit 0; 1 when a target is missed; 3 when something that is needed is absent.
set -eu

usage() {
    cat <<'END'
usage: scripts/bench/harness.sh [--full] [--rounds N]
  --full      the quick suite in every round (minutes each), not once
  --rounds N  interleaved rounds, at least 7 (default 9)
PRONY names the program to measure (default: build/release/bin/prony).
END
}
for argument in "$@"; do
    case $argument in -h | --help) usage && exit 0 ;; esac
done

here=$(cd "$(dirname "$0")" && pwd)
PRONY=${PRONY:-$here/../../build/release/bin/prony}
if [ ! -x "$PRONY" ]; then
    echo "harness: no program at $PRONY: run cmake --preset release && cmake --build --preset release" >&2
    exit 3
fi
for tool in /usr/bin/python3 gnuplot; do
    if ! command -v "$tool" >/dev/null; then
        echo "harness: $tool is not installed: run scripts/setup.sh --tests" >&2
        exit 3
    fi
done
PRONY=$(readlink -f "$PRONY")
export PRONY
exec /usr/bin/python3 -B "$here/harness.py" "$@"

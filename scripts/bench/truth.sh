#!/usr/bin/env bash
# How far prony ab can be believed, one line a figure: NAME VALUE TARGET ok|missed|undecided # what it rests on
# Exit 0; 1 when a target is missed; 3 when something that is needed is absent.
set -eu

usage() {
    cat <<'END'
usage: scripts/bench/truth.sh [--full] [--seed N] [--lock FILE] [--raw FILE]
  --full      600 A/A trials and 200 of each slowdown (half an hour), not 300 and 40 (within 10 minutes)
  --seed N    of the order of trials (default 1)
  --lock FILE holds this file's lock while it measures, 45 s at a time
  --raw FILE  appends a line of JSON a trial
PRONY names the program to try (default: build/release/bin/prony), CC the compiler of scripts/bench/load.c.
END
}
for argument in "$@"; do
    case $argument in -h | --help) usage && exit 0 ;; esac
done

here=$(cd "$(dirname "$0")" && pwd)
PRONY=${PRONY:-$here/../../build/release/bin/prony}
if [ ! -x "$PRONY" ]; then
    echo "truth: no program at $PRONY: run cmake --preset release && cmake --build --preset release" >&2
    exit 3
fi
for tool in /usr/bin/python3 "${CC:-cc}"; do
    if ! command -v "$tool" >/dev/null; then
        echo "truth: $tool is not installed: run scripts/setup.sh --tests" >&2
        exit 3
    fi
done
PRONY=$(readlink -f "$PRONY")
export PRONY
status=0
/usr/bin/python3 -B "$here/truth.py" "$@" || status=$?

# Google Benchmark's times of the same kernel against prony's own clock.
other=0
"$here/gbench.sh" || other=$?
[ "$status" -ne 0 ] || status=$other
exit "$status"

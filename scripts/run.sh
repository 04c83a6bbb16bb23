#!/usr/bin/env bash
# From a clone to a report: set-up, release build, `prony run quick` (or `prony run ARGS`), and where the report is.
set -eu
cd "$(dirname "$0")/.."

scripts/setup.sh
[ -f build/release/build.ninja ] || cmake --preset release -DPRONY_TESTS=OFF >&2
cmake --build --preset release >&2

[ $# -gt 0 ] || set -- quick
# Where the report went: -o, --resume, or the newest under prony-runs.
folder=prony-runs/latest
previous=
for argument in "$@"; do
    case $previous in -o | --output | --resume) folder=$argument ;; esac
    case $argument in --output=* | --resume=*) folder=${argument#*=} ;; -o?*) folder=${argument#-o} ;; esac
    previous=$argument
done
before=$(readlink -f "$folder" || true)
newest=$(stat -c %Y "$before/report.json" 2>/dev/null || echo 0)

status=0
build/release/bin/prony run "$@" || status=$?

after=$(readlink -f "$folder" || true)
if [ -f "$after/report.html" ] && [ "$after:$(stat -c %Y "$after/report.json")" != "$before:$newest" ]; then
    echo "The report is in $after: open $after/report.html in a browser."
elif [ $status -ne 0 ]; then
    echo "There is no report: prony ended with $status (see above)." >&2
fi
exit $status

#!/usr/bin/env bash
# What recording a timeline costs, one line a figure: NAME VALUE TARGET ok|missed|undecided # medians, spread
# Exit 0; 1 when a target is missed; 3 when something that is needed is absent.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
case ${1-} in
-h | --help)
    echo "usage: scripts/bench/profile.sh (PRONY_CC names the compiler, default cc)"
    exit 0
    ;;
esac
CC=${PRONY_CC:-cc}
if ! command -v "$CC" >/dev/null; then
    echo "profile: no compiler $CC" >&2
    exit 3
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$CC" -std=gnu11 -O2 -g -fno-omit-frame-pointer -D_GNU_SOURCE -I "$here/../.." -I "$here/../../include" \
    -o "$work/profile" "$here/profile.c" "$here/../../base/timeline.c"
"$work/profile"

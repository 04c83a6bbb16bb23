#!/usr/bin/env bash
# How prony's engines compare with their peers and with floors, one line a figure:
# NAME VALUE TARGET ok|missed|undecided # medians, spread. Exit 0; 1 when a target is missed; 3 when something is absent.
set -eu

usage() {
    cat <<'END'
usage: scripts/bench/engines.sh [--rounds N] [--peers DIR] [--only TEXT]
  --rounds N   rounds in which engines, peers and floors alternate, at least 8 (default 8)
  --peers DIR  programs that print one JSON line of the same metrics each, as a cross-check: DIR/openmp-libgomp,
               DIR/tbb, DIR/mpi_pool
  --only TEXT  only figures whose name holds TEXT; "beside...": only the rows of engines.json beside Python's engines
PRONY_CC names the compiler (default cc); it must know OpenMP. /usr/bin/python3 is measured as Python. PRONY names the
program that runs engines.json (default: build/release/bin/prony). oneTBB is measured where it and a C++ compiler are
(PRONY_CXX, default c++), Open MPI where mpicc and mpirun are.
END
}
for argument in "$@"; do
    case $argument in -h | --help) usage && exit 0 ;; esac
done

here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
CC=${PRONY_CC:-cc}
for tool in "$CC" /usr/bin/python3; do
    if ! command -v "$tool" >/dev/null; then
        echo "engines: $tool is not installed: run scripts/setup.sh --tests" >&2
        exit 3
    fi
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
base=()
for file in error number text words timeline worker params log; do
    base+=("$root/base/$file.c")
done
flags=(-std=gnu11 -O2 -g -fno-omit-frame-pointer -D_GNU_SOURCE -DPRONY_BUILTIN -I "$root" -I "$root/include")
if ! "$CC" "${flags[@]}" -fopenmp -o "$work/engines" "$here"/engines{,_group,_many,_peer,_pool,_uneven}.c \
    "$root"/workloads/mandelbrot.c "$root"/parallel/*.c "${base[@]}" -lpthread -ldl -lm; then
    echo "engines: $CC did not build scripts/bench/engines*.c (OpenMP is needed)" >&2
    exit 3
fi
# Peers that may be absent; engines.py says so.
build_tbb() {
    mkdir "$work/tbb" && cd "$work/tbb" &&
        "$CC" "${flags[@]}" -c "$here/engines_tbb.c" "$root/engines/peer.c" "$root"/parallel/*.c "${base[@]}" &&
        "${PRONY_CXX:-c++}" -std=gnu++17 -O2 -DPRONY_BUILTIN -I "$root" -I "$root/include" -c "$root/engines/tbb.cpp" &&
        "${PRONY_CXX:-c++}" -o "$work/engines_tbb" ./*.o -ltbb -lpthread -ldl -lm
}
(build_tbb) >"$work/tbb.log" 2>&1 || true
if command -v mpirun >/dev/null; then
    mpicc "${flags[@]}" -o "$work/engines_mpi" "$here/engines_mpi.c" >"$work/mpi.log" 2>&1 || true
fi
/usr/bin/python3 -B "$here/engines.py" "$work" "$root/build/release/bin/prony" "$@"

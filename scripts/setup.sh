#!/usr/bin/env bash
# Installs what prony is built with, from Debian's packages: exactly what is missing, and nothing when nothing is.
set -eu

usage() {
    cat <<'END'
usage: scripts/setup.sh [--tests] [--list]
  --tests  also what the tests need
  --list   only say what is missing and why; installs nothing (exit 1 when something is missing)
END
}

# package:why. libc6-dev is named because gcc only recommends it.
needs=(
    "gcc:the C compiler"
    "libc6-dev:the C library's headers"
    "cmake:configures the build"
    "ninja-build:runs the build"
    "pkg-config:finds the libraries below"
    "libhwloc-dev:the machine's topology (topology/)"
    "libpapi-dev:hardware counters (counters/)"
    "libdw-dev:names of functions in profiles (measure/symbols.c)"
    "libjansson-dev:reads and writes JSON (results/)"
    "nettle-dev:keys of listeners (parallel/key.c, optional)"
    "libgsl-dev:distributions and fits (stats/)"
    "liburing-dev:the channel io-uring (channels/io-uring.c, optional)"
    "libzmq3-dev:the channel zeromq (channels/zeromq.c, optional)"
    "libbenchmark-dev:Google Benchmark, for prony-gbench (shims/gbench, optional)"
    "libtbb-dev:the engine tbb (engines/tbb.cpp, optional)"
    "libuv1-dev:the engine libuv (engines/libuv.c, optional)"
    "libglib2.0-dev:the engine glib (engines/glib.c, optional)"
    "g++:the C++ of shims/gbench and engines/tbb.cpp (optional), and a check that the public headers are also C++"
    "gnuplot-nox:draws the plots of a report"
)
test_needs=(
    "libcmocka-dev:the C tests"
    "python3:the tests of the program, and the engines python-*"
    "python3-jsonschema:checks reports against their schema"
    "valgrind:counts instructions by simulation (counters/callgrind.c)"
    "qemu-system-arm:an emulated machine with a PMU (tests/pmu-guest/)"
    "strace:counts the system calls of a message (optional)"
    "cpio:packs that machine's file system"
    "gcc-aarch64-linux-gnu:builds prony for it"
    "libc6-dev-arm64-cross:and the C library for that"
)

list=no
for argument in "$@"; do
    case $argument in
    --tests) needs+=("${test_needs[@]}") ;;
    --list) list=yes ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && exit 2 ;;
    esac
done

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    echo "setup: this is not a Debian system (no apt-get); with its own package manager, install:" >&2
    for need in "${needs[@]}"; do
        printf '  %-20s %s\n' "${need%%:*}" "${need#*:}" >&2
    done
    echo "under these or similar names, and then run: cmake --preset release && cmake --build --preset release" >&2
    exit 3
fi

# One call for all: dpkg-query fails when it does not know one, and still lists the others.
installed=" $(dpkg-query -W -f='${db:Status-Status}=${Package} ' "${needs[@]%%:*}" 2>/dev/null || true)"
missing=()
for need in "${needs[@]}"; do
    package=${need%%:*}
    case $installed in
    *" installed=$package "*) ;;
    *)
        echo "setup: $package is missing: ${need#*:}" >&2
        missing+=("$package")
        ;;
    esac
done
[ ${#missing[@]} -gt 0 ] || exit 0
[ "$list" = no ] || exit 1

root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "setup: neither root nor sudo; have an administrator run: apt-get install ${missing[*]}" >&2
        exit 3
    fi
    root=(sudo)
fi
apt_get() {
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -y -q "$@" >&2
}

# The package lists are fetched only when they do not know what is needed, or point at files that are gone.
for package in "${missing[@]}"; do
    if ! apt-cache policy "$package" | grep -q 'Candidate: [^(]'; then
        apt_get update
        break
    fi
done
echo "setup: installing ${missing[*]}" >&2
if ! apt_get install --no-install-recommends "${missing[@]}"; then
    echo "setup: trying once more with fresh package lists" >&2
    apt_get update
    apt_get install --no-install-recommends "${missing[@]}"
fi

#!/usr/bin/env bash
# Set-up, all builds, all tests. The tests of all presets run in one ctest, so that its summary, the last thing printed,
# stands for the whole. Two tests run at a time; CTEST_PARALLEL_LEVEL says otherwise (a few of them fill the machine, none
# decides by time).
set -eu
cd "$(dirname "$0")/.."

usage() {
    cat <<'END'
usage: scripts/test.sh [PRESET...] [-- CTEST_ARGUMENT...]
  PRESET  dev, release, asan-ubsan, tsan or coverage; without any, all but coverage
  for example: scripts/test.sh dev -- -L unit
END
}

presets=()
while [ $# -gt 0 ]; do
    case $1 in
    --) shift && break ;;
    -h | --help) usage && exit 0 ;;
    dev | release | asan-ubsan | tsan | coverage) presets+=("$1") && shift ;;
    *) usage >&2 && exit 2 ;;
    esac
done
[ ${#presets[@]} -gt 0 ] || presets=(dev release asan-ubsan tsan)

scripts/setup.sh --tests
for preset in "${presets[@]}"; do
    echo "== $preset: build" >&2
    cmake --preset "$preset" -DPRONY_TESTS=ON >&2
    cmake --build --preset "$preset" >&2
done

# The thread sanitizer of gcc 12 does not know the addresses that more than 28 random bits give; there its tests run
# without randomisation.
still=
if [ "$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 28)" -gt 28 ]; then
    if setarch -R true 2>/dev/null; then
        still='"setarch" "-R"'
    else
        echo "test: vm.mmap_rnd_bits is above 28 and setarch -R is forbidden; if tsan reports an unexpected memory" \
            "mapping, run as root: sysctl vm.mmap_rnd_bits=28" >&2
    fi
fi

# One list of all tests: those of each preset, named PRESET/TEST.
together=build/all-tests
rm -rf "$together"
mkdir -p "$together"
for preset in "${presets[@]}"; do
    mkdir "$together/$preset"
    command=
    [ "$preset" != tsan ] || command=$still
    sed -E -e '/^(subdirs|#)/d' \
        -e "s|^(add_test\|set_tests_properties)\((\[=*\[)?|\1(\2$preset/|" \
        -e "s|^(add_test\((\[=*\[[^]]*\]=*\]\|[^ ]*))|\1 $command|" \
        "build/$preset/tests/CTestTestfile.cmake" >"$together/$preset/CTestTestfile.cmake"
    echo "subdirs($preset)" >>"$together/CTestTestfile.cmake"
done

# As the test presets in CMakePresets.json have them.
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:detect_stack_use_after_return=0
export UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:die_after_fork=0
export CTEST_PARALLEL_LEVEL=${CTEST_PARALLEL_LEVEL:-2}
status=0
ctest --test-dir "$together" --output-on-failure --no-tests=error --timeout 300 "$@" || status=$?
exit $status

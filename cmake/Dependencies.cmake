# Foreign libraries. Each is used by one room only (tests/lint checks it); scripts/setup.sh installs them.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(HWLOC REQUIRED IMPORTED_TARGET hwloc>=2.4)   # topology
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson>=2.11) # results
pkg_check_modules(GSL REQUIRED IMPORTED_TARGET gsl)            # stats
find_path(PRONY_VALGRIND_INCLUDE valgrind/callgrind.h)          # counters, optional; headers alone
if(PRONY_VALGRIND_INCLUDE)
    add_library(prony_valgrind INTERFACE IMPORTED)
    target_include_directories(prony_valgrind INTERFACE ${PRONY_VALGRIND_INCLUDE})
endif()
pkg_check_modules(ELFUTILS IMPORTED_TARGET libdw)               # measure/symbols.c, optional
pkg_check_modules(URING IMPORTED_TARGET liburing>=2.2)         # channels/io-uring.c, optional
pkg_check_modules(PAPI IMPORTED_TARGET papi)                   # counters, optional
if(NOT PRONY_SANITIZE MATCHES "thread")
    find_package(OpenMP COMPONENTS C)                          # engines, optional; libgomp knows nothing of TSan
    pkg_check_modules(ZMQ IMPORTED_TARGET libzmq)              # channels/zeromq.c, optional; nor does libzmq
endif()

# shims/gbench, optional: the only C++, so the language is switched on only with it.
find_package(benchmark QUIET CONFIG)
if(benchmark_FOUND)
    include(CheckLanguage)
    check_language(CXX)
endif()
if(NOT benchmark_FOUND)
    set(PRONY_GBENCH_ABSENT "Google Benchmark was not found: install libbenchmark-dev")
elseif(NOT CMAKE_CXX_COMPILER)
    set(PRONY_GBENCH_ABSENT "there is no C++ compiler: install g++")
else()
    enable_language(CXX)
endif()

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
pkg_check_modules(NETTLE IMPORTED_TARGET nettle>=3.4)           # parallel/key.c, optional
pkg_check_modules(PAPI IMPORTED_TARGET papi)                   # counters, optional
if(NOT PRONY_SANITIZE MATCHES "thread")
    find_package(OpenMP COMPONENTS C)                          # engines, optional; libgomp knows nothing of TSan
    pkg_check_modules(ZMQ IMPORTED_TARGET libzmq)              # channels/zeromq.c, optional; nor does libzmq
    pkg_check_modules(GLIB IMPORTED_TARGET glib-2.0>=2.40)     # the same of GLib, libuv and oneTBB
    pkg_check_modules(LIBUV libuv>=1.38)
    pkg_check_modules(TBB IMPORTED_TARGET tbb>=2021.6)
endif()
if(LIBUV_FOUND) # headers alone: engines/libuv.c loads the library for each life of its pool
    add_library(prony_libuv INTERFACE IMPORTED)
    target_include_directories(prony_libuv INTERFACE ${LIBUV_INCLUDE_DIRS})
endif()

# shims/gbench and engines/tbb.cpp, optional: the only C++, so the language is switched on only with them.
find_package(benchmark QUIET CONFIG)
if(benchmark_FOUND OR TBB_FOUND)
    include(CheckLanguage)
    check_language(CXX)
endif()
if(NOT benchmark_FOUND)
    set(PRONY_GBENCH_ABSENT "Google Benchmark was not found: install libbenchmark-dev")
elseif(NOT CMAKE_CXX_COMPILER)
    set(PRONY_GBENCH_ABSENT "there is no C++ compiler: install g++")
endif()
if(CMAKE_CXX_COMPILER)
    enable_language(CXX)
endif()
if(TBB_FOUND AND CMAKE_CXX_COMPILER)
    add_library(prony_tbb ALIAS PkgConfig::TBB)
endif()

# Foreign libraries. Each is used by one room only (tests/lint checks it); scripts/setup.sh installs them.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(HWLOC REQUIRED IMPORTED_TARGET hwloc>=2.4)   # topology
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson>=2.11) # results
pkg_check_modules(GSL REQUIRED IMPORTED_TARGET gsl)            # stats
pkg_check_modules(ELFUTILS IMPORTED_TARGET libdw)               # measure/symbols.c, optional
pkg_check_modules(PAPI IMPORTED_TARGET papi)                   # counters, optional
if(NOT PRONY_SANITIZE MATCHES "thread")
    find_package(OpenMP COMPONENTS C)                          # engines, optional; libgomp knows nothing of TSan
endif()

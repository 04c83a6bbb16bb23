/* python-threads: CPython's concurrent.futures.ThreadPoolExecutor (see engines/python/driver.h).
 *
 * Its workers are threads of one interpreter: ctypes gives the lock of the interpreter back while a kernel runs, so C kernels
 * run side by side, and Python functions (code=python) do so only without that lock. A worker that dies takes all. */
#include "engines/python/driver.h"

static const struct prony_option options[] = {
    PRONY_PYTHON_OPTIONS,
    {NULL, PRONY_INT, NULL, 0, 0, NULL, NULL},
};

static int open_pool(const struct prony_setup *setup, void **handle, struct prony_error *error)
{
    return prony_python_open("python-threads", 0, setup, handle, error);
}

PRONY_EXPORT(engine, python_threads) = {
    .head = PRONY_HEAD(struct prony_engine, .name = "python-threads", .summary = "CPython's ThreadPoolExecutor",
                       .caps = PRONY_PYTHON_CAPS | PRONY_CAP_SHARED, .options = options, .probe = prony_python_probe),
    .open = open_pool,
    PRONY_PYTHON_FUNCTIONS,
};

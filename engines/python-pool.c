/* python-pool: CPython's multiprocessing.Pool (see engines/python/driver.h).
 *
 * What is measured: the pool with its pickling, its one pipe each way and the locks around them. The pool itself replaces a
 * dead worker and loses its task for good, without a word; here a thread watches the workers, and a death breaks the pool. */
#include "engines/python/driver.h"

static const struct prony_option options[] = {
    PRONY_PYTHON_OPTIONS,
    PRONY_PYTHON_START,
    {NULL, PRONY_INT, NULL, 0, 0, NULL, NULL},
};

static int open_pool(const struct prony_setup *setup, void **handle, struct prony_error *error)
{
    return prony_python_open("python-pool", 1, setup, handle, error);
}

PRONY_EXPORT(engine, python_pool) = {
    .head = PRONY_HEAD(struct prony_engine, .name = "python-pool", .summary = "CPython's multiprocessing.Pool",
                       .caps = PRONY_PYTHON_CAPS | PRONY_CAP_PYTHON, .options = options, .probe = prony_python_probe),
    .open = open_pool,
    PRONY_PYTHON_FUNCTIONS,
};

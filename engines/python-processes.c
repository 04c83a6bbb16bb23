/* python-processes: CPython's concurrent.futures.ProcessPoolExecutor (see engines/python/driver.h).
 *
 * What is measured: the executor with its pickling, queues and locks. With code=c not Python as a language, since the
 * kernels are C. An empty task cost 1.5 times what the executor takes for an empty function with 128 bytes of argument
 * (median of 7 rounds in turn, from 0.9 to 2.6, 4000 tasks, CPython 3.11, two bound workers against two unbound ones, a
 * busy virtual machine of 2 CPUs). */
#include "engines/python/driver.h"

static const struct prony_option options[] = {
    PRONY_PYTHON_OPTIONS,
    PRONY_PYTHON_START,
    {NULL, PRONY_INT, NULL, 0, 0, NULL, NULL},
};

static int open_pool(const struct prony_setup *setup, void **handle, struct prony_error *error)
{
    return prony_python_open("python-processes", 1, setup, handle, error);
}

PRONY_EXPORT(engine, python_processes) = {
    .head = PRONY_HEAD(struct prony_engine, .name = "python-processes", .summary = "CPython's ProcessPoolExecutor",
                       .caps = PRONY_PYTHON_CAPS | PRONY_CAP_PYTHON, .options = options, .probe = prony_python_probe),
    .open = open_pool,
    PRONY_PYTHON_FUNCTIONS,
};

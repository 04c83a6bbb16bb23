/* CPython's pools as engines, driven over a socket (engines/python/pools.py): the functions of an engine, shared by all.
 *
 * Kernels run through ctypes (libprony_image.so) in the same arena, on the same PUs, so that the pool alone differs; or,
 * with code=python, as the functions of pools.py and gangs.py, with futures and binding still ours. The adapter adds the socket and the
 * packing of tasks to what the pool costs by itself; a task is seen to be done when the pool's thread has said so here.
 *
 * Fragile, as the pools are: a dead worker breaks its pool, every pending task fails with its signal, and the engine must
 * be opened again; until then each call returns that code. A map or gang that runs out of time breaks it too. */
#ifndef PRONY_ENGINES_PYTHON_DRIVER_H
#define PRONY_ENGINES_PYTHON_DRIVER_H

#include <prony/plugin/engine.h>

extern const char *const prony_python_starts[], *const prony_python_codes[];

#define PRONY_PYTHON_OPTIONS                                                                                           \
    {                                                                                                                  \
        "python",                                                                                                      \
        PRONY_TEXT,                                                                                                    \
        "",                                                                                                            \
        0,                                                                                                             \
        0,                                                                                                             \
        NULL,                                                                                                          \
        "the interpreter, a path or a name; else python3, python3.13 .. python3.9"},                                   \
        {"chunksize",                                                                                                  \
         PRONY_INT,                                                                                                    \
         "0",                                                                                                          \
         0,                                                                                                            \
         1e9,                                                                                                          \
         NULL,                                                                                                         \
         "items a call if no chunk is given: 1 as an executor's map, 0: items/(4 workers)"},                           \
        {"code",                                                                                                       \
         PRONY_CHOICE,                                                                                                 \
         "c",                                                                                                          \
         0,                                                                                                            \
         0,                                                                                                            \
         prony_python_codes,                                                                                           \
         "what runs: prony's kernels through ctypes, or the same work written in Python"},                             \
    {                                                                                                                  \
        "image", PRONY_TEXT, "", 0, 0, NULL,                                                                           \
            "the library of kernels; else libprony_image.so beside the program or in ../lib"                           \
    }

#define PRONY_PYTHON_START                                                                                             \
    {                                                                                                                  \
        "start", PRONY_CHOICE, "fork", 0, 0, prony_python_starts, "multiprocessing's start method"                     \
    }

int prony_python_probe(struct prony_error *error);
uint64_t prony_python_area(const struct prony_params *params, unsigned workers);
/* `engine` names the pool of pools.py; `starts`: it has the option `start`. */
int prony_python_open(const char *engine, int starts, const struct prony_setup *setup, void **handle,
                      struct prony_error *error);
const char *prony_python_about(void *handle);
int prony_python_gang(void *handle, const struct prony_task *task, unsigned roles, int *status, int64_t timeout_ns);
int prony_python_map(void *handle, const struct prony_task *task, int64_t chunk, struct prony_tally *tally,
                     int64_t timeout_ns);
int prony_python_submit(void *handle, const struct prony_task *tasks, unsigned n);
int prony_python_wait(void *handle, const uint64_t *futures, unsigned n, unsigned need, int64_t timeout_ns);
int prony_python_cancel(void *handle, uint64_t future, int kill);
int prony_python_close(void *handle, int drain, int64_t timeout_ns);

/* All but its name, its summary and its options. */
#define PRONY_PYTHON_FUNCTIONS                                                                                         \
    .area = prony_python_area, .gang = prony_python_gang, .map = prony_python_map, .submit = prony_python_submit,      \
    .wait = prony_python_wait, .cancel = prony_python_cancel, .close = prony_python_close, .about = prony_python_about
#define PRONY_PYTHON_CAPS (PRONY_CAP_MAP | PRONY_CAP_SUBMIT | PRONY_CAP_GANG | PRONY_CAP_CANCEL | PRONY_CAP_FRAGILE)

#endif

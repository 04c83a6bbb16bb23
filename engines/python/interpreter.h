/* Finding a CPython to run. */
#ifndef PRONY_ENGINES_PYTHON_INTERPRETER_H
#define PRONY_ENGINES_PYTHON_INTERPRETER_H

#include <prony/error.h>

/* Is there an executable that may be a Python 3.9 or newer? Starts nothing. `asked`: a path or a name to be found in PATH;
 * NULL or empty: python3, then python3.13 down to python3.9. 0 or -ENOTSUP with what to install. */
int prony_python_look(const char *asked, struct prony_error *error);
/* The interpreter itself (a shim in PATH may cost as much as Python's own start): asked once, then remembered. Runs the
 * candidates in turn until one says that it is 3.9 or newer. Main thread only. 0, -ENOTSUP. */
int prony_python_resolve(const char *asked, char *path, size_t bytes, struct prony_error *error);

#endif

/* All plug-ins: those built in (a const table that CMake generates) and those loaded from shared objects. */
#ifndef PRONY_BASE_REGISTRY_H
#define PRONY_BASE_REGISTRY_H

#include <prony/plugin/channel.h>
#include <prony/plugin/counter.h>
#include <prony/plugin/engine.h>
#include <prony/plugin/workload.h>

/* A plug-in that was left out of this build. */
struct prony_absent {
    enum prony_kind kind;
    const char *name, *reason;
};

/* Generated (cmake/Plugins.cmake). Tables end with NULL. */
extern const struct prony_head *const *const prony_builtin[PRONY_KINDS];
extern const struct prony_absent prony_builtin_absent[]; /* ends with a NULL name */

/* Plug-in number i of a kind, built-in ones first in the order of their CMakeLists; NULL after the last. */
const struct prony_head *prony_registry_at(enum prony_kind kind, unsigned i);
/* By name. NULL with -ENOENT and the nearest names, or -ENOTSUP and why it was left out of this build. */
const struct prony_head *prony_registry_find(enum prony_kind kind, const char *name, struct prony_error *error);
const struct prony_engine *prony_find_engine(const char *name, struct prony_error *error);
const struct prony_workload *prony_find_workload(const char *name, struct prony_error *error);
const struct prony_channel *prony_find_channel(const char *name, struct prony_error *error);
const struct prony_provider *prony_find_provider(const char *name, struct prony_error *error);

/* Loads a shared object and registers its plug-in. Refused before anything in it is called: a file that others may write
 * (-EACCES), another ABI or size (-EPROTO), a name that is taken (-EEXIST), no plug-in symbol (-ENOEXEC).
 * `path` may name a descriptor (/proc/self/fd/N), `shown` is what people see (NULL: path). Main thread only. */
int prony_registry_load(const char *path, const char *shown, const struct prony_head **head, struct prony_error *error);
/* The file a loaded plug-in came from, as shown; NULL for built-in ones. */
const char *prony_registry_path(const struct prony_head *head);
/* A descriptor of that very file, open and close-on-exec, so that a host loads the same bytes even when the path has been
 * replaced since; -1 for built-in ones. Owned by the registry. */
int prony_registry_fd(const struct prony_head *head);

/* "engine", "workload", "channel", "counter"; plural adds an s. */
const char *prony_kind_name(enum prony_kind kind);

#endif

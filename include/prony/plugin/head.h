/* What every plug-in has: a head with its name, options and probe. */
#ifndef PRONY_PLUGIN_HEAD_H
#define PRONY_PLUGIN_HEAD_H

#include <prony/error.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PRONY_ABI 6u /* of everything under include/prony; plug-ins of another ABI are refused */

enum prony_kind { PRONY_ENGINE, PRONY_WORKLOAD, PRONY_CHANNEL, PRONY_PROVIDER, PRONY_KINDS };

enum prony_type {
    PRONY_INT,      /* 10, 10k, 10M (decimal) or 10Ki (binary) */
    PRONY_BYTES,    /* the same, and is shown as bytes */
    PRONY_DURATION, /* 10us, 1.5ms, 2s; held in nanoseconds */
    PRONY_REAL,
    PRONY_BOOL,   /* yes, no */
    PRONY_CHOICE, /* one of `choices` */
    PRONY_TEXT    /* any; a path, say */
};

/* One parameter of a plug-in. Shared meanings have shared names: items chunk grain size wait rate path. Tables end with a
 * NULL name. */
struct prony_option {
    const char *name;
    enum prony_type type;
    const char *fallback;       /* the default, as it would be typed */
    double least, most;         /* the range for numbers, both included; in ns for durations */
    const char *const *choices; /* NULL-terminated, for PRONY_CHOICE */
    const char *help;           /* one line */
};

/* A plug-in's parameters, parsed against its option table: every option has a value. */
struct prony_params;
/* The value of the option `name`; a name that is not in the table is a bug and aborts. Any thread. */
int64_t prony_param_int(const struct prony_params *params,
                        const char *name); /* INT, BYTES, DURATION, BOOL; CHOICE: index */
double prony_param_real(const struct prony_params *params, const char *name);
const char *prony_param_text(const struct prony_params *params, const char *name); /* as given; owned by params */

/* First member of every plug-in struct. abi and size are checked before anything else is read. */
struct prony_head {
    uint32_t abi;                       /* PRONY_ABI */
    uint32_t size;                      /* sizeof the whole plug-in struct */
    const char *name, *summary;         /* the name is the file's and the command line's; the summary one line */
    uint64_t caps;                      /* of its kind: PRONY_CAP_* */
    const struct prony_option *options; /* NULL: none */
    /* Can this machine run it? 0, or -ENOTSUP with a reason a person can act on. Under 2 ms, starts nothing. NULL: always. */
    int (*probe)(struct prony_error *error);
};

/* The one symbol a plug-in exports: PRONY_EXPORT(engine, futures_thread) = {...}; built into prony it is
 * prony_engine_futures_thread, in a shared object of its own prony_engine, where --plugin looks for it. */
#ifdef PRONY_BUILTIN
#define PRONY_EXPORT(kind, id)                                                                                         \
    extern const struct prony_##kind prony_##kind##_##id;                                                              \
    const struct prony_##kind prony_##kind##_##id
#else
#define PRONY_EXPORT(kind, id)                                                                                         \
    extern __attribute__((visibility("default"))) const struct prony_##kind prony_##kind;                              \
    const struct prony_##kind prony_##kind
#endif

#define PRONY_HEAD(type, ...)                                                                                          \
    {                                                                                                                  \
        .abi = PRONY_ABI, .size = sizeof(type), __VA_ARGS__                                                            \
    }

#ifdef __cplusplus
}
#endif
#endif

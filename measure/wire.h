/* What runner and cell host say to each other: one datagram each way, over a SOCK_SEQPACKET pair.
 *
 * An order is a struct prony_order, for OPEN followed by NUL-terminated "key=value" texts. Every order is answered by one
 * struct prony_answer. Both sides are the same program, so the layout is the compiler's. */
#ifndef PRONY_MEASURE_WIRE_H
#define PRONY_MEASURE_WIRE_H

#include <prony/error.h>
#include <stdint.h>

enum prony_order_kind {
    PRONY_ORDER_OPEN,  /* prepare the workload, open the engine, bind its workers */
    PRONY_ORDER_WARM,  /* calibrate repetitions, warm up until steady */
    PRONY_ORDER_VISIT, /* re-warm, then `samples` samples */
    PRONY_ORDER_CLOSE,
    PRONY_ORDER_PROFILE, /* in a profiled launch: records some repetitions, then samples others; no answer but errors */
    PRONY_ORDER_COUNT /* one sample of `repeats` that nobody times: the workers' system calls are counted meanwhile */
};

enum { PRONY_SAMPLES_MOST = 64, PRONY_WARM_MOST = 200, PRONY_ORDER_TEXT = 32 * 1024, PRONY_PHASES = 7 };

struct prony_order {
    uint32_t kind;
    uint32_t samples;    /* VISIT: how many */
    int64_t repeats;     /* VISIT, COUNT: repetitions in a sample */
    int64_t target_ns;   /* WARM: how long a sample should take */
    int64_t limit_ns;    /* WARM: how long all of it may take */
    uint32_t text_bytes; /* OPEN: bytes that follow */
    uint32_t turn;       /* VISIT: its number in the cell, which says which set of events is counted */
};

struct prony_answer {
    struct prony_error error;                            /* code 0: done; -ENOTSUP: cannot here; else failed */
    uint32_t samples, warm_samples, course, steady_from; /* course: enum prony_course */
    int64_t repeats, shortfall, reordered, verified;
    int64_t messages; /* COUNT: of one repetition */
    uint64_t calibrate_ns;
    uint64_t samples_ns[PRONY_SAMPLES_MOST];
    uint64_t phases_ns[PRONY_PHASES]; /* medians */
    uint64_t warm_ns[PRONY_WARM_MOST];
    char about[128];
};

/* Descriptors of a host, at fixed numbers. */
enum { PRONY_HOST_CONTROL = 3, PRONY_HOST_ARENA = 4, PRONY_HOST_PLUGINS = 5, PRONY_HOST_PLUGINS_MOST = 4 };

#endif

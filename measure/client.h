/* The runner's side of a cell host: starting it, giving it orders, ending it. The main thread only: a host's
 * parent-death signal follows the thread that started it. */
#ifndef PRONY_MEASURE_CLIENT_H
#define PRONY_MEASURE_CLIENT_H

#include "measure/board.h"
#include "measure/wire.h"

#include <prony/arena.h>

struct prony_client {
    int pid, control_fd;      /* pid 0: no host */
    bool under_tool;          /* it runs many times slower than alone */
    struct prony_arena arena; /* mapped here too: slots, histograms and counters are read in place */
    bool opened;
};

/* Lays out the arena and starts the host of a cell: `prony` re-executed, in a process group of its own; under a tool
 * unless that is NULL. */
int prony_client_start(struct prony_client *client, const struct prony_cell *cell, const struct prony_method *method,
                       const struct prony_tool *tool, struct prony_error *error);
/* One order and its answer. 0 when the answer came, whatever it says. -ETIMEDOUT, -EINTR (`interrupt` became non-zero),
 * -ECHILD (the host died: the error says how). After any of these the host must be killed. */
int prony_client_ask(struct prony_client *client, const struct prony_order *order, const char *text,
                     struct prony_answer *answer, int64_t timeout_ns, const volatile int *interrupt,
                     struct prony_error *error);
/* Its two halves, for who has something to do meanwhile: an order goes out; when control_fd is readable, the answer is
 * taken. 0, or -ECHILD at once when the host has ended. */
int prony_client_send(struct prony_client *client, const struct prony_order *order, const char *text,
                      struct prony_error *error);
int prony_client_take(struct prony_client *client, struct prony_answer *answer, struct prony_error *error);
/* Opens the cell in its host: engine, workload, channel and their parameters. */
int prony_client_open(struct prony_client *client, const struct prony_cell *cell, const struct prony_method *method,
                      struct prony_answer *answer, int64_t timeout_ns, const volatile int *interrupt,
                      struct prony_error *error);
/* Asks it to close, and kills its process group if it does not; the arena stays mapped until prony_client_free. */
void prony_client_close(struct prony_client *client);
/* Kills the process group at once and reaps the host. */
void prony_client_kill(struct prony_client *client);
void prony_client_free(struct prony_client *client);

/* Where the caller's thread of a cell sits: a PU beside the workers' if one is allowed, else that of the last worker;
 * with an engine whose caller is worker 0, that worker's. -1 without binding. */
int prony_caller_pu(const struct prony_cell *cell, const struct prony_topology *topology);

#endif

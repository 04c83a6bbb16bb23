/* A run made by hand for the tests of results/: engines, workloads and counters that look real, with known figures.
 * Include it in a test program; nothing in it starts or measures anything. */
#ifndef TESTS_REPORT_RUN_H
#define TESTS_REPORT_RUN_H

#include "measure/cell.h"
#include "results/report.h"
#include "stats/stats.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct prony_option made_items[] = {{"items", PRONY_INT, "20k", 1, 1e9, NULL, "items of one repetition"},
                                                 {NULL, PRONY_INT, NULL, 0, 0, NULL, NULL}};
static const char *const made_events[] = {"task-clock", "page-faults", "context-switches", "PAPI_TOT_INS", NULL};

#define MADE_ENGINE(id, text, capabilities)                                                                            \
    static const struct prony_engine made_##id = {                                                                     \
        .head = {.abi = PRONY_ABI, .name = text, .summary = text, .caps = capabilities}}
MADE_ENGINE(null, "null", PRONY_CAP_DRY);
MADE_ENGINE(serial, "serial", 0);
MADE_ENGINE(thread, "thread", 0);
MADE_ENGINE(fork, "fork", 0);
MADE_ENGINE(futures_thread, "futures-thread", 0);
MADE_ENGINE(futures_process, "futures-process", 0);
MADE_ENGINE(openmp, "openmp", 0);
MADE_ENGINE(python, "python-processes", 0);
static const struct prony_engine *const made_engines[] = {
    &made_serial,          &made_thread, &made_fork,   &made_futures_thread,
    &made_futures_process, &made_openmp, &made_python, &made_null};
/* Time of a map against ideal, and cost of one task in ns. */
static const double made_overhead[] = {1.0, 1.02, 1.01, 1.03, 1.05, 1.015, 1.3, 1};
static const double made_task_ns[] = {12, 210, 1900, 260, 2400, 95, 88000, 6};

static const struct prony_workload made_primes = {
    .head = {.name = "primes", .options = made_items}, .unit = "number", .shape = PRONY_MAP};
static const struct prony_workload made_matmul = {
    .head = {.name = "matmul", .options = made_items}, .unit = "row", .shape = PRONY_MAP};
static const struct prony_workload made_empty = {
    .head = {.name = "empty", .options = made_items}, .unit = "task", .shape = PRONY_TASKS};
static const struct prony_workload made_pingpong = {.head = {.name = "pingpong", .options = made_items},
                                                    .unit = "round trip",
                                                    .shape = PRONY_GANG,
                                                    .clock = PRONY_PER_OP};
static const struct prony_channel made_pipe = {.head = {.name = "pipe"}};
static const struct prony_provider made_provider = {.head = {.name = "software"}, .events = made_events};

static uint64_t made_state = 42;
static struct prony_topology *made_topology; /* of this machine; made_end frees it */

/* Around 1, a little skewed to the right as times are. */
static inline double made_noise(void)
{
    double u = (double)(prony_random_next(&made_state) >> 11) / 9007199254740992.0;
    double v = (double)(prony_random_next(&made_state) >> 11) / 9007199254740992.0;
    return 1 + 0.012 * (u - 0.5) + 0.03 * v * v * v;
}

static inline void made_visit(struct prony_visit *visit, unsigned block, unsigned samples, double sample_ns,
                              bool marked)
{
    double line = 110 + 30 * made_noise(), move = marked ? 2.6 : 1;
    visit->block = block;
    visit->launch = block / 3;
    visit->t_ns = (uint64_t)block * 900000000u + prony_random_below(&made_state, 100000000u);
    visit->samples = samples;
    visit->samples_ns = calloc(samples, sizeof *visit->samples_ns);
    for (unsigned i = 0; visit->samples_ns != NULL && i < samples; i++)
        visit->samples_ns[i] = (uint64_t)(sample_ns * made_noise() * (marked ? 1.3 : 1));
    visit->disturbed.before = (struct prony_pulse){line, 51000};
    visit->disturbed.after = (struct prony_pulse){line * move, 51200};
    visit->disturbed.steal_ns = marked ? 4000000 : 0;
    visit->disturbed.involuntary = prony_random_below(&made_state, 3);
    visit->disturbed.marked = marked;
    (void)snprintf(visit->disturbed.why, sizeof visit->disturbed.why, "%s",
                   marked ? "the line round trip went from 140 ns to 364 ns" : "");
}

static inline struct prony_value made_value(size_t event, double ns, unsigned worker)
{
    struct prony_value value = {.status = PRONY_COUNTED, .source = "perf"};
    if (event == 0)
        value.value = (int64_t)(ns * (1 + 0.04 * worker));
    else if (event == 1)
        value.value = 12 + 5 * (int64_t)worker;
    else if (event == 2)
        value.value = 40 + 9 * (int64_t)worker;
    if (event == 3) {
        value.status = PRONY_NOT_SUPPORTED;
        (void)snprintf(value.reason, sizeof value.reason, "this machine shows no performance counters to its guests");
    } else {
        value.enabled_ns = value.running_ns = (uint64_t)ns;
    }
    return value;
}

/* A cell without visits. Everything is owned as prony_run_free expects. */
static inline struct prony_cell *made_cell(struct prony_run *run, const struct prony_engine *engine,
                                           const struct prony_workload *workload, unsigned workers, const char *items)
{
    struct prony_cell *cell = &run->cells[run->count++];
    memset(cell, 0, sizeof *cell);
    cell->engine = engine;
    cell->workload = workload;
    cell->channel = workload == &made_pingpong ? &made_pipe : NULL;
    cell->workers = workers;
    (void)snprintf(cell->placement.policy, sizeof cell->placement.policy, "compact");
    cell->placement.workers = workers;
    cell->placement.pus = calloc(workers, sizeof *cell->placement.pus);
    for (unsigned i = 0; i < workers; i++)
        cell->placement.pus[i] = (int)i;
    cell->placement.binding = true;
    (void)prony_params_init(&cell->workload_params, workload->head.options, NULL);
    (void)prony_params_set(&cell->workload_params, "items", items, NULL);
    if (asprintf(&cell->id, "%s/%s/n%u/compact/items=%s", workload->head.name, engine->head.name, workers, items) < 0)
        abort();
    cell->need.items = cell->workload_params.values[0].integer;
    cell->repeats = 4;
    cell->calibrate_ns = 1000000;
    cell->steady = true;
    cell->course = PRONY_COURSE_FLAT;
    cell->warm_samples = 8;
    cell->caller_pu = -1;
    cell->caller_share = NAN;
    cell->counter_read_ns = NAN;
    cell->baseline = engine == &made_serial;
    return cell;
}

/* Measures it, in a manner of speaking: `ns` is what one repetition takes. */
static inline void made_measured(struct prony_run *run, struct prony_cell *cell, double ns, unsigned marked)
{
    unsigned visits = run->method.visits + marked;
    cell->outcome = PRONY_OK;
    cell->visits = calloc(visits, sizeof *cell->visits);
    for (unsigned i = 0; i < visits; i++)
        made_visit(&cell->visits[i], i, run->method.samples, ns * (double)cell->repeats, i < marked);
    cell->visits_count = cell->visits_room = visits;
    cell->launches = 2;
    cell->verified = visits * run->method.samples;
    cell->counted_samples = (uint64_t)cell->verified;
    cell->counter_read_ns = 1200;
    cell->spent_ns = (uint64_t)(ns * 4 * (double)cell->verified * 1.2);
    cell->who = calloc(cell->workers, sizeof *cell->who);
    for (unsigned w = 0; w < cell->workers; w++) {
        struct prony_cell_worker *who = &cell->who[w];
        who->pid = 4000 + (int)w;
        who->tid = 4000 + (int)w;
        who->pu = cell->placement.pus[w];
        who->generation = 1;
        who->items = cell->need.items * cell->verified * cell->repeats / cell->workers;
        who->values = calloc(run->method.events.count, sizeof *who->values);
        for (size_t e = 0; e < run->method.events.count; e++)
            who->values[e] = made_value(e, ns * 4 * (double)cell->verified, w);
    }
    if (cell->workload->clock == PRONY_PER_OP) {
        double op = ns / (double)cell->need.items;
        cell->latency = calloc(1, sizeof *cell->latency);
        for (unsigned i = 0; i < 20000; i++) {
            double tail = (double)(prony_random_next(&made_state) >> 11) / 9007199254740992.0;
            prony_histogram_record(cell->latency, (uint64_t)(op * (0.93 + 0.1 * tail + 0.002 / (1.00001 - tail))));
        }
    }
}

static inline void made_begin(struct prony_run *run, unsigned room)
{
    memset(run, 0, sizeof *run);
    made_state = 42;
    run->suite = strdup("quick");
    run->cells = calloc(room, sizeof *run->cells);
    run->method = (struct prony_method){.visits = 8,
                                        .samples = 5,
                                        .launches = 2,
                                        .precision = 2,
                                        .budget_ns = 60000000000,
                                        .timeout_ns = 30000000000,
                                        .seed = 20261124,
                                        .provider = &made_provider};
    (void)snprintf(run->method.provider_why, sizeof run->method.provider_why, "papi: this machine shows no counters");
    for (const char *const *event = made_events; *event != NULL; event++)
        (void)prony_list_add(&run->method.events, *event, strlen(*event));
    if (prony_topology_load(NULL, &made_topology, NULL) == 0)
        run->topology = made_topology;
    run->started_s = 1795500000;
    run->wall_ns = 47300000000;
    run->clock_ns = 24;
    run->bookkeeping_ns = 410000;
    run->blocks = 9;
}

static inline void made_end(struct prony_run *run)
{
    prony_run_free(run);
    prony_topology_free(made_topology);
    made_topology = NULL;
}

/* Some forty cells: everything a report may have to show. */
static inline void made_run(struct prony_run *run)
{
    static const unsigned counts[] = {1, 2, 4};
    made_begin(run, 80);
    for (unsigned e = 0; e < 7; e++)
        for (unsigned c = 0; c < (e == 0 ? 1 : 3); c++) {
            double lost = 1 + 0.03 * (counts[c] - 1), ideal = 21e6 * made_overhead[e] / counts[c] * lost;
            made_measured(run, made_cell(run, made_engines[e], &made_primes, counts[c], "20k"), ideal,
                          e == 3 && c == 1 ? 3 : 0);
            if (c < 2)
                made_measured(run, made_cell(run, made_engines[e], &made_matmul, counts[c], "256"), ideal * 0.4, 0);
        }
    for (unsigned e = 0; e < 8; e++)
        made_measured(run, made_cell(run, made_engines[e], &made_empty, e == 0 || e == 7 ? 1 : 2, "1k"),
                      1000 * made_task_ns[e], 0);
    for (unsigned e = 1; e < 5; e++)
        made_measured(run, made_cell(run, made_engines[e], &made_pingpong, 2, "1k"),
                      1000 * (e % 2 == 1 ? 9400 : 47000 + 800 * e), 0);
    run->cells[run->count - 1].outcome = PRONY_FAILED;
    (void)prony_fail(&run->cells[run->count - 1].reason, -EPIPE, "worker 1 was killed by SIGKILL in block 3");
    (void)prony_fail(&made_cell(run, &made_openmp, &made_pingpong, 2, "1k")->reason, -ENOTSUP,
                     "openmp carries no channel: it has no processes <to> \"speak\" over & with");
    run->cells[run->count - 1].outcome = PRONY_SKIPPED;
    (void)prony_fail(&made_cell(run, &made_python, &made_pingpong, 2, "1k")->reason, -ENOTSUP,
                     "python-processes runs no gangs: a ping-pong needs two workers that are live at once");
    run->cells[run->count - 1].outcome = PRONY_SKIPPED;
    (void)prony_list_add(&run->notes, "engine tbb was left out of this build: install libtbb-dev", 57);
    (void)prony_list_add(&run->notes, "the CPU clock is not fixed: no governor is visible in this virtual machine", 74);
}

#endif

/* What a cell of two or more workers that talk to each other says beside its times: messages and bytes a second, what each
 * side spent on a message, where the sides sit and what they share. */
#include "results/model.h"
#include "stats/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double repetitions(const struct prony_cell *cell)
{
    return (double)cell->measured_samples * (double)cell->repeats;
}

/* CPU time of all sides for one message, by visit. */
static json_t *cpu_json(const struct prony_cell *cell)
{
    double *by_visit = malloc((cell->visits_count + 1u) * sizeof *by_visit);
    struct prony_interval interval = {NAN, NAN, NAN};
    double median = NAN;
    size_t n = 0;
    for (unsigned i = 0; by_visit != NULL && i < cell->visits_count; i++) {
        const struct prony_visit *visit = &cell->visits[i];
        double messages = (double)visit->samples * (double)cell->repeats * (double)cell->need.messages;
        if (messages > 0 && visit->cpu_ns > 0)
            by_visit[n++] = (double)visit->cpu_ns / messages;
    }
    if (n > 0) {
        median = prony_median(by_visit, n);
        interval = prony_median_interval(by_visit, n, PRONY_CONFIDENCE);
    }
    free(by_visit);
    return json_pack("{s:o, s:o}", "median", prony_json_real(median), "ci95",
                     prony_json_pair(interval.low, interval.high));
}

/* Into a side's object, or that of all sides. */
static void calls_add(json_t *object, const struct prony_cell *cell, const struct prony_calls *calls)
{
    const bool counted = cell->called_messages != 0;
    (void)json_object_set_new(object, "system_calls", prony_json_real(counted ? calls->done : NAN));
    (void)json_object_set_new(object, "system_calls_futex", prony_json_real(counted ? calls->futex : NAN));
    (void)json_object_set_new(object, "system_calls_in_vain", prony_json_real(counted ? calls->vain : NAN));
}

static const char *why_not_counted(const struct prony_cell *cell)
{
    if (cell->called_messages != 0)
        return NULL;
    return cell->calls_reason.code != 0 ? cell->calls_reason.text : "the cell ended before they were counted";
}

static json_t *side_json(const struct prony_cell *cell, unsigned index)
{
    const struct prony_cell_worker *who = &cell->who[index];
    double messages = repetitions(cell) * (double)cell->need.messages;
    bool asked = who->usage.asked != 0 && who->usage.node >= 0;
    json_t *side = json_pack("{s:i, s:o, s:o, s:o, s:o, s:o}", "worker", (int)index, "pu",
                             who->pu < 0 ? json_null() : json_integer(who->pu), "node",
                             asked ? json_integer(who->usage.node) : json_null(), "cpu_ns_per_message",
                             prony_json_real((double)who->usage.cpu_ns / messages), "voluntary_per_message",
                             prony_json_real((double)who->usage.voluntary / messages), "involuntary_per_message",
                             prony_json_real((double)who->usage.involuntary / messages));
    calls_add(side, cell, &who->calls);
    return side;
}

/* The nearest thing that the first two sides share; null unless both are bound. */
static json_t *shared_json(const struct prony_run *run, const struct prony_cell *cell)
{
    const int *pus = cell->placement.pus;
    if (cell->workers < 2 || !cell->placement.binding || pus == NULL)
        return json_null();
    return prony_json_text(prony_topology_shared(run->topology, pus[0], pus[1]));
}

static const char *wait_of(const struct prony_cell *cell)
{
    for (unsigned i = 0; i < cell->channel_params.count; i++)
        if (strcmp(cell->channel_params.values[i].option->name, "wait") == 0)
            return cell->channel_params.values[i].text;
    return NULL;
}

double prony_wire_arrived(const struct prony_cell *cell)
{
    double items = repetitions(cell) * (double)cell->need.items;
    return items > 0 ? 1 - (double)cell->shortfall / items : 1;
}

json_t *prony_wire_json(const struct prony_run *run, const struct prony_cell *cell, double median_ns)
{
    unsigned roles = cell->need.roles == 0 ? cell->workers : cell->need.roles;
    double arrived = prony_wire_arrived(cell);
    json_t *sides, *wire;
    if (cell->need.messages == 0 || cell->who == NULL || cell->visits_count == 0 || cell->outcome == PRONY_FAILED)
        return json_null();
    sides = json_array();
    for (unsigned i = 0; i < roles && i < cell->workers; i++)
        (void)json_array_append_new(sides, side_json(cell, i));
    wire = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:o, s:I, s:o, s:o}", "size",
                     prony_json_count(cell->need.message), "wait", prony_json_text(wait_of(cell)), "messages_per_s",
                     prony_json_real(arrived * (double)cell->need.messages / median_ns * 1e9), "bytes_per_s",
                     prony_json_real(arrived * (double)cell->need.operations / median_ns * 1e9), "cpu_ns_per_message",
                     cpu_json(cell), "shared", shared_json(run, cell), "lost", (json_int_t)cell->shortfall, "reordered",
                     (json_int_t)cell->reordered, "arrived", prony_json_real(arrived), "system_calls_messages",
                     (json_int_t)cell->called_messages, "system_calls_reason", prony_json_text(why_not_counted(cell)),
                     "sides", sides);
    calls_add(wire, cell, &cell->calls);
    return wire;
}

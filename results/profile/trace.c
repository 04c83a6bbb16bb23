/* The timeline for Perfetto and chrome://tracing: the Trace Event Format, one event a line. */
#include "results/profile/profile.h"

#include <errno.h>
#include <stdlib.h>

static void event(FILE *out, bool *any)
{
    (void)fputs(*any ? ",\n " : "\n ", out);
    *any = true;
}

static void text(FILE *out, const char *value)
{
    json_t *string = prony_json_text(value);
    (void)json_dumpf(string, out, JSON_ENCODE_ANY);
    json_decref(string);
}

static void lane_names(FILE *out, const struct prony_profile *profile, const struct prony_cell *cell, unsigned pid,
                       bool *any)
{
    event(out, any);
    (void)fprintf(out, "{\"ph\": \"M\", \"pid\": %u, \"name\": \"process_name\", \"args\": {\"name\": ", pid);
    text(out, cell->id);
    (void)fputs("}}", out);
    for (unsigned i = 0; i <= profile->workers; i++) {
        event(out, any);
        (void)fprintf(
            out, "{\"ph\": \"M\", \"pid\": %u, \"tid\": %u, \"name\": \"thread_name\", \"args\": {\"name\": ", pid, i);
        if (i == profile->workers)
            (void)fputs("\"caller\"}}", out);
        else if (cell->who != NULL && cell->who[i].pu >= 0)
            (void)fprintf(out, "\"worker %u (PU %d)\"}}", i, cell->who[i].pu);
        else
            (void)fprintf(out, "\"worker %u\"}}", i);
    }
}

static double us(uint64_t ns)
{
    return (double)ns / 1e3;
}

static void task_event(FILE *out, const struct prony_stretch *stretch, unsigned pid, const char *name, bool *any)
{
    event(out, any);
    (void)fprintf(out, "{\"ph\": \"X\", \"cat\": \"task\", \"pid\": %u, \"tid\": %u, \"ts\": %.3f, \"dur\": %.3f, ",
                  pid, stretch->lane, us(stretch->from_ns), us(stretch->to_ns - stretch->from_ns));
    (void)fprintf(out, "\"name\": \"%s\", \"args\": {\"from\": %lld, \"items\": %u", name, (long long)stretch->lo,
                  stretch->items);
    if (stretch->queued_ns != UINT64_MAX)
        (void)fprintf(out, ", \"queued_us\": %.3f, \"waited_us\": %.3f", us(stretch->queued_ns),
                      us(stretch->from_ns - stretch->queued_ns));
    if (stretch->thief_of >= 0)
        (void)fprintf(out, ", \"stolen_from\": %d", stretch->thief_of);
    (void)fputs("}}", out);
}

/* An arrow from where a task was queued to where it began, for tasks that changed hands. */
static void arrow(FILE *out, const struct prony_stretch *stretch, unsigned pid, unsigned number, bool *any)
{
    event(out, any);
    (void)fprintf(out,
                  "{\"ph\": \"s\", \"cat\": \"queue\", \"name\": \"queued\", \"id\": %u, \"pid\": %u, \"tid\": %u, "
                  "\"ts\": %.3f}",
                  number, pid, stretch->queued_by, us(stretch->queued_ns));
    event(out, any);
    (void)fprintf(out,
                  "{\"ph\": \"f\", \"bp\": \"e\", \"cat\": \"queue\", \"name\": \"queued\", \"id\": %u, \"pid\": %u, "
                  "\"tid\": %u, \"ts\": %.3f}",
                  number, pid, stretch->lane, us(stretch->from_ns));
}

int prony_trace_write(const struct prony_profile *profile, const struct prony_cell *cell, unsigned number, FILE *out)
{
    const char *workload = cell->workload->head.name;
    unsigned pid = number + 1;
    uint32_t i;
    bool any = false;
    (void)fputs("{\"displayTimeUnit\": \"ns\", \"traceEvents\": [", out);
    lane_names(out, profile, cell, pid, &any);
    for (i = 0; i < profile->stretches && ftell(out) < PRONY_TRACE_BYTES; i++) {
        const struct prony_stretch *stretch = &profile->stretch[i];
        if (stretch->wait < 0) {
            task_event(out, stretch, pid, workload, &any);
            if (stretch->queued_ns != UINT64_MAX && stretch->queued_by != stretch->lane)
                arrow(out, stretch, pid, i, &any);
        } else {
            event(out, &any);
            (void)fprintf(out,
                          "{\"ph\": \"X\", \"cat\": \"wait\", \"pid\": %u, \"tid\": %u, \"ts\": %.3f, \"dur\": %.3f, "
                          "\"name\": \"wait: %s\", \"args\": {}}",
                          pid, stretch->lane, us(stretch->from_ns), us(stretch->to_ns - stretch->from_ns),
                          prony_wait_name(stretch->wait));
        }
    }
    (void)fprintf(out,
                  "\n], \"otherData\": {\"tool\": \"prony\", \"notes\": %llu, \"overwritten\": %llu, \"left_out\": %u, "
                  "\"repetitions\": %lld, \"note_ns\": %.1f}}\n",
                  (unsigned long long)profile->digest.notes, (unsigned long long)profile->digest.lost,
                  profile->stretches - i, (long long)profile->digest.repeats, profile->digest.note_ns);
    return ferror(out) ? -EIO : 0;
}

#include "measure/record.h"
#include "measure/same.h"

#include <stdio.h>
#include <stdlib.h>

/* A text as one field. */
static void put_text(FILE *out, const char *text)
{
    for (; *text != '\0'; text++)
        (void)fputc((unsigned char)*text < ' ' ? ' ' : *text, out);
}

static void put_samples(FILE *out, const uint64_t *ns, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        (void)fprintf(out, "\t%llu", (unsigned long long)ns[i]);
    (void)fputc('\n', out);
}

static void put_state(FILE *out, const struct prony_live *live)
{
    const struct prony_cell *cell = live->cell;
    (void)fprintf(out, "state\t%u\t%lld\t%lld\t%lld\t%llu\t%llu\t%lld\t%.12g\n", live->number,
                  (long long)cell->verified, (long long)cell->shortfall, (long long)cell->reordered,
                  (unsigned long long)cell->spent_ns, (unsigned long long)prony_live_counted(live),
                  (long long)cell->counted_repeats, prony_live_read_ns(live));
}

static void put_workers(FILE *out, const struct prony_live *live)
{
    for (unsigned i = 0; i < live->cell->workers; i++) {
        const struct prony_cell_worker *who = &live->cell->who[i];
        const struct prony_usage *usage = &who->usage;
        (void)fprintf(out, "who\t%u\t%u\t%d\t%d\t%d\t%u\t%lld\t%llu\t%llu\t%llu\t%llu\t%d\t%u\n", live->number, i,
                      who->pid, who->tid, who->pu, who->generation, (long long)who->items,
                      (unsigned long long)usage->gangs, (unsigned long long)usage->cpu_ns,
                      (unsigned long long)usage->voluntary, (unsigned long long)usage->involuntary, usage->node,
                      usage->asked);
    }
}

static void put_events(FILE *out, const struct prony_live *live, size_t events)
{
    for (unsigned i = 0; i < live->cell->workers; i++)
        for (unsigned j = 0; j < events && live->cell->who[i].values != NULL; j++) {
            const struct prony_value value = prony_live_count(live, i, j);
            (void)fprintf(out, "event\t%u\t%u\t%u\t%lld\t%u\t%u\t%llu\t%llu\t", live->number, i, j,
                          (long long)value.value, value.status, value.samples, (unsigned long long)value.enabled_ns,
                          (unsigned long long)value.running_ns);
            put_text(out, value.source);
            (void)fputc('\t', out);
            put_text(out, value.reason);
            (void)fputc('\n', out);
        }
}

static void put_histogram(FILE *out, unsigned number, const char *kind, const struct prony_histogram *histogram)
{
    if (histogram->count == 0)
        return;
    (void)fprintf(out, "histogram\t%u\t%s\t%llu\t%llu\t%llu", number, kind, (unsigned long long)histogram->min_ns,
                  (unsigned long long)histogram->max_ns, (unsigned long long)histogram->clipped);
    for (unsigned i = 0; i < PRONY_HISTOGRAM_BUCKETS; i++)
        if (histogram->bucket[i] != 0)
            (void)fprintf(out, "\t%u\t%llu", i, (unsigned long long)histogram->bucket[i]);
    (void)fputc('\n', out);
}

/* The operations' times of this visit, as they still lie in the arena. */
static void put_times(FILE *out, const struct prony_live *live)
{
    const unsigned char *base = live->client.arena.base;
    const struct prony_board *board = (const struct prony_board *)(const void *)base;
    for (unsigned i = 0; i < live->cell->workers && live->cell->latency != NULL; i++)
        put_histogram(out, live->number, "latency",
                      (const struct prony_histogram *)(const void *)(base + board->own.off + i * board->own_stride));
    if (live->cell->times != NULL && board->times.len != 0) {
        const struct prony_task_times *times = (const void *)(base + board->times.off);
        put_histogram(out, live->number, "wait", &times->wait);
        put_histogram(out, live->number, "run", &times->run);
    }
}

static void put_visit(FILE *out, unsigned number, const struct prony_visit *visit)
{
    const struct prony_disturbed *d = &visit->disturbed;
    (void)fprintf(out, "visit\t%u\t%u\t%u\t%llu\t%.12g\t%.12g\t%.12g\t%.12g\t%llu\t%llu\t%llu\t%d\t%llu", number,
                  visit->block, visit->launch, (unsigned long long)visit->t_ns, d->before.line_ns, d->after.line_ns,
                  d->before.compute_ns, d->after.compute_ns, (unsigned long long)d->steal_ns,
                  (unsigned long long)d->involuntary, (unsigned long long)d->migrations, d->marked,
                  (unsigned long long)visit->cpu_ns);
    for (unsigned i = 0; i < PRONY_PHASES; i++)
        (void)fprintf(out, "\t%llu", (unsigned long long)visit->phases_ns[i]);
    (void)fputc('\t', out);
    put_text(out, d->why);
    put_samples(out, visit->samples_ns, visit->samples);
}

/* Writes what was put into `out`, and frees it. */
static void end(struct prony_journal *journal, FILE *out, char **lines, const size_t *bytes)
{
    bool whole = out != NULL && fclose(out) == 0;
    prony_journal_write(journal, whole ? *lines : NULL, whole ? *bytes : 0);
    free(*lines);
}

/* A word that can be read back whatever is in it. */
static void put_word(FILE *out, const char *word)
{
    (void)fputs("word\t", out);
    for (; *word != '\0'; word++)
        if (*word == '\n')
            (void)fputs("\\n", out);
        else
            (void)fputs(*word == '\\' ? "\\\\" : (char[]){*word, '\0'}, out);
    (void)fputc('\n', out);
}

int prony_record_head(struct prony_journal *journal, const struct prony_run *run, const struct prony_watch *watch,
                      struct prony_error *error)
{
    struct prony_list same = {NULL, 0, 0};
    char *lines = NULL;
    size_t bytes = 0;
    FILE *out;
    int code;
    if (journal->fd < 0)
        return 0;
    code = run->topology == NULL ? 0 : prony_same_machine(run->topology, &same, error);
    if (code == 0)
        code = prony_same_plan(run, &same, error);
    if (code != 0)
        goto out;
    prony_journal_say(journal, "run\t%s\t%llu\t%u\t%lld", run->suite, (unsigned long long)run->method.seed, run->count,
                      (long long)run->started_s);
    out = open_memstream(&lines, &bytes);
    for (int i = 0; out != NULL && i < watch->argc; i++)
        put_word(out, watch->argv[i]);
    for (size_t i = 0; out != NULL && i < same.count; i++)
        (void)fprintf(out, "%s\n", same.item[i]);
    end(journal, out, &lines, &bytes);
    for (unsigned i = 0; i < run->count; i++)
        if (run->cells[i].outcome == PRONY_SKIPPED)
            prony_journal_say(journal, "skip\t%u\t%s", i, run->cells[i].reason.text);
out:
    prony_list_free(&same);
    return code;
}

void prony_record_warm_up(struct prony_journal *journal, unsigned number, const struct prony_answer *answer)
{
    char *lines = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&lines, &bytes);
    if (out != NULL) {
        (void)fprintf(out, "warm\t%u\t%lld\t%llu\t%u\t%s\t%u", number, (long long)answer->repeats,
                      (unsigned long long)answer->calibrate_ns, answer->warm_samples,
                      prony_course_name((enum prony_course)answer->course), answer->steady_from);
        put_samples(out, answer->warm_ns, answer->warm_samples);
    }
    end(journal, out, &lines, &bytes);
}

void prony_record_visit(struct prony_journal *journal, const struct prony_live *live, const struct prony_visit *visit)
{
    const struct prony_board *board = (const struct prony_board *)(const void *)live->client.arena.base;
    char *lines = NULL;
    size_t bytes = 0;
    FILE *out = journal->fd < 0 ? NULL : open_memstream(&lines, &bytes);
    if (out != NULL) {
        put_state(out, live);
        put_workers(out, live);
        put_events(out, live, board->events);
        put_times(out, live);
        put_visit(out, live->number, visit);
    }
    end(journal, out, &lines, &bytes);
}

void prony_record_rerun(struct prony_journal *journal, const struct prony_live *live, size_t events, int64_t samples,
                        const char *why)
{
    char *lines = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&lines, &bytes);
    if (out != NULL) {
        put_state(out, live);
        put_events(out, live, events);
        (void)fprintf(out, "rerun\t%u\t%lld\t", live->number, (long long)samples);
        put_text(out, why);
        (void)fputc('\n', out);
    }
    end(journal, out, &lines, &bytes);
}

void prony_record_calls(struct prony_journal *journal, const struct prony_live *live)
{
    const struct prony_cell *cell = live->cell;
    char *lines = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&lines, &bytes);
    if (out != NULL) {
        (void)fprintf(out, "calls\t%u\t%llu\t%lld\t%.12g\t%.12g\t%.12g", live->number,
                      (unsigned long long)cell->spent_ns, (long long)cell->called_messages, cell->calls.done,
                      cell->calls.futex, cell->calls.vain);
        for (unsigned i = 0; i < cell->workers; i++)
            (void)fprintf(out, "\t%.12g\t%.12g\t%.12g", cell->who[i].calls.done, cell->who[i].calls.futex,
                          cell->who[i].calls.vain);
        (void)fputc('\t', out);
        put_text(out, cell->calls_reason.text);
        (void)fputc('\n', out);
    }
    end(journal, out, &lines, &bytes);
}

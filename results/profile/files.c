/* A cell's profile on the disk: five files in profile/, written whole and bounded; and their exports for all cells. */
#include "results/profile/profile.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

enum { STEM_MOST = 120 };
static const char *const kinds[] = {"trace.json", "timeline.svg", "folded", "svg", "speedscope.json"};
enum { TRACE, TIMELINE, FOLDED, FLAME, SPEEDSCOPE };

/* A file name that says which cell it is: its number and what of its id a file name may hold. */
static char *stem_of(const struct prony_cell *cell, unsigned number)
{
    char *stem;
    if (asprintf(&stem, "%03u-%.*s", number + 1, STEM_MOST, cell->id) < 0)
        return NULL;
    for (char *at = stem; *at != '\0'; at++)
        if (isalnum((unsigned char)*at) == 0 && strchr("-_=.+", *at) == NULL)
            *at = '-';
    return stem;
}

static void who_line(const struct prony_cell *cell, unsigned worker, FILE *out)
{
    if (cell->who != NULL && cell->who[worker].pu >= 0)
        (void)fprintf(out, "worker %u (PU %d)", worker, cell->who[worker].pu);
    else
        (void)fprintf(out, "worker %u", worker);
}

static int folded_write(const struct prony_profile *profile, const struct prony_cell *cell, FILE *out)
{
    for (uint32_t i = 0; i < profile->folds && ftell(out) < PRONY_FOLDED_BYTES; i++) {
        who_line(cell, profile->fold[i].worker, out);
        (void)fprintf(out, ";%s %llu\n", profile->fold[i].stack, (unsigned long long)profile->fold[i].count);
    }
    return ferror(out) ? -EIO : 0;
}

static int write_one(int kind, const struct prony_profile *profile, const struct prony_cell *cell, unsigned number,
                     const struct prony_folded *folded, FILE *out)
{
    switch (kind) {
    case TRACE:
        return prony_trace_write(profile, cell, number, out);
    case TIMELINE:
        return prony_timeline_draw(profile, out);
    case FOLDED:
        return folded_write(profile, cell, out);
    case FLAME:
        return prony_flamegraph_write(folded, cell->id, out);
    default:
        return prony_speedscope_write(folded, cell->id, out);
    }
}

/* Room on the disk for what this profile may take at most. */
static int check_room(const char *folder, const struct prony_profile *profile, struct prony_error *error)
{
    struct statvfs disk;
    double wants = 400.0 * profile->stretches + 256e3, has;
    char needs[32], there[32];
    wants = fmin(wants, PRONY_TRACE_BYTES) + (profile->folds > 0 ? 1e6 : 0);
    if (statvfs(folder, &disk) != 0)
        return 0; /* writing will tell */
    has = (double)disk.f_bavail * (double)disk.f_frsize;
    if (has >= wants)
        return 0;
    return prony_fail(error, -ENOSPC, "the profile's files need %s and the disk of %s has %s",
                      prony_text_of_bytes(wants, needs, sizeof needs), folder,
                      prony_text_of_bytes(has, there, sizeof there));
}

int prony_profile_write(const struct prony_cell *cell, unsigned number, struct prony_profile *profile,
                        const char *folder, struct prony_error *error)
{
    struct prony_folded folded = {NULL, NULL, 0, 0};
    char *place = NULL, *path = NULL, *stem = stem_of(cell, number);
    int code = 0;
    if (stem == NULL || asprintf(&place, "%s/profile", folder) < 0)
        code = prony_fail(error, -ENOMEM, "no memory to write a profile");
    if (code == 0 && mkdir(place, 0777) != 0 && errno != EEXIST)
        code = prony_fail(error, -errno, "%s cannot be made: %s", place, strerrordesc_np(errno));
    if (code == 0)
        code = check_room(place, profile, error);
    for (int kind = TRACE; kind <= SPEEDSCOPE && code == 0; kind++) {
        struct prony_writing writing;
        char name[STEM_MOST + 40];
        if (kind >= FOLDED && profile->folds == 0)
            break;
        if (kind == FLAME && asprintf(&path, "%s/%s.folded", place, stem) > 0)
            code = prony_folded_read(&folded, path, NULL, error);
        (void)snprintf(name, sizeof name, "%s.%s", stem, kinds[kind]);
        if (code == 0)
            code = prony_writing_begin(&writing, place, name, error);
        if (code == 0)
            code = prony_writing_end(&writing, write_one(kind, profile, cell, number, &folded, writing.out), error);
    }
    prony_folded_free(&folded);
    free(place);
    free(path);
    if (code == 0)
        profile->digest.stem = stem;
    else
        free(stem);
    return code;
}

static json_t *spending_json(const struct prony_spending *who, unsigned worker)
{
    return json_pack("{s:i, s:o, s:o, s:o, s:o, s:o, s:o}", "worker", (int)worker, "busy_ns",
                     prony_json_count(who->busy_ns), "waiting_ns", prony_json_count(who->waiting_ns), "idle_ns",
                     prony_json_count(who->idle_ns), "overhead_ns", prony_json_count(who->overhead_ns), "tasks",
                     prony_json_count(who->tasks), "steals", prony_json_count(who->steals));
}

static json_t *reason_json(const struct prony_error *reason)
{
    return reason->code == 0 ? json_null() : prony_json_text(reason->text);
}

json_t *prony_digest_json(const struct prony_digest *digest, unsigned workers)
{
    json_t *who = json_array(), *recorded, *sampled;
    if (!digest->taken) {
        json_decref(who);
        return json_pack("{s:b, s:o}", "taken", 0, "reason", reason_json(&digest->reason));
    }
    for (unsigned i = 0; digest->who != NULL && i < workers; i++)
        (void)json_array_append_new(who, spending_json(&digest->who[i], i));
    recorded = json_pack("{s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "window_ns",
                         prony_json_count(digest->window_ns), "repeats", (json_int_t)digest->repeats, "notes",
                         prony_json_count(digest->notes), "overwritten", prony_json_count(digest->lost), "note_ns",
                         prony_json_real(digest->note_ns), "tasks", prony_json_count(digest->tasks), "steals",
                         prony_json_count(digest->steals), "critical_path_ns",
                         digest->tasks > 0 ? prony_json_count(digest->path_ns) : json_null(), "imbalance",
                         prony_json_real(digest->imbalance), "queued", prony_json_count(digest->queued), "queue_p50_ns",
                         prony_json_real(digest->queue_p50_ns), "queue_p99_ns", prony_json_real(digest->queue_p99_ns),
                         "workers", who);
    sampled = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "period_ns", prony_json_count(digest->period_ns), "samples",
                        prony_json_count(digest->samples), "dropped", prony_json_count(digest->dropped), "frames",
                        prony_json_count(digest->frames), "unnamed", prony_json_count(digest->unnamed), "reason",
                        reason_json(&digest->sampled_reason));
    return json_pack("{s:b, s:n, s:o, s:o, s:o, s:o}", "taken", 1, "reason", "files", prony_json_text(digest->stem),
                     "files_reason", reason_json(&digest->files_reason), "recorded", recorded, "sampled", sampled);
}

bool prony_profile_is_format(const char *format)
{
    return strcmp(format, "trace") == 0 || strcmp(format, "folded") == 0 || strcmp(format, "flamegraph") == 0 ||
           strcmp(format, "speedscope") == 0;
}

/* The events of one trace, without the object around them. */
static int trace_append(const char *path, bool *any, FILE *out, struct prony_error *error)
{
    char *text = NULL, *from, *to = NULL;
    size_t bytes;
    int code = prony_json_slurp(path, &text, &bytes, error);
    if (code != 0)
        return code;
    from = strstr(text, "[\n");
    for (char *at = from; at != NULL && (at = strstr(at, "\n]")) != NULL; at++)
        to = at;
    if (from != NULL && to != NULL && to > from + 2)
        (void)fprintf(out, "%s%.*s", *any ? ",\n" : "", (int)(to - from - 2), from + 2);
    *any = true;
    free(text);
    return 0;
}

static int export_cell(const json_t *cell, const char *folder, bool alone, const char *format, bool *any,
                       struct prony_folded *folded, FILE *out, struct prony_error *error)
{
    const char *stem = prony_json_string(json_object_get(cell, "profile"), "files");
    bool trace = strcmp(format, "trace") == 0;
    char *path;
    int code;
    if (asprintf(&path, "%s/profile/%s.%s", folder, stem, kinds[trace ? TRACE : FOLDED]) < 0)
        return prony_fail(error, -ENOMEM, "no memory to export a profile");
    code = trace ? trace_append(path, any, out, error)
                 : prony_folded_read(folded, path, alone ? NULL : prony_json_string(cell, "id"), error);
    if (code == -ENOENT && !trace && error != NULL) { /* only the timeline of this one was taken */
        *error = (struct prony_error){0, ""};
        code = 0;
    }
    free(path);
    return code;
}

int prony_profile_export(const struct prony_report *report, const char *format, FILE *out, struct prony_error *error)
{
    const json_t *cells = json_object_get(report->root, "cells"), *cell;
    const char *title = prony_json_string(json_object_get(report->root, "plan"), "suite");
    struct prony_folded folded = {NULL, NULL, 0, 0};
    bool trace = strcmp(format, "trace") == 0, any = false;
    unsigned n = 0;
    size_t i;
    int code = 0;
    json_array_foreach(cells, i, cell)
    {
        if (prony_json_string(json_object_get(cell, "profile"), "files")[0] == '\0')
            continue;
        n++;
        title =
            n == 1 ? prony_json_string(cell, "id") : prony_json_string(json_object_get(report->root, "plan"), "suite");
    }
    if (n == 0 || report->folder == NULL)
        return prony_fail(error, -ENODATA, "this report holds no profile: measure with `prony run --profile`");
    if (trace)
        (void)fputs("{\"displayTimeUnit\": \"ns\", \"traceEvents\": [\n", out);
    json_array_foreach(cells, i, cell)
    {
        if (code == 0 && prony_json_string(json_object_get(cell, "profile"), "files")[0] != '\0')
            code = export_cell(cell, report->folder, n == 1, format, &any, &folded, out, error);
    }
    if (trace)
        (void)fputs("\n]}\n", out);
    else if (code == 0 && folded.count == 0)
        code = prony_fail(error, -ENODATA, "this report holds no sampled profile; report.json says why");
    else if (code == 0 && strcmp(format, "folded") == 0)
        for (uint32_t k = 0; k < folded.count; k++)
            (void)fprintf(out, "%s %llu\n", folded.line[k].stack, (unsigned long long)folded.line[k].count);
    else if (code == 0)
        code = strcmp(format, "flamegraph") == 0 ? prony_flamegraph_write(&folded, title, out)
                                                 : prony_speedscope_write(&folded, title, out);
    prony_folded_free(&folded);
    return code;
}

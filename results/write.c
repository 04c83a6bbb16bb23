/* Writing: each file whole beside its place, then renamed over it; a failure leaves what was there before. */
#include "results/model.h"
#include "results/profile/profile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int dump_value(const json_t *root, const char *key, size_t indent, FILE *out)
{
    (void)fprintf(out, "\"%s\": ", key);
    return json_dumpf(json_object_get(root, key), out, indent | JSON_ENCODE_ANY | JSON_REAL_PRECISION(12));
}

static bool is_written_above(const char *key)
{
    static const char *const above[] = {"schema", "tool", "context", "plan", "cells"};
    for (size_t i = 0; i < sizeof above / sizeof above[0]; i++)
        if (strcmp(key, above[i]) == 0)
            return true;
    return false;
}

int prony_report_dump(const struct prony_report *report, FILE *out)
{
    const json_t *cell;
    json_t *value;
    const char *key;
    size_t i;
    int bad = 0;
    (void)fprintf(out, "{\"schema\": \"%s\",\n", PRONY_REPORT_SCHEMA);
    bad |= dump_value(report->root, "tool", JSON_INDENT(1), out);
    bad |= fputs(",\n", out) < 0;
    bad |= dump_value(report->root, "context", JSON_INDENT(1), out);
    bad |= fputs(",\n", out) < 0;
    bad |= dump_value(report->root, "plan", JSON_INDENT(1), out);
    bad |= fputs(",\n\"cells\": [", out) < 0;
    json_array_foreach(json_object_get(report->root, "cells"), i, cell)
    {
        bad |= fputs(i == 0 ? "\n" : ",\n", out) < 0;
        bad |= json_dumpf(cell, out, JSON_COMPACT | JSON_REAL_PRECISION(12));
    }
    bad |= fputs("\n]", out) < 0;
    json_object_foreach(report->root, key, value)
    {
        if (is_written_above(key))
            continue;
        bad |= fputs(",\n", out) < 0;
        bad |= dump_value(report->root, key, JSON_COMPACT, out);
    }
    bad |= fputs("}\n", out) < 0;
    return bad != 0 || ferror(out) ? -EIO : 0;
}

static int page_alone(const struct prony_report *report, FILE *out)
{
    struct prony_plots none = {0, NULL,
                               "this page was exported alone; `prony report FOLDER -o NEW` draws its plots, too"};
    return prony_report_page(report, NULL, &none, out);
}

static const struct format {
    const char *name;
    int (*write)(const struct prony_report *report, FILE *out);
} formats[] = {
    {"html", page_alone},
    {"md", prony_report_markdown},
    {"json", prony_report_dump},
    {"csv", prony_report_csv},
    {"junit", prony_report_junit},
    {"gab", prony_report_gab},
    {"gab-bigger", prony_report_gab_bigger},
    {"bmf", prony_report_bmf},
    {"gbench", prony_report_gbench},
    {"openmetrics", prony_report_openmetrics},
};

static const struct format *format_find(const char *name, struct prony_error *error)
{
    static const char *const of_profiles[] = {"trace", "folded", "flamegraph", "speedscope"};
    enum { PLAIN = sizeof formats / sizeof formats[0], PROFILES = sizeof of_profiles / sizeof of_profiles[0] };
    const char *names[PLAIN + PROFILES + 1] = {NULL};
    char hint[120], known[200] = "";
    for (size_t i = 0; i < PLAIN + PROFILES; i++) {
        size_t used = strlen(known);
        names[i] = i < PLAIN ? formats[i].name : of_profiles[i - PLAIN];
        if (i < PLAIN && strcmp(names[i], name) == 0)
            return &formats[i];
        (void)snprintf(known + used, sizeof known - used, "%s%s", i > 0 ? ", " : "", names[i]);
    }
    (void)prony_fail(error, -EINVAL, "unknown format '%s'%s (known: %s)", name,
                     prony_text_nearest(name, names, hint, sizeof hint), known);
    return NULL;
}

int prony_report_format_check(const char *format, struct prony_error *error)
{
    return prony_profile_is_format(format) || format_find(format, error) != NULL ? 0 : -EINVAL;
}

int prony_report_export(const struct prony_report *report, const char *format, FILE *out, struct prony_error *error)
{
    const struct format *known;
    int code;
    if (prony_profile_is_format(format)) {
        code = prony_profile_export(report, format, out, error);
        return code == 0 && fflush(out) != 0 ? prony_fail(error, -EIO, "cannot write the profile as %s", format) : code;
    }
    known = format_find(format, error);
    if (known == NULL)
        return -EINVAL;
    errno = 0;
    code = known->write(report, out);
    if (fflush(out) != 0 || ferror(out))
        code = errno != 0 ? -errno : -EIO;
    return code == 0 ? 0 : prony_fail(error, code, "cannot write the report as %s: %s", format, strerrordesc_np(-code));
}

int prony_writing_begin(struct prony_writing *writing, const char *folder, const char *name, struct prony_error *error)
{
    int fd;
    memset(writing, 0, sizeof *writing);
    if (asprintf(&writing->path, "%s/%s", folder, name) < 0 ||
        asprintf(&writing->temporary, "%s/.%s.XXXXXX", folder, name) < 0)
        return prony_fail(error, -ENOMEM, "no memory to write %s", name);
    fd = mkostemp(writing->temporary, O_CLOEXEC);
    if (fd < 0)
        return prony_fail(error, -errno, "cannot write %s: %s", writing->path, strerrordesc_np(errno));
    (void)fchmod(fd, 0644);
    writing->out = fdopen(fd, "w");
    if (writing->out == NULL) {
        (void)close(fd);
        (void)unlink(writing->temporary);
        return prony_fail(error, -ENOMEM, "no memory to write %s", name);
    }
    return 0;
}

int prony_writing_end(struct prony_writing *writing, int code, struct prony_error *error)
{
    if (writing->out != NULL) {
        errno = 0;
        if ((code == 0 || code == -EIO) && (fflush(writing->out) != 0 || fsync(fileno(writing->out)) != 0))
            code = errno != 0 ? -errno : -EIO; /* the stream's own reason is better than "something was not written" */
        if (code == 0 && ferror(writing->out))
            code = -EIO;
        if (fclose(writing->out) != 0 && code == 0)
            code = -errno;
        if (code == 0 && rename(writing->temporary, writing->path) != 0)
            code = -errno;
        if (code != 0) {
            (void)unlink(writing->temporary);
            (void)prony_fail(error, code, "cannot write %s: %s", writing->path, strerrordesc_np(-code));
        }
    }
    free(writing->path);
    free(writing->temporary);
    return code;
}

static int json_write(const struct prony_report *report, const char *folder, struct prony_error *error)
{
    struct prony_writing writing;
    int code = prony_writing_begin(&writing, folder, "report.json", error);
    return prony_writing_end(&writing, code == 0 ? prony_report_dump(report, writing.out) : code, error);
}

static int xml_write(const struct prony_report *report, const char *folder, struct prony_error *error)
{
    struct prony_writing writing;
    int code;
    if (report->xml == NULL)
        return 0;
    code = prony_writing_begin(&writing, folder, "topology.xml", error);
    return prony_writing_end(&writing, code == 0 && fputs(report->xml, writing.out) < 0 ? -EIO : code, error);
}

static int page_write(const struct prony_report *report, const char *folder, const char *drawn,
                      const struct prony_plots *plots, struct prony_error *error)
{
    struct prony_writing writing;
    int code = prony_writing_begin(&writing, folder, "report.html", error);
    return prony_writing_end(&writing, code == 0 ? prony_report_page(report, drawn, plots, writing.out) : code, error);
}

/* Removes a folder of files; folders in it are not ours and stay, with it. */
static void folder_remove(const char *folder)
{
    DIR *entries = opendir(folder);
    for (struct dirent *entry; entries != NULL && (entry = readdir(entries)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            (void)unlinkat(dirfd(entries), entry->d_name, 0);
    if (entries != NULL)
        (void)closedir(entries);
    (void)rmdir(folder);
}

/* Puts the new plots in the place of the old ones. */
static int plots_place(const char *drawn, const char *folder, struct prony_error *error)
{
    char *place, *old;
    int code = 0;
    if (asprintf(&place, "%s/plots", folder) < 0)
        return prony_fail(error, -ENOMEM, "no memory to place the plots");
    if (asprintf(&old, "%s.old", drawn) < 0) {
        free(place);
        return prony_fail(error, -ENOMEM, "no memory to place the plots");
    }
    if (rename(place, old) != 0 && errno != ENOENT)
        code = prony_fail(error, -errno, "cannot replace %s: %s", place, strerrordesc_np(errno));
    else if (rename(drawn, place) != 0)
        code = prony_fail(error, -errno, "cannot write %s: %s", place, strerrordesc_np(errno));
    folder_remove(old);
    free(place);
    free(old);
    return code;
}

int prony_report_write(const struct prony_report *report, const char *folder, struct prony_error *error)
{
    struct prony_plots plots = {0};
    char *drawn = NULL;
    int code = json_write(report, folder, error);
    if (code == 0)
        code = xml_write(report, folder, error);
    if (code != 0)
        return code;
    if (asprintf(&drawn, "%s/.plots.XXXXXX", folder) < 0)
        return prony_fail(error, -ENOMEM, "no memory to write the plots");
    if (mkdtemp(drawn) == NULL) {
        code = prony_fail(error, -errno, "cannot write plots in %s: %s", folder, strerrordesc_np(errno));
        free(drawn);
        return code;
    }
    (void)chmod(drawn, 0755);
    code = prony_plots_draw(report, drawn, &plots, error);
    if (code == 0)
        code = page_write(report, folder, drawn, &plots, error);
    if (code == 0)
        code = plots_place(drawn, folder, error);
    if (code != 0)
        folder_remove(drawn);
    free(plots.plot);
    free(drawn);
    return code;
}

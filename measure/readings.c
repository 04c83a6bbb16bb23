#include "measure/readings.h"
#include "stats/stats.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_named(const struct prony_reading *reading, const char *benchmark, const char *metric)
{
    return strcmp(reading->benchmark, benchmark) == 0 && strcmp(reading->metric, metric) == 0;
}

const struct prony_reading *prony_readings_find(const struct prony_readings *readings, const char *benchmark,
                                                const char *metric, size_t near)
{
    if (near < readings->count && is_named(&readings->item[near], benchmark, metric))
        return &readings->item[near];
    for (size_t i = 0; i < readings->count; i++)
        if (is_named(&readings->item[i], benchmark, metric))
            return &readings->item[i];
    return NULL;
}

static struct prony_reading *make(struct prony_readings *readings, const char *benchmark, const char *metric)
{
    struct prony_reading *made;
    if (readings->count == readings->room) {
        size_t room = readings->room == 0 ? 8 : 2 * readings->room;
        struct prony_reading *grown = realloc(readings->item, room * sizeof *grown);
        if (grown == NULL)
            return NULL;
        readings->item = grown;
        readings->room = room;
    }
    made = &readings->item[readings->count];
    *made = (struct prony_reading){.benchmark = strdup(benchmark), .metric = strdup(metric), .value = NAN};
    readings->count++;
    return made->benchmark != NULL && made->metric != NULL ? made : NULL;
}

int prony_readings_add(struct prony_readings *readings, const char *benchmark, const char *metric, double sample,
                       struct prony_error *error)
{
    const struct prony_reading *known = prony_readings_find(readings, benchmark, metric, readings->last);
    struct prony_reading *reading = known != NULL ? readings->item + (known - readings->item) : NULL;
    if (reading == NULL)
        reading = make(readings, benchmark, metric);
    if (reading != NULL && reading->count == reading->room) {
        size_t room = reading->room == 0 ? 4 : 2 * reading->room;
        double *grown = realloc(reading->samples, room * sizeof *grown);
        if (grown != NULL) {
            reading->samples = grown;
            reading->room = room;
        }
    }
    if (reading == NULL || reading->count == reading->room)
        return prony_fail(error, -ENOMEM, "no memory for what a command says");
    readings->last = (size_t)(reading - readings->item);
    reading->samples[reading->count++] = sample;
    return 0;
}

static double best(const double *samples, size_t count, bool higher)
{
    double found = samples[0];
    for (size_t i = 1; i < count; i++)
        found = higher ? fmax(found, samples[i]) : fmin(found, samples[i]);
    return found;
}

int prony_readings_reduce(struct prony_readings *readings, const char *metric, enum prony_reduce reduce, bool higher,
                          struct prony_error *error)
{
    for (size_t i = 0; i < readings->count; i++) {
        struct prony_reading *reading = &readings->item[i];
        bool primary = strcmp(reading->metric, metric) == 0;
        for (size_t j = 0; primary && j < reading->count; j++)
            if (!isfinite(reading->samples[j]) || reading->samples[j] <= 0)
                return prony_fail(error, -EINVAL, "%s: its %s is %g, and only a number above zero can be compared",
                                  reading->benchmark, metric, reading->samples[j]);
        reading->value = primary && reduce == PRONY_BEST ? best(reading->samples, reading->count, higher)
                                                         : prony_median(reading->samples, reading->count);
    }
    return 0;
}

void prony_readings_free(struct prony_readings *readings)
{
    for (size_t i = 0; i < readings->count; i++) {
        free(readings->item[i].benchmark);
        free(readings->item[i].metric);
        free(readings->item[i].samples);
    }
    free(readings->item);
    memset(readings, 0, sizeof *readings);
}

int prony_read_wall(void *context, const struct prony_launched *launched, struct prony_readings *readings,
                    struct prony_error *error)
{
    const char *benchmark = context;
    int code = prony_readings_add(readings, benchmark, "time", (double)launched->wall_ns, error);
    if (code == 0)
        code = prony_readings_add(readings, benchmark, "cpu", (double)(launched->user_ns + launched->system_ns), error);
    if (code == 0 && launched->max_rss_bytes > 0)
        code = prony_readings_add(readings, benchmark, "rss", (double)launched->max_rss_bytes, error);
    return code;
}

/* Takes one line, which ends with a NUL: NUMBER or NAME NUMBER. */
static int read_line(char *line, unsigned number, const char *metric, struct prony_readings *readings,
                     struct prony_error *error)
{
    char *end = line + strlen(line), *word, *rest;
    double value;
    while (end > line && strchr(" \t\r", end[-1]) != NULL)
        *--end = '\0';
    line += strspn(line, " \t");
    if (*line == '\0')
        return 0;
    for (word = end; word > line && strchr(" \t", word[-1]) == NULL;)
        word--;
    errno = 0;
    value = strtod(word, &rest);
    if (*rest != '\0' || rest == word)
        return prony_fail(error, -EINVAL, "line %u of its output is no number: \"%.60s\"", number, line);
    for (end = word; end > line && strchr(" \t", end[-1]) != NULL;)
        *--end = '\0';
    return prony_readings_add(readings, word == line ? "number" : line, metric, value, error);
}

int prony_read_numbers(void *context, const struct prony_launched *launched, struct prony_readings *readings,
                       struct prony_error *error)
{
    char *text = strdup(launched->output), *line, *rest = text;
    unsigned number = 0;
    int code = text == NULL ? prony_fail(error, -ENOMEM, "no memory for what a command says") : 0;
    while (code == 0 && (line = strsep(&rest, "\n")) != NULL)
        code = read_line(line, ++number, context, readings, error);
    free(text);
    if (code == 0 && readings->count == 0)
        return prony_fail(error, -EINVAL, "it printed no number");
    return code;
}

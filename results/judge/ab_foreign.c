/* A paired comparison for tools that keep trends: github-action-benchmark and Bencher. They keep one value a benchmark:
 * the head's median of the primary metric; the verdict and the change stand beside it where the format has a place. */
#include "results/judge/ab.h"
#include "results/model.h"

#include <errno.h>
#include <math.h>
#include <string.h>

static bool is_told(const struct prony_ab_series *series)
{
    return series->primary && isfinite(series->median[PRONY_HEAD]);
}

int prony_ab_gab(const struct prony_ab_telling *telling, FILE *out)
{
    const struct prony_ab *ab = telling->ab;
    json_t *rows = json_array();
    for (unsigned i = 0; i < ab->main.series_count; i++) {
        const struct prony_ab_series *series = &ab->main.series[i];
        char extra[160];
        if (!is_told(series))
            continue;
        (void)snprintf(extra, sizeof extra, "%u pairs with base: %s", ab->main.pairs,
                       ab->status == PRONY_AB_JUDGED ? prony_verdict_name(ab->verdict[i]) : "not judged");
        (void)json_array_append_new(rows, json_pack("{s:o, s:s, s:f, s:s}", "name", prony_json_text(series->benchmark),
                                                    "unit", prony_ab_unit(telling->read, series->metric), "value",
                                                    series->median[PRONY_HEAD], "extra", extra));
    }
    return prony_json_print_free(rows, out);
}

int prony_ab_bmf(const struct prony_ab_telling *telling, FILE *out)
{
    const struct prony_ab *ab = telling->ab;
    json_t *root = json_object();
    for (unsigned i = 0; i < ab->main.series_count; i++) {
        const struct prony_ab_series *series = &ab->main.series[i];
        if (is_told(series))
            (void)json_object_set_new(root, series->benchmark,
                                      json_pack("{s:{s:f}}", telling->plan->higher ? "throughput" : "latency", "value",
                                                series->median[PRONY_HEAD]));
    }
    return prony_json_print_free(root, out);
}

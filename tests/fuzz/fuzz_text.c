/* What people type: numbers, durations, lists, words of a command line, placements, formulas. */
#include "tests/fuzz/fuzz.h"

#include "base/params.h"
#include "base/words.h"
#include "measure/groups.h"
#include "topology/topology.h"

#include <math.h>

/* What was quoted is one word again. */
static void quoted(const char *text)
{
    struct prony_list words = {NULL, 0, 0};
    char *quote = prony_words_quote(text);
    FUZZ_CHECK(quote != NULL);
    FUZZ_CHECK(prony_words_split(quote, &words, NULL) == 0);
    FUZZ_CHECK(words.count == 1 && strcmp(words.item[0], text) == 0);
    prony_list_free(&words);
    free(quote);
}

static void numbers(const char *text)
{
    struct prony_error error = {0, ""};
    int64_t integer = 0;
    double real = 0;
    if (prony_text_integer(text, &integer, &error) != 0)
        FUZZ_CHECK(error.text[0] != '\0');
    if (prony_text_duration(text, &integer, &error) == 0)
        FUZZ_CHECK(integer >= 0);
    if (prony_text_real(text, &real, &error) == 0)
        FUZZ_CHECK(isfinite(real));
    if (prony_text_percent(text, &real, &error) == 0)
        FUZZ_CHECK(isfinite(real));
}

static void options(const char *text)
{
    static const char *const choices[] = {"block", "spin", NULL};
    static const struct prony_option table[] = {
        {"items", PRONY_INT, "1k", 1, 1e9, NULL, ""},       {"size", PRONY_BYTES, "64", 0, 1e9, NULL, ""},
        {"rate", PRONY_REAL, "1", 0, 1e9, NULL, ""},        {"pause", PRONY_DURATION, "1us", 0, 1e9, NULL, ""},
        {"wait", PRONY_CHOICE, "block", 0, 0, choices, ""}, {"checked", PRONY_BOOL, "yes", 0, 0, NULL, ""},
        {"path", PRONY_TEXT, "", 0, 0, NULL, ""},           {NULL, PRONY_INT, NULL, 0, 0, NULL, NULL},
    };
    struct prony_params params;
    struct prony_error error = {0, ""};
    FUZZ_CHECK(prony_params_init(&params, table, &error) == 0);
    for (unsigned i = 0; table[i].name != NULL; i++)
        if (prony_params_set(&params, table[i].name, text, &error) != 0)
            FUZZ_CHECK(error.text[0] != '\0');
    (void)prony_params_set(&params, text, "1", &error);
    FUZZ_CHECK(prony_param_int(&params, "items") >= 1 && prony_param_int(&params, "items") <= 1000000000);
    prony_params_free(&params);
}

static void placed(const struct prony_topology *topology, const char *text)
{
    struct prony_error error = {0, ""};
    struct prony_placement placement;
    int code = prony_topology_place(topology, text, 3, false, &placement, &error);
    if (code == 0) {
        FUZZ_CHECK(prony_topology_policy_check(text, &error) == 0);
        for (unsigned i = 0; i < placement.workers; i++)
            FUZZ_CHECK(placement.pus[i] >= -1 && placement.pus[i] < 8);
        prony_placement_free(&placement);
    } else {
        FUZZ_CHECK(error.text[0] != '\0');
    }
}

static void formula(const char *text)
{
    static const char *const names[] = {"instructions", "cycles", "items"};
    static const double values[] = {12, 4, 0};
    struct prony_error error = {0, ""};
    if (prony_formula_check(text, names, 3, &error) == 0)
        (void)prony_formula_value(text, names, values, 3);
    else
        FUZZ_CHECK(isnan(prony_formula_value(text, names, values, 3)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct prony_topology *topology;
    struct prony_list list = {NULL, 0, 0};
    struct prony_error error = {0, ""};
    char *text = fuzz_text(data, size);
    if (topology == NULL)
        FUZZ_CHECK(prony_topology_load("synthetic:package:2 core:2 pu:2", &topology, &error) == 0);
    numbers(text);
    quoted(text);
    options(text);
    placed(topology, text);
    formula(text);
    (void)prony_list_split(&list, text, ',', &error);
    (void)prony_words_split(text, &list, &error);
    prony_list_free(&list);
    free(text);
    return 0;
}

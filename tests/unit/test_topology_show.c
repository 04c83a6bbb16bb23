/* The tree in words and as a drawing. */
#include "topology/topology.h"

#include <ctype.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HYBRID FIXTURES "/topology/hybrid.xml"

typedef int show_fn(const struct prony_topology *, const struct prony_placement *, FILE *, struct prony_error *);

/* What is shown, malloc'ed. policy NULL: no placement. */
static char *shown(show_fn *show, const char *source, const char *policy, unsigned workers)
{
    struct prony_topology *topology;
    struct prony_placement placement = {.pus = NULL};
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    assert_non_null(out);
    assert_int_equal(prony_topology_load(source, &topology, NULL), 0);
    if (policy != NULL)
        assert_int_equal(prony_topology_place(topology, policy, workers, true, &placement, NULL), 0);
    assert_int_equal(show(topology, policy == NULL ? NULL : &placement, out, NULL), 0);
    assert_int_equal(fclose(out), 0);
    prony_placement_free(&placement);
    prony_topology_free(topology);
    return text;
}

static void test_tree(void **state)
{
    static const char known[] = "Machine: 8 PUs in 6 cores, Hybrid <4E+2P> & fixture\n"
                                "  not this system: workers can be planned, not bound\n"
                                "  placement core: 7 workers, oversubscribed\n"
                                "  Package 0\n"
                                "    Node 0 (16.0 GiB)\n"
                                "    L3 0 (24.0 MiB)\n"
                                "      L2 0 (4.00 MiB)\n"
                                "        L1d 0 (32.0 KiB), Core 0, PU 0, kind 2 of 2  <- worker 2\n"
                                "        L1d 1 (32.0 KiB), Core 1, PU 1, kind 2 of 2  <- worker 3\n"
                                "        L1d 2 (32.0 KiB), Core 2, PU 2, kind 2 of 2  <- worker 4\n"
                                "        L1d 3 (32.0 KiB), Core 3, PU 3, kind 2 of 2  <- worker 5\n"
                                "      L2 1 (2.00 MiB), L1d 4 (32.0 KiB), Core 4\n"
                                "        PU 4, kind 1 of 2 (preferred)  <- workers 0, 6\n"
                                "        PU 5\n"
                                "      L2 2 (2.00 MiB), L1d 5 (32.0 KiB), Core 5\n"
                                "        PU 6, kind 1 of 2 (preferred)  <- worker 1\n"
                                "        PU 7\n";
    char *text = shown(prony_topology_print, HYBRID, "core", 7);
    (void)state;
    assert_string_equal(text, known);
    free(text);
}

static void test_columns(void **state)
{
    static const char *const sources[] = {
        NULL, HYBRID, "synthetic:pack:4 [numa] l3:8 core:16 pu:2",
        "synthetic:group:2 group:2 group:2 pack:2 group:2 group:2 l3:2 l2:2 core:2 pu:2"};
    (void)state;
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        char *text = shown(prony_topology_print, sources[i], "compact", 3000);
        for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1)
            assert_in_range(strcspn(line, "\n"), 1, 80);
        free(text);
        text = shown(prony_topology_print, sources[i], NULL, 0);
        assert_null(strstr(text, "worker "));
        free(text);
    }
}

static unsigned occurrences(const char *text, const char *words)
{
    unsigned n = 0;
    for (; (text = strstr(text, words)) != NULL; text++)
        n++;
    return n;
}

/* Tags close in order, and no bare & or < is left in the words. */
static void check_form(const char *text)
{
    char open[64][16];
    unsigned depth = 0;
    while ((text = strpbrk(text, "<&")) != NULL) {
        size_t length;
        if (*text == '&') {
            assert_true(strncmp(text, "&lt;", 4) == 0 || strncmp(text, "&amp;", 5) == 0);
            text++;
            continue;
        }
        length = strspn(text + 1, "/abcdefghijklmnopqrstuvwxyz");
        assert_in_range(length, 1, 15);
        if (text[1] == '/') {
            assert_true(depth > 0);
            depth--;
            assert_int_equal(strlen(open[depth]), length - 1);
            assert_memory_equal(open[depth], text + 2, length - 1);
        } else if (strchr(text, '>')[-1] != '/') {
            assert_true(depth < 64);
            memcpy(open[depth], text + 1, length);
            open[depth++][length] = '\0';
        }
        text = strchr(text, '>');
    }
    assert_int_equal(depth, 0);
}

static void test_drawing(void **state)
{
    char *text = shown(prony_topology_svg, HYBRID, "spread", 10);
    (void)state;
    check_form(text);
    assert_int_equal(occurrences(text, "<title>PU "), 8);
    assert_int_equal(occurrences(text, "class=\"pt-core\""), 6);
    assert_int_equal(occurrences(text, "class=\"pt-pu pt-used"), 8);
    assert_int_equal(occurrences(text, "class=\"pt-pu pt-used pt-twice\""), 2);
    assert_non_null(strstr(text, "<title>PU 4: workers 0, 8</title>"));
    assert_non_null(strstr(text, "Hybrid &lt;4E+2P> &amp; fixture"));
    assert_non_null(strstr(text, "prefers-color-scheme:dark"));
    free(text);
    text = shown(prony_topology_svg, "synthetic:pack:4 [numa] l3:8 core:16 pu:2", NULL, 0);
    check_form(text);
    assert_int_equal(occurrences(text, "<title>PU "), 1024);
    assert_int_equal(occurrences(text, "class=\"pt-pu pt-used"), 0);
    free(text);
    text = shown(prony_topology_svg, NULL, "none", 2);
    check_form(text);
    assert_int_equal(occurrences(text, "class=\"pt-pu pt-used"), 0);
    free(text);
}

static void test_full(void **state)
{
    struct prony_topology *topology;
    show_fn *const shows[] = {prony_topology_print, prony_topology_svg};
    (void)state;
    assert_int_equal(prony_topology_load("synthetic:pack:2 core:2 pu:1", &topology, NULL), 0);
    for (int i = 0; i < 2; i++) {
        struct prony_error error = {0, ""};
        FILE *full = fopen("/dev/full", "w");
        assert_non_null(full);
        assert_int_equal(shows[i](topology, NULL, full, &error), -EIO);
        assert_non_null(strstr(error.text, "No space left"));
        (void)fclose(full);
    }
    prony_topology_free(topology);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tree), cmocka_unit_test(test_columns),
                                       cmocka_unit_test(test_drawing), cmocka_unit_test(test_full)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

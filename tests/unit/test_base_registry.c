/* The registry: built-in plug-ins, and shared objects good and bad. Those are compiled here, with cc. */
#include "base/registry.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/prony-registry-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    char command[128];
    (void)state;
    (void)snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static const char *in_folder(const char *name)
{
    static char path[4][128];
    static unsigned turn;
    char *mine = path[turn++ % 4];
    (void)snprintf(mine, sizeof path[0], "%s/%s", folder, name);
    return mine;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* Compiles the text into NAME.so, private to the owner. */
static const char *compile(const char *name, const char *text)
{
    char command[512], object[64];
    const char *source = in_folder("plugin.c"), *path;
    (void)snprintf(object, sizeof object, "%s.so", name);
    path = in_folder(object);
    write_file(source, text);
    (void)snprintf(command, sizeof command, "cc -shared -fPIC -I %s/../../include -o %s %s", FIXTURES, path, source);
    if (system("command -v cc >/dev/null") != 0)
        skip();
    assert_int_equal(system(command), 0);
    return path;
}

static void refused(const char *path, int code, const char *words)
{
    struct prony_error error = {0, ""};
    const struct prony_head *head = NULL;
    assert_int_equal(prony_registry_load(path, NULL, &head, &error), code);
    assert_null(head);
    if (strstr(error.text, words) == NULL)
        fail_msg("'%s' lacks '%s'", error.text, words);
}

static void builtin_ones_are_whole(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < PRONY_KINDS; kind++) {
        const struct prony_head *head;
        unsigned i = 0;
        for (; (head = prony_registry_at((enum prony_kind)kind, i)) != NULL; i++) {
            assert_int_equal(head->abi, PRONY_ABI);
            assert_true(head->name[0] != '\0');
            assert_ptr_equal(prony_registry_find((enum prony_kind)kind, head->name, NULL), head);
            assert_null(prony_registry_path(head));
            assert_int_equal(prony_registry_fd(head), -1);
        }
        assert_true(i > 0);
    }
}

static void unknown_names_offer_the_nearest(void **state)
{
    struct prony_error error = {0, ""};
    (void)state;
    assert_null(prony_find_engine("nul", &error));
    assert_int_equal(error.code, -ENOENT);
    assert_non_null(strstr(error.text, "null"));
    assert_non_null(strstr(error.text, "prony list engines"));
    assert_null(prony_find_workload("empyt", &error));
    assert_non_null(strstr(error.text, "did you mean empty?"));
    assert_null(prony_find_channel("pipes and drums", &error));
    assert_null(prony_find_provider("", &error));
}

static void a_good_one_loads_once(void **state)
{
    const char *path = compile("mine", "#include <prony/plugin/workload.h>\n"
                                       "PRONY_EXPORT(workload, mine) = {.head = PRONY_HEAD(struct prony_workload, "
                                       ".name = \"mine\", .summary = \"a good one\")};\n");
    const struct prony_head *head = NULL;
    struct prony_error error = {0, ""};
    (void)state;
    if (prony_registry_load(path, "mine.so", &head, &error) != 0)
        fail_msg("%s", error.text);
    assert_string_equal(head->name, "mine");
    assert_ptr_equal(prony_find_workload("mine", NULL), head);
    assert_string_equal(prony_registry_path(head), "mine.so");
    assert_true(prony_registry_fd(head) >= 0);
    assert_null(prony_find_engine("mine", NULL));
    refused(path, -EEXIST, "already");
}

static void bad_ones_are_refused_before_they_run(void **state)
{
    const char *path;
    (void)state;
    refused("/none/such.so", -ENOENT, "cannot be read");
    refused(folder, -EINVAL, "not a file");
    path = in_folder("text.so");
    write_file(path, "no shared object\n");
    refused(path, -ENOEXEC, "cannot be loaded");
    path = in_folder("empty.so");
    write_file(path, "");
    refused(path, -ENOEXEC, "cannot be loaded");
    refused(compile("bare", "int nothing;\n"), -ENOEXEC, "exports none of");
    refused(compile("abi",
                    "#include <prony/plugin/engine.h>\n"
                    "PRONY_EXPORT(engine, e) = {.head = {.abi = PRONY_ABI + 1, .size = sizeof(struct prony_engine), "
                    ".name = \"e\", .summary = \"\"}};\n"),
            -EPROTO, "build it again");
    refused(compile("size",
                    "#include <prony/plugin/engine.h>\n"
                    "PRONY_EXPORT(engine, e) = {.head = {.abi = PRONY_ABI, .size = 8, .name = \"e\", .summary = "
                    "\"\"}};\n"),
            -EPROTO, "build it again");
    refused(compile("nameless",
                    "#include <prony/plugin/engine.h>\n"
                    "PRONY_EXPORT(engine, e) = {.head = PRONY_HEAD(struct prony_engine, .summary = \"\")};\n"),
            -EPROTO, "no name");
    refused(compile("taken", "#include <prony/plugin/engine.h>\n"
                             "PRONY_EXPORT(engine, e) = {.head = PRONY_HEAD(struct prony_engine, .name = \"serial\", "
                             ".summary = \"\")};\n"),
            -EEXIST, "already");
    refused(compile("unresolved", "#include <prony/plugin/engine.h>\nint no_such_function(void);\n"
                                  "int call(void) { return no_such_function(); }\n"
                                  "PRONY_EXPORT(engine, e) = {.head = PRONY_HEAD(struct prony_engine, .name = \"e\", "
                                  ".summary = \"\")};\n"),
            -ENOEXEC, "no_such_function");
}

static void a_file_that_others_write_is_refused(void **state)
{
    const char *path = compile("open", "int nothing;\n");
    (void)state;
    assert_int_equal(chmod(path, 0757), 0);
    refused(path, -EACCES, "chmod o-w");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(builtin_ones_are_whole),
        cmocka_unit_test(unknown_names_offer_the_nearest),
        cmocka_unit_test(a_good_one_loads_once),
        cmocka_unit_test(bad_ones_are_refused_before_they_run),
        cmocka_unit_test(a_file_that_others_write_is_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

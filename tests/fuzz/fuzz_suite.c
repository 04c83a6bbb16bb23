/* Suites: read, or refused with the place of the mistake. */
#include "tests/fuzz/fuzz.h"

#include "results/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct prony_row *rows = NULL;
    struct prony_method method = {.visits = 9, .samples = 4, .launches = 3};
    struct prony_error error = {0, ""};
    char *summary = NULL, path[32];
    unsigned n = 0;
    int fd = fuzz_file(data, size, path);
    if (prony_suite_read(path, &rows, &n, &method, &summary, &error) != 0) {
        FUZZ_CHECK(rows == NULL && summary == NULL && error.text[0] != '\0');
    } else {
        FUZZ_CHECK(n > 0 && method.visits > 0);
        for (unsigned i = 0; i < n; i++)
            prony_row_free(&rows[i]);
    }
    free(rows);
    free(summary);
    (void)close(fd);
    return 0;
}

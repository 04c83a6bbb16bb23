/* What the commands of `prony ab` print: the first byte chooses the reader, the rest is the output. */
#include "tests/fuzz/fuzz.h"

#include "results/judge/ab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct prony_read_field field = {"benchmarks.0.real_time", "time"};
    const struct {
        prony_read_fn *read;
        void *context;
    } readers[] = {{prony_read_gbench, NULL},
                   {prony_read_report, NULL},
                   {prony_read_field, &field},
                   {prony_read_numbers, (void *)(uintptr_t) "value"}};
    struct prony_launched launched = {0};
    struct prony_readings readings = {NULL, 0, 0, 0};
    struct prony_error error = {0, ""};
    unsigned reader;
    if (size == 0)
        return 0;
    reader = data[0] % 4;
    launched.output = fuzz_text(data + 1, size - 1);
    launched.output_bytes = size - 1;
    if (readers[reader].read(readers[reader].context, &launched, &readings, &error) != 0)
        FUZZ_CHECK(error.text[0] != '\0');
    else
        (void)prony_readings_reduce(&readings, "time", PRONY_MEDIAN, false, &error);
    prony_readings_free(&readings);
    free(launched.output);
    return 0;
}

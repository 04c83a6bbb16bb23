/* Journals of runs that are to go on: read back and restored into their plan, or refused with a reason; what came back is
 * sound, and a report can be made of it. */
#include "tests/fuzz/fuzz.h"

#include "measure/plan.h"
#include "measure/resume.h"
#include "results/report.h"

static struct prony_list list_of(const char *text)
{
    struct prony_list list = {NULL, 0, 0};
    FUZZ_CHECK(prony_list_add(&list, text, strlen(text)) == 0);
    return list;
}

/* The plan of the corpus: empty on threads with the times of tasks, its serial baseline, and a ping-pong. */
static void plan(struct prony_run *run)
{
    static struct prony_topology *topology;
    struct prony_row rows[2] = {{.engines = list_of("thread"), .workers = list_of("2")},
                                {.engines = list_of("thread"), .workers = list_of("2")}};
    struct prony_error error = {0, ""};
    if (topology == NULL)
        FUZZ_CHECK(prony_topology_load("synthetic:core:2 pu:1", &topology, &error) == 0);
    rows[0].workloads = list_of("empty");
    rows[0].params = list_of("engine.times=1");
    rows[1].workloads = list_of("pingpong");
    memset(run, 0, sizeof *run);
    run->topology = topology;
    run->suite = strdup("custom");
    run->method = (struct prony_method){.visits = 6, .samples = 2, .launches = 1, .seed = 1};
    run->method.provider = prony_find_provider("software", &error);
    run->method.events = list_of("page-faults");
    FUZZ_CHECK(prony_plan_expand(run, rows, 2, NULL, NULL, false, &error) == 0 && run->count == 3);
    for (unsigned i = 0; i < 2; i++)
        prony_row_free(&rows[i]);
}

static void sound(const struct prony_run *run)
{
    for (unsigned i = 0; i < run->count; i++) {
        const struct prony_cell *cell = &run->cells[i];
        FUZZ_CHECK(cell->visits_count == 0 || (cell->repeats > 0 && cell->who != NULL));
        FUZZ_CHECK(cell->restored == (cell->outcome != PRONY_PENDING));
        for (unsigned v = 0; v < cell->visits_count; v++) {
            const struct prony_visit *visit = &cell->visits[v];
            FUZZ_CHECK(visit->samples > 0 && visit->launch < cell->launches);
            FUZZ_CHECK(v == 0 || (visit->block > visit[-1].block && visit->launch >= visit[-1].launch));
            for (unsigned s = 0; s < visit->samples; s++)
                FUZZ_CHECK(visit->samples_ns[s] > 0);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct prony_resume resume;
    struct prony_run run;
    struct prony_report *report = NULL;
    struct prony_error error = {0, ""};
    char path[32];
    int fd = fuzz_file(data, size, path);
    plan(&run);
    if (prony_resume_read(path, &resume, &error) != 0) {
        FUZZ_CHECK(error.text[0] != '\0');
    } else {
        FUZZ_CHECK(resume.body <= resume.whole && resume.whole <= resume.bytes && resume.bytes == size);
        if (prony_resume_restore(&resume, &run, &error) != 0) {
            FUZZ_CHECK(error.text[0] != '\0');
        } else {
            sound(&run);
            FUZZ_CHECK(prony_report_from_run(&run, 0, NULL, false, &report, &error) == 0);
            prony_report_free(report);
        }
        prony_resume_free(&resume);
    }
    prony_run_free(&run);
    (void)close(fd);
    return 0;
}

/* The journal, there and back: what measuring writes comes back as it was, from a whole journal, from one that ends anywhere,
 * and never from one that is not as it must be. */
#include "measure/client.h"
#include "measure/disturb.h"
#include "measure/journal.h"
#include "measure/plan.h"
#include "measure/record.h"
#include "measure/resume.h"
#include "measure/same.h"
#include "stats/stats.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { VISITS = 4, SAMPLES = 3, EVENTS = 2 };

static char folder[] = "/tmp/prony-resume-XXXXXX", path[64];
static struct prony_topology *topology;
static const char *const words[] = {"prony", "run", "-p", "path=a\\b\nc\td", NULL};

static struct prony_list list_of(const char *text)
{
    struct prony_list list = {NULL, 0, 0};
    assert_int_equal(prony_list_add(&list, text, strlen(text)), 0);
    return list;
}

/* Two cells: tasks with their times on threads, and a ping-pong with a clock per operation. */
static void plan(struct prony_run *run)
{
    struct prony_row rows[2] = {{.named = 0}, {.named = 0}};
    struct prony_error error = {0, ""};
    rows[0].workloads = list_of("fib");
    rows[0].engines = list_of("thread");
    rows[0].params = list_of("engine.times=1");
    rows[1].workloads = list_of("pingpong");
    rows[1].engines = list_of("fork");
    rows[0].workers = list_of("2");
    rows[1].workers = list_of("2");
    memset(run, 0, sizeof *run);
    run->topology = topology;
    run->suite = strdup("custom");
    run->started_s = 1700000000;
    run->method = (struct prony_method){.visits = VISITS, .samples = SAMPLES, .launches = 1, .seed = 7};
    run->method.provider = prony_find_provider("software", &error);
    run->method.events = list_of("task-clock");
    assert_int_equal(prony_list_add(&run->method.events, "page-faults", 11), 0);
    assert_int_equal(prony_plan_expand(run, rows, 2, NULL, NULL, false, &error), 0);
    assert_int_equal(run->count, 3); /* and the serial baseline */
    for (unsigned i = 0; i < run->count; i++)
        run->cells[i].placement.binding = true; /* as on a real machine: else switches mark nothing */
    for (unsigned i = 0; i < 2; i++)
        prony_row_free(&rows[i]);
}

static struct prony_cell *cell_of(const struct prony_run *run, const char *workload)
{
    for (unsigned i = 0; i < run->count; i++)
        if (strcmp(run->cells[i].workload->head.name, workload) == 0 && !run->cells[i].baseline)
            return &run->cells[i];
    fail();
    return NULL;
}

/* What a host would leave in its arena after a visit. */
static void leave(unsigned char *base, const struct prony_cell *cell, unsigned visit)
{
    const struct prony_board *board = (const struct prony_board *)(const void *)base;
    for (unsigned w = 0; w < cell->workers; w++) {
        struct prony_counts *counts = prony_board_counts(base, w);
        struct prony_histogram *own = (void *)(base + board->own.off + w * board->own_stride);
        counts->samples += SAMPLES;
        for (unsigned e = 0; e < EVENTS; e++) {
            counts->sum[e].value += 1000 + w;
            counts->sum[e].samples += SAMPLES;
            counts->sum[e].status = e == 0 ? PRONY_COUNTED : PRONY_DENIED;
            (void)strcpy(counts->sum[e].source, "perf");
            (void)strcpy(counts->sum[e].reason, e == 0 ? "" : "perf_event_paranoid\tis 3: sysctl");
        }
        counts->reads = 1;
        counts->read_ns[0] = 77;
        memset(own, 0, sizeof *own);
        for (unsigned i = 0; i <= visit; i++)
            prony_histogram_record(own, 100 + 1000 * i + w);
        cell->who[w].pid = 100;
        cell->who[w].tid = 101 + (int)w;
        cell->who[w].pu = (int)w;
        cell->who[w].generation = 1;
        cell->who[w].items = 50 * (visit + 1);
        cell->who[w].usage.cpu_ns += 12345;
        cell->who[w].usage.node = -1;
        if (cell->latency != NULL)
            prony_histogram_add(cell->latency, own);
    }
    if (cell->times != NULL) {
        struct prony_task_times *times = (void *)(base + board->times.off);
        memset(times, 0, sizeof *times);
        prony_histogram_record(&times->wait, 5);
        prony_histogram_record(&times->run, 70000 + visit);
        prony_histogram_add(&cell->times->wait, &times->wait);
        prony_histogram_add(&cell->times->run, &times->run);
    }
}

/* One visit of a cell, as live.c makes it. Number 1 was disturbed, number 3 shows so many switches that it is marked. */
static void visit_once(struct prony_journal *journal, struct prony_live *live, unsigned number)
{
    struct prony_cell *cell = live->cell;
    struct prony_visit *visit = prony_cell_next_visit(cell, SAMPLES);
    assert_non_null(visit);
    *visit = (struct prony_visit){.block = number,
                                  .launch = cell->launches - 1,
                                  .t_ns = 1000000 * (number + 1),
                                  .samples = SAMPLES,
                                  .samples_ns = visit->samples_ns,
                                  .phases_ns = {1, 2, 3},
                                  .cpu_ns = 99};
    for (unsigned i = 0; i < SAMPLES; i++)
        visit->samples_ns[i] = 5000 + 10 * i + number;
    visit->disturbed = (struct prony_disturbed){.before = {NAN, 18000.25},
                                                .after = {123.0625, 18100},
                                                .steal_ns = 10000000 * (number == 1),
                                                .involuntary = number == 3 ? 90 : 1,
                                                .marked = number == 1};
    (void)strcpy(visit->disturbed.why, number == 1 ? "10 ms were stolen" : "");
    cell->visits_count++;
    prony_switches_judge(cell);
    leave(live->client.arena.base, cell, number);
    prony_cell_take_share(cell);
    cell->measured_samples += SAMPLES;
    cell->verified += SAMPLES + 1;
    cell->spent_ns += 4000000;
    prony_record_visit(journal, live, visit);
}

static void measure_cell(struct prony_journal *journal, const struct prony_run *run, struct prony_cell *cell)
{
    struct prony_live live = {.cell = cell, .number = (unsigned)(cell - run->cells)};
    struct prony_board board;
    struct prony_answer answer = {.warm_samples = 3, .course = PRONY_COURSE_FLAT, .repeats = 40, .calibrate_ns = 130};
    prony_board_lay(&board, cell, &run->method);
    live.client.arena.base = calloc(1, board.bytes);
    assert_non_null(live.client.arena.base);
    prony_board_write(live.client.arena.base, &board, cell, &run->method);
    assert_int_equal(prony_cell_make_room(cell, &run->method, NULL), 0);
    cell->launches = 1;
    cell->caller_pu = prony_caller_pu(cell, run->topology);
    (void)strcpy(cell->about, "a runtime, with\ta tab");
    prony_journal_say(journal, "open\t%u\t0\t4242\t%s", live.number, cell->about);
    for (unsigned i = 0; i < 3; i++)
        answer.warm_ns[i] = 6000 + i;
    prony_cell_take_warm_up(
        cell, &(struct prony_warm_up){answer.repeats, answer.calibrate_ns, PRONY_COURSE_FLAT, 3, 0, answer.warm_ns});
    prony_record_warm_up(journal, live.number, &answer);
    for (unsigned i = 0; i < VISITS; i++)
        visit_once(journal, &live, i);
    for (unsigned w = 0; w < cell->workers; w++) { /* as when its host is closed */
        for (unsigned e = 0; e < EVENTS; e++)
            cell->who[w].values[e] = prony_live_count(&live, w, e);
    }
    cell->counted_samples = prony_live_counted(&live);
    cell->counter_read_ns = prony_live_read_ns(&live);
    cell->calls = (struct prony_calls){2.5, 0.125, 1};
    cell->who[1].calls = (struct prony_calls){1.25, 0, 0.5};
    cell->called_messages = 64;
    (void)strcpy(cell->calls_reason.text, "in part");
    prony_record_calls(journal, &live);
    free(live.client.arena.base);
}

/* A journal of an interrupted run, and the run that wrote it. */
static void write_journal(struct prony_run *run)
{
    struct prony_journal journal;
    struct prony_watch watch = {.argc = 4, .argv = (char *const *)(uintptr_t)words};
    struct prony_error error = {0, ""};
    plan(run);
    (void)unlink(path);
    assert_int_equal(prony_journal_open(&journal, path, &error), 0);
    assert_int_equal(prony_record_head(&journal, run, &watch, &error), 0);
    measure_cell(&journal, run, cell_of(run, "fib"));
    measure_cell(&journal, run, cell_of(run, "pingpong"));
    for (unsigned i = 0; i < run->count; i++)
        if (run->cells[i].baseline)
            prony_journal_say(&journal, "fail\t%u\tit fell over: signal 11", i);
    prony_journal_say(&journal, "end\tinterrupted\t123456789");
    assert_int_equal(journal.error.code, 0);
    prony_journal_close(&journal);
}

static char *slurp(size_t *bytes)
{
    FILE *file = fopen(path, "r");
    char *text = malloc(1 << 20);
    assert_non_null(file);
    assert_non_null(text);
    *bytes = fread(text, 1, (1 << 20) - 1, file);
    text[*bytes] = '\0';
    (void)fclose(file);
    return text;
}

static void spill(const char *text, size_t bytes)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, bytes, file), bytes);
    (void)fclose(file);
}

/* Reads and restores what is at `path`; 0, or what either says. */
static int back(struct prony_resume *resume, struct prony_run *run, struct prony_error *error)
{
    int code;
    plan(run);
    code = prony_resume_read(path, resume, error);
    if (code == 0) {
        code = prony_resume_restore(resume, run, error);
        if (code != 0)
            prony_resume_free(resume);
    }
    return code;
}

static void cells_are_same(const struct prony_cell *a, const struct prony_cell *b, size_t events)
{
    assert_int_equal(a->repeats, b->repeats);
    assert_true(a->called_messages == b->called_messages && a->called_messages != 0);
    assert_memory_equal(&a->calls, &b->calls, sizeof a->calls);
    assert_memory_equal(&a->who[1].calls, &b->who[1].calls, sizeof a->calls);
    assert_string_equal(a->calls_reason.text, b->calls_reason.text);
    assert_int_equal(a->calibrate_ns, b->calibrate_ns);
    assert_int_equal(a->warm_samples, b->warm_samples);
    assert_memory_equal(a->warm_ns, b->warm_ns, a->warm_samples * sizeof *a->warm_ns);
    assert_true(a->course == b->course && a->steady == b->steady && a->steady_from == b->steady_from);
    assert_int_equal(a->caller_pu, b->caller_pu);
    assert_string_equal(a->about, b->about);
    assert_true(a->caller_share == b->caller_share);
    assert_true(a->launches == b->launches && a->visits_count == b->visits_count);
    assert_true(a->counted_samples == b->counted_samples && a->counted_repeats == b->counted_repeats);
    assert_true(a->verified == b->verified && a->measured_samples == b->measured_samples);
    assert_true(a->counter_read_ns == b->counter_read_ns && a->spent_ns == b->spent_ns);
    for (unsigned i = 0; i < a->visits_count; i++) {
        const struct prony_visit *v = &a->visits[i], *w = &b->visits[i];
        assert_true(v->block == w->block && v->launch == w->launch && v->t_ns == w->t_ns && v->samples == w->samples);
        assert_memory_equal(v->samples_ns, w->samples_ns, v->samples * sizeof *v->samples_ns);
        assert_memory_equal(v->phases_ns, w->phases_ns, sizeof v->phases_ns);
        assert_true(v->cpu_ns == w->cpu_ns && v->disturbed.marked == w->disturbed.marked);
        assert_string_equal(v->disturbed.why, w->disturbed.why);
        assert_true(v->disturbed.after.line_ns == w->disturbed.after.line_ns && isnan(w->disturbed.before.line_ns));
        assert_true(v->disturbed.steal_ns == w->disturbed.steal_ns);
        assert_true(v->disturbed.involuntary == w->disturbed.involuntary);
    }
    for (unsigned i = 0; i < a->workers; i++) {
        assert_int_equal(a->who[i].tid, b->who[i].tid);
        assert_true(a->who[i].items == b->who[i].items && a->who[i].pu == b->who[i].pu);
        assert_memory_equal(&a->who[i].usage, &b->who[i].usage, sizeof a->who[i].usage);
        for (size_t e = 0; e < events; e++) {
            assert_int_equal(a->who[i].values[e].value, b->who[i].values[e].value);
            assert_true(a->who[i].values[e].status == b->who[i].values[e].status);
            assert_string_equal(a->who[i].values[e].source, b->who[i].values[e].source);
        }
    }
    assert_true((a->latency == NULL) == (b->latency == NULL) && (a->times == NULL) == (b->times == NULL));
    if (a->latency != NULL)
        assert_memory_equal(a->latency, b->latency, sizeof *a->latency);
    if (a->times != NULL)
        assert_memory_equal(a->times, b->times, sizeof *a->times);
}

static void what_was_measured_comes_back(void **state)
{
    struct prony_run run, again;
    struct prony_resume resume;
    struct prony_error error = {0, ""};
    struct prony_list now = {NULL, 0, 0};
    (void)state;
    write_journal(&run);
    assert_int_equal(back(&resume, &again, &error), 0);
    assert_true(resume.whole == resume.bytes && !resume.done);
    assert_int_equal(resume.elapsed_ns, 123456789);
    assert_int_equal(again.started_s, 1700000000);
    assert_int_equal(resume.words.count, 4);
    for (unsigned i = 0; i < 4; i++)
        assert_string_equal(resume.words.item[i], words[i]);
    cells_are_same(cell_of(&run, "fib"), cell_of(&again, "fib"), EVENTS);
    cells_are_same(cell_of(&run, "pingpong"), cell_of(&again, "pingpong"), EVENTS);
    assert_true(cell_of(&again, "pingpong")->visits[3].disturbed.marked); /* judged again, with all of them */
    assert_true(cell_of(&again, "pingpong")->latency->count == 2 * (1 + 2 + 3 + 4));
    for (unsigned i = 0; i < again.count; i++)
        if (again.cells[i].baseline) {
            assert_true(again.cells[i].outcome == PRONY_FAILED && again.cells[i].restored);
            assert_string_equal(again.cells[i].reason.text, "it fell over: signal 11");
        } else {
            assert_true(again.cells[i].outcome == PRONY_PENDING && !again.cells[i].restored);
        }
    prony_run_free(&again);
    plan(&again);
    assert_int_equal(prony_same_machine(topology, &now, &error), 0);
    assert_int_equal(prony_same_plan(&again, &now, &error), 0);
    assert_int_equal(prony_same_check(&resume.same, &now, true, &error), 0);
    prony_list_free(&now);
    prony_resume_free(&resume);
    prony_run_free(&again);
    prony_run_free(&run);
}

static unsigned visits_of(const struct prony_run *run)
{
    unsigned n = 0;
    for (unsigned i = 0; i < run->count; i++)
        n += run->cells[i].visits_count;
    return n;
}

/* Wherever it is cut, every visit whose line is whole is there, and nothing else. */
static void a_torn_end_is_left_out(void **state)
{
    struct prony_run run, again;
    struct prony_resume resume;
    struct prony_error error = {0, ""};
    size_t bytes, head;
    unsigned cuts = 0;
    char *text;
    (void)state;
    write_journal(&run);
    text = slurp(&bytes);
    head = (size_t)(strstr(text, "\nopen\t") - text) + 1;
    for (size_t cut = 0; cut<bytes; cut += cut> head + 40 && bytes - cut > 900 ? 13 : 1) {
        unsigned whole = 0;
        int code;
        spill(text, cut);
        for (const char *at = text; (at = strstr(at, "\nvisit\t")) != NULL; at++)
            whole += memchr(at + 1, '\n', cut > (size_t)(at + 1 - text) ? cut - (size_t)(at + 1 - text) : 0) != NULL;
        code = back(&resume, &again, &error);
        if (cut < head) {
            assert_int_equal(code, -ENODATA);
        } else {
            assert_int_equal(code, 0);
            assert_int_equal(visits_of(&again), whole);
            assert_true(resume.whole <= cut);
            prony_resume_free(&resume);
        }
        prony_run_free(&again);
        cuts++;
    }
    assert_true(cuts > 1000);
    spill(text, bytes - 40); /* zeros in the place of what had not reached the disk */
    assert_int_equal(truncate(path, (off_t)bytes + 100), 0);
    assert_int_equal(back(&resume, &again, &error), 0);
    assert_true(resume.whole < resume.bytes);
    prony_resume_free(&resume);
    prony_run_free(&again);
    prony_run_free(&run);
    free(text);
}

/* The first place of `from` in the journal becomes `to`. */
static void garble(const char *text, size_t bytes, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    FILE *file = fopen(path, "w");
    assert_non_null(at);
    assert_non_null(file);
    (void)fwrite(text, 1, (size_t)(at - text), file);
    (void)fputs(to, file);
    (void)fwrite(at + strlen(from), 1, bytes - (size_t)(at - text) - strlen(from), file);
    (void)fclose(file);
}

static void a_garbled_line_is_refused(void **state)
{
    static const char *const changes[][2] = {
        {"\nopen\t", "\nopened\t"},                    /* an unknown kind */
        {"\nwarm\t", "\nwarm\tx"},                     /* no number */
        {"\nwarm\t", "\nwarm\t9"},                     /* no such cell */
        {"\t40\t130\t3\tflat", "\t0\t130\t3\tflat"},   /* no repetitions */
        {"\t3\tflat\t0\t", "\t4\tflat\t0\t"},          /* a sample too few */
        {"\t3\tflat\t0\t", "\t3\tbent\t0\t"},          /* no such course */
        {"\nvisit\t", "\nvisit\t-"},                   /* not a count */
        {"\t5000\t5010\t5020\n", "\t5000\t0\t5020\n"}, /* a sample that took no time */
        {"\t5000\t5010\t5020\n", "\t5000\t5010\t\n"},  /* an empty field */
        {"\t5000\t5010\t5020\n", "\t5000\t5x10\t5020\n"},
        {"\t5001\t5011\t5021\n", "\t5001\t5011\t5021\ndrop"}, /* what follows is no line */
        {"\nevent\t0\t0\t1\t", "\nevent\t0\t0\t7\t"},         /* no such event */
        {"\nwho\t0\t1\t", "\nwho\t0\t2\t"},                   /* no such worker */
        {"\nhistogram\t0\trun\t", "\nhistogram\t0\tran\t"},
        {"\nstate\t", "\nopen\t0\t1\t1\t\nstate\t0\t1\t1\t1\t1\t1\t0\t1\nopen\t0\t2\t2\t\nstate\t"}, /* of no visit */
        {"\nend\tinterrupted\t", "\nend\tnever\t"},
        {"\nfail\t", "\nrerun\t"},
    };
    struct prony_run run, again;
    struct prony_resume resume;
    size_t bytes;
    char *text;
    (void)state;
    write_journal(&run);
    text = slurp(&bytes);
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        struct prony_error error = {0, ""};
        garble(text, bytes, changes[i][0], changes[i][1]);
        if (back(&resume, &again, &error) != -EILSEQ)
            fail_msg("change %zu (%s) is not seen", i, changes[i][1]);
        assert_non_null(strstr(error.text, "line "));
        prony_run_free(&again);
    }
    prony_run_free(&run);
    free(text);
}

/* The same visit twice, or one of a block that is over, would count as two. */
static void no_visit_comes_twice(void **state)
{
    struct prony_run run, again;
    struct prony_resume resume;
    struct prony_error error = {0, ""};
    size_t bytes;
    char *text, *line, doubled[1024];
    (void)state;
    write_journal(&run);
    text = slurp(&bytes);
    line = strstr(text, "\nvisit\t");
    (void)snprintf(doubled, sizeof doubled, "\n%.*s\nvisit\t", (int)strcspn(line + 1, "\n"), line + 1);
    garble(text, bytes, "\nvisit\t", doubled);
    assert_int_equal(back(&resume, &again, &error), -EILSEQ);
    prony_run_free(&again);
    prony_run_free(&run);
    free(text);
}

static void what_is_no_journal_is_said(void **state)
{
    static const struct {
        const char *text;
        int code;
        const char *says;
    } cases[] = {
        {"", -ENODATA, "empty"},
        {"prony-jour", -ENODATA, "no whole line"},
        {"a long text that never was a journal", -EILSEQ, "no whole line"},
        {"{\"schema\": 1}\n", -EILSEQ, "no journal of prony"},
        {"prony-journal\t1\nrun\tquick\t1\t2\n", -EPROTO, "version 1"},
        {"prony-journal\t20\n", -EPROTO, "version 20"},
        {"prony-journal\t2\n", -ENODATA, "before anything was measured"},
        {"prony-journal\t2\nrun\tquick\t1\t2\t5\ncell\t0\ta\t0\n", -ENODATA, "before anything was measured"},
        {"prony-journal\t2\nrun\tquick\tone\t2\t5\n", -EILSEQ, "line 2"},
        {"prony-journal\t2\nrun\tquick\t1\t2\n", -EILSEQ, "line 2"},
    };
    struct prony_resume resume;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct prony_error error = {0, ""};
        spill(cases[i].text, strlen(cases[i].text));
        assert_int_equal(prony_resume_read(path, &resume, &error), cases[i].code);
        if (strstr(error.text, cases[i].says) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", error.text, cases[i].says);
    }
    (void)unlink(path);
    assert_int_equal(prony_resume_read(path, &resume, NULL), -ENOENT);
    assert_int_equal(prony_resume_read("/dev/null", &resume, NULL), -EILSEQ);
}

/* It is held from reading to the end of what follows, so that two never go on with one run. */
static void a_live_run_keeps_its_journal(void **state)
{
    struct prony_journal journal;
    struct prony_run run;
    struct prony_resume resume, second;
    struct prony_error error = {0, ""};
    (void)state;
    write_journal(&run);
    assert_int_equal(prony_resume_read(path, &resume, &error), 0);
    assert_int_equal(prony_resume_read(path, &second, &error), -EBUSY);
    assert_non_null(strstr(error.text, "in use"));
    assert_int_equal(prony_resume_take(&resume, &run, &journal, &error), 0);
    prony_resume_free(&resume);
    assert_int_equal(prony_journal_open(&journal, path, &error), -EBUSY);
    assert_int_equal(journal.fd, -1);
    prony_run_free(&run);
}

static void a_resumption_is_noted(void **state)
{
    struct prony_journal journal;
    struct prony_run run, again;
    struct prony_resume resume;
    struct prony_error error = {0, ""};
    size_t bytes;
    char *text;
    (void)state;
    write_journal(&run);
    prony_run_free(&run);
    text = slurp(&bytes);
    spill(text, bytes - 4); /* into the last line */
    for (unsigned times = 1; times <= 2; times++) {
        assert_int_equal(back(&resume, &again, &error), 0);
        assert_int_equal(again.resumed_count, times - 1);
        again.method.budget_ns = 1000 * times;
        assert_int_equal(prony_resume_take(&resume, &again, &journal, &error), 0);
        assert_int_equal(again.resumed_count, times);
        prony_journal_say(&journal, "end\tdone\t%u", 20000000 * times);
        prony_journal_say(&journal, "report");
        prony_journal_close(&journal);
        prony_resume_free(&resume);
        prony_run_free(&again);
    }
    free(text);
    text = slurp(&bytes);
    assert_null(strstr(text, "end\tinterrupted"));
    assert_int_equal(back(&resume, &again, &error), 0);
    assert_true(resume.done);
    assert_int_equal(again.resumed_count, 2);
    assert_int_equal(again.resumed[1].t_ns, 20000000);
    assert_int_equal(again.method.budget_ns, 2000);
    assert_int_equal(resume.elapsed_ns, 40000000);
    prony_resume_free(&resume);
    prony_run_free(&again);
    free(text);
}

static void what_differs_is_named(void **state)
{
    static const char *const then[] = {"same\tkernel\tLinux 6", "same\tset of allowed PUs\t0,1", "cell\t0\ta/n1\t0"};
    static const struct {
        unsigned line;
        const char *now, *says;
    } cases[] = {
        {0, "same\tkernel\tLinux 7", "the kernel is another: it was Linux 6, it is Linux 7"},
        {1, "same\tset of allowed PUs\t0", "the set of allowed PUs is another: it was 0,1, it is 0"},
        {2, "cell\t0\tb/n1\t0", "the plan is another"},
        {2, "cell\t0\ta/n1\t1", "the plan is another"},
        {1, "same\tmachine\t0,1", "the plan is another"},
    };
    struct prony_list was = {NULL, 0, 0}, is = {NULL, 0, 0};
    struct prony_error error = {0, ""};
    (void)state;
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(prony_list_add(&was, then[i], strlen(then[i])), 0);
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        for (unsigned i = 0; i < 3; i++) {
            const char *line = i == cases[c].line ? cases[c].now : then[i];
            assert_int_equal(prony_list_add(&is, line, strlen(line)), 0);
        }
        assert_int_equal(prony_same_check(&was, &is, true, &error), -ESTALE);
        if (strstr(error.text, cases[c].says) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", error.text, cases[c].says);
        prony_list_free(&is);
    }
    is = list_of(then[0]);
    assert_int_equal(prony_same_check(&was, &is, false, &error), 0);
    assert_int_equal(prony_same_check(&was, &is, true, &error), -ESTALE);
    prony_list_free(&is);
    prony_list_free(&was);
}

static int begin(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(path, sizeof path, "%s/journal", folder);
    return prony_topology_load("synthetic:package:1 core:4 pu:1", &topology, NULL);
}

static int end(void **state)
{
    (void)state;
    prony_topology_free(topology);
    (void)unlink(path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_measured_comes_back), cmocka_unit_test(a_torn_end_is_left_out),
        cmocka_unit_test(a_garbled_line_is_refused),    cmocka_unit_test(no_visit_comes_twice),
        cmocka_unit_test(what_is_no_journal_is_said),   cmocka_unit_test(a_live_run_keeps_its_journal),
        cmocka_unit_test(a_resumption_is_noted),        cmocka_unit_test(what_differs_is_named),
    };
    return cmocka_run_group_tests(tests, begin, end);
}

#include "measure/resume.h"
#include "measure/client.h"
#include "measure/disturb.h"
#include "measure/journal.h"
#include "measure/line.h"
#include "stats/stats.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { NUMBER_MOST = 1000000000 }; /* of blocks and launches: far from overflow */

/* Line `at`, cut into fields; false when it does not end. */
static bool line_at(const struct prony_resume *resume, size_t at, size_t most, struct prony_line *line)
{
    const char *from = resume->text + at, *end = at < most ? memchr(from, '\n', most - at) : NULL;
    *line = (struct prony_line){.at = from, .end = end};
    return end != NULL;
}

static int garbled(const struct prony_resume *resume, const char *at, struct prony_error *error)
{
    unsigned number = 1;
    for (const char *c = resume->text; c < at; c++)
        number += *c == '\n';
    return prony_fail(error, -EILSEQ, "line %u of the journal is garbled", number);
}

/* Reading */

static int load(const char *path, struct prony_resume *resume, struct prony_error *error)
{
    struct stat info;
    resume->fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (resume->fd < 0)
        return prony_fail(error, errno == ENOTDIR ? -ENOENT : -errno, "%s", strerrordesc_np(errno));
    if (fstat(resume->fd, &info) != 0 || !S_ISREG(info.st_mode))
        return prony_fail(error, -EILSEQ, "it is no journal: not a plain file");
    if (prony_journal_lock(resume->fd, path, error) != 0)
        return error->code;
    if (fstat(resume->fd, &info) != 0) /* again: the last writer may have added to it */
        return prony_fail(error, -errno, "%s", strerrordesc_np(errno));
    resume->text = malloc((size_t)info.st_size + 1);
    if (resume->text == NULL)
        return prony_fail(error, -ENOMEM, "no memory for a journal of %lld bytes", (long long)info.st_size);
    for (ssize_t n = 1; n > 0 && resume->bytes < (size_t)info.st_size; resume->bytes += (size_t)n) {
        n = pread(resume->fd, resume->text + resume->bytes, (size_t)info.st_size - resume->bytes, (off_t)resume->bytes);
        if (n < 0)
            return prony_fail(error, -errno, "%s", strerrordesc_np(errno));
    }
    resume->text[resume->bytes] = '\0';
    return resume->bytes > 0 ? 0 : prony_fail(error, -ENODATA, "it is empty: nothing was measured");
}

static int read_version(struct prony_resume *resume, struct prony_error *error)
{
    struct prony_line line;
    char version[32] = "";
    const char *kind;
    size_t length;
    if (!line_at(resume, 0, resume->bytes, &line))
        return prony_fail(error, resume->bytes < 16 ? -ENODATA : -EILSEQ, "it has no whole line");
    kind = prony_line_field(&line, &length);
    if (!prony_line_is(kind, length, "prony-journal"))
        return prony_fail(error, -EILSEQ, "it is no journal of prony");
    prony_line_rest(&line, version, sizeof version);
    if (strcmp(version, PRONY_JOURNAL_VERSION) != 0)
        return prony_fail(error, -EPROTO, "it is of version %.16s, and this prony reads version %s: start the run anew",
                          version, PRONY_JOURNAL_VERSION);
    resume->body = (size_t)(line.end - resume->text) + 1;
    return 0;
}

static int add_word(struct prony_resume *resume, const char *text, size_t length)
{
    char *word = malloc(length + 1);
    size_t n = 0;
    int code;
    if (word == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < length; i++) {
        bool escaped = text[i] == '\\' && i + 1 < length;
        i += escaped;
        word[n++] = escaped && text[i] == 'n' ? '\n' : text[i];
    }
    code = prony_list_add(&resume->words, word, n);
    free(word);
    return code;
}

/* The head: the run, its command line, what must be the same, its cells. */
static int read_head(struct prony_resume *resume, struct prony_error *error)
{
    struct prony_line line;
    unsigned cells = 0;
    int code = 0;
    if (line_at(resume, resume->body, resume->bytes, &line)) {
        size_t length;
        const char *kind = prony_line_field(&line, &length);
        bool run = prony_line_is(kind, length, "run");
        (void)prony_line_field(&line, &length);
        (void)prony_line_count(&line);
        resume->cells = prony_line_small(&line, NUMBER_MOST);
        resume->started_s = prony_line_integer(&line);
        if (!run || line.bad || !line.over)
            return garbled(resume, line.end, error);
        resume->body = (size_t)(line.end - resume->text) + 1;
    }
    while (code == 0 && line_at(resume, resume->body, resume->bytes, &line)) {
        const char *from = line.at;
        size_t length;
        const char *kind = prony_line_field(&line, &length);
        if (prony_line_is(kind, length, "word")) {
            code = add_word(resume, line.at, (size_t)(line.end - line.at));
        } else if (prony_line_is(kind, length, "same") || prony_line_is(kind, length, "cell")) {
            cells += prony_line_is(kind, length, "cell");
            code = prony_list_add(&resume->same, from, (size_t)(line.end - from));
        } else {
            break;
        }
        resume->body = (size_t)(line.end - resume->text) + 1;
    }
    if (code != 0)
        return prony_fail(error, code, "no memory for a journal");
    if (resume->cells == 0 || cells < resume->cells)
        return prony_fail(error, -ENODATA, "it ends before anything was measured: start the run anew");
    return 0;
}

/* Lines that mean nothing without the one that follows them. */
static bool is_part(const char *kind, size_t length)
{
    return prony_line_is(kind, length, "state") || prony_line_is(kind, length, "who") ||
           prony_line_is(kind, length, "event") || prony_line_is(kind, length, "histogram");
}

static bool is_whole(const char *kind, size_t length)
{
    return prony_line_is(kind, length, "visit") || prony_line_is(kind, length, "rerun");
}

/* Where the last whole record ends, and whether it is that of a run that has its report. */
static void find_end(struct prony_resume *resume)
{
    struct prony_line line;
    bool ended = false;
    resume->whole = resume->body;
    for (size_t at = resume->body; line_at(resume, at, resume->bytes, &line);) {
        size_t length;
        const char *kind = prony_line_field(&line, &length);
        at = (size_t)(line.end - resume->text) + 1;
        if (is_part(kind, length))
            continue;
        resume->whole = at;
        resume->done = prony_line_is(kind, length, "report") && ended;
        ended = prony_line_is(kind, length, "end") && strncmp(line.at, "done\t", 5) == 0;
    }
}

int prony_resume_read(const char *path, struct prony_resume *resume, struct prony_error *error)
{
    int code;
    memset(resume, 0, sizeof *resume);
    code = load(path, resume, error);
    if (code == 0)
        code = read_version(resume, error);
    if (code == 0)
        code = read_head(resume, error);
    if (code == 0)
        find_end(resume);
    if (code != 0 && code != -EBUSY)
        (void)prony_fail_within(error, code, "the journal %s", path);
    if (code != 0)
        prony_resume_free(resume);
    return code;
}

void prony_resume_free(struct prony_resume *resume)
{
    if (resume->fd >= 0)
        (void)close(resume->fd);
    free(resume->text);
    prony_list_free(&resume->words);
    prony_list_free(&resume->same);
    memset(resume, 0, sizeof *resume);
    resume->fd = -1;
}

/* Restoring: each takes what follows a line's kind. A cell's number was taken, and is that of `cell`. */

struct restoring {
    struct prony_resume *resume;
    struct prony_run *run;
    struct prony_error *error; /* code 0, or what stands in the way beside garbling */
};

static void lasted(struct restoring *r, uint64_t ns)
{
    r->resume->elapsed_ns = ns > r->resume->elapsed_ns ? ns : r->resume->elapsed_ns;
}

static void restore_open(struct restoring *r, struct prony_cell *cell, struct prony_line *line)
{
    const unsigned launch = prony_line_small(line, NUMBER_MOST);
    (void)prony_line_integer(line);
    prony_line_rest(line, cell->about, sizeof cell->about);
    line->bad = line->bad || launch < cell->launches;
    if (line->bad || prony_cell_make_room(cell, &r->run->method, r->error) != 0)
        return;
    cell->launches = launch + 1;
    cell->caller_pu = prony_caller_pu(cell, r->run->topology);
}

static enum prony_course take_course(struct prony_line *line)
{
    size_t length;
    const char *field = prony_line_field(line, &length);
    for (int course = 0; course <= PRONY_COURSE_NEVER; course++)
        if (prony_line_is(field, length, prony_course_name((enum prony_course)course)))
            return (enum prony_course)course;
    line->bad = true;
    return PRONY_COURSE_UNKNOWN;
}

static void restore_warm(struct restoring *r, struct prony_cell *cell, struct prony_line *line)
{
    struct prony_warm_up warm;
    uint64_t samples[PRONY_WARM_MOST];
    (void)r;
    warm.repeats = prony_line_integer(line);
    warm.calibrate_ns = prony_line_ns(line);
    warm.samples = prony_line_small(line, PRONY_WARM_MOST);
    warm.course = take_course(line);
    warm.steady_from = prony_line_small(line, PRONY_WARM_MOST);
    warm.ns = samples;
    for (unsigned i = 0; i < warm.samples; i++)
        samples[i] = prony_line_count(line);
    line->bad = line->bad || cell->launches == 0 || warm.repeats < 1 || warm.steady_from > warm.samples;
    if (!line->bad)
        prony_cell_take_warm_up(cell, &warm);
}

static void restore_state(struct restoring *r, struct prony_cell *cell, struct prony_line *line)
{
    (void)r;
    cell->verified = prony_line_integer(line);
    cell->shortfall = prony_line_integer(line);
    cell->reordered = prony_line_integer(line);
    cell->spent_ns = prony_line_count(line);
    cell->counted_samples = prony_line_count(line);
    cell->counted_repeats = prony_line_integer(line);
    cell->counter_read_ns = prony_line_real(line);
    line->bad = line->bad || cell->counted_repeats < 0;
}

static struct prony_cell_worker *take_worker(const struct prony_cell *cell, struct prony_line *line)
{
    const unsigned worker = prony_line_small(line, cell->workers - 1);
    line->bad = line->bad || cell->who == NULL;
    return line->bad ? NULL : &cell->who[worker];
}

static void restore_who(struct restoring *r, struct prony_cell *cell, struct prony_line *line)
{
    struct prony_cell_worker *who = take_worker(cell, line);
    (void)r;
    if (who == NULL)
        return;
    who->pid = prony_line_int(line);
    who->tid = prony_line_int(line);
    who->pu = prony_line_int(line);
    who->generation = prony_line_small(line, UINT32_MAX);
    who->items = prony_line_integer(line);
    who->usage.gangs = prony_line_count(line);
    who->usage.cpu_ns = prony_line_count(line);
    who->usage.voluntary = prony_line_count(line);
    who->usage.involuntary = prony_line_count(line);
    who->usage.node = prony_line_int(line);
    who->usage.asked = prony_line_small(line, UINT32_MAX);
    line->bad = line->bad || who->items < 0;
}

static void restore_event(struct restoring *r, struct prony_cell *cell, struct prony_line *line)
{
    const struct prony_cell_worker *who = take_worker(cell, line);
    const unsigned event = prony_line_small(line, PRONY_EVENTS_MAX);
    struct prony_value *value;
    line->bad = line->bad || who->values == NULL || event >= r->run->method.events.count;
    if (line->bad)
        return;
    value = &who->values[event];
    value->value = prony_line_integer(line);
    value->status = prony_line_small(line, PRONY_SCALED);
    value->samples = prony_line_small(line, UINT32_MAX);
    value->enabled_ns = prony_line_count(line);
    value->running_ns = prony_line_count(line);
    prony_line_text(line, value->source, sizeof value->source);
    prony_line_text(line, value->reason, sizeof value->reason);
}

static void restore_histogram(struct restoring *r, struct prony_cell *cell, struct prony_line *line)
{
    struct prony_histogram *into, one = {.count = 0};
    size_t length;
    const char *kind = prony_line_field(line, &length);
    (void)r;
    if (prony_line_is(kind, length, "latency"))
        into = cell->latency;
    else if (cell->times != NULL && prony_line_is(kind, length, "wait"))
        into = &cell->times->wait;
    else
        into = cell->times != NULL && prony_line_is(kind, length, "run") ? &cell->times->run : NULL;
    one.min_ns = prony_line_count(line);
    one.max_ns = prony_line_count(line);
    one.clipped = prony_line_count(line);
    while (!line->bad && !line->over) {
        const unsigned bucket = prony_line_small(line, PRONY_HISTOGRAM_BUCKETS - 1);
        one.bucket[bucket] += prony_line_count(line);
        one.count += one.bucket[bucket];
    }
    line->bad = line->bad || into == NULL || one.count == 0 || one.min_ns > one.max_ns;
    if (!line->bad)
        prony_histogram_add(into, &one);
}

/* How many fields are left. */
static unsigned fields_left(const struct prony_line *line)
{
    unsigned n = line->over ? 0 : 1;
    for (const char *at = line->at; at < line->end; at++)
        n += *at == '\t';
    return n;
}

static void take_disturbed(struct prony_line *line, struct prony_disturbed *seen)
{
    seen->before.line_ns = prony_line_real(line);
    seen->after.line_ns = prony_line_real(line);
    seen->before.compute_ns = prony_line_real(line);
    seen->after.compute_ns = prony_line_real(line);
    seen->steal_ns = prony_line_count(line);
    seen->involuntary = prony_line_count(line);
    seen->migrations = prony_line_count(line);
    seen->marked = prony_line_small(line, 1) != 0;
}

static void restore_visit(struct restoring *r, struct prony_cell *cell, struct prony_line *line)
{
    const struct prony_visit *last = cell->visits_count == 0 ? NULL : &cell->visits[cell->visits_count - 1];
    struct prony_visit visit = {.samples = 0}, *made;
    uint64_t ns;
    visit.block = prony_line_small(line, NUMBER_MOST);
    visit.launch = prony_line_small(line, NUMBER_MOST);
    ns = visit.t_ns = prony_line_ns(line);
    take_disturbed(line, &visit.disturbed);
    visit.cpu_ns = prony_line_count(line);
    for (unsigned i = 0; i < PRONY_PHASES; i++)
        visit.phases_ns[i] = prony_line_count(line);
    prony_line_text(line, visit.disturbed.why, sizeof visit.disturbed.why);
    visit.samples = fields_left(line);
    line->bad = line->bad || cell->repeats < 1 || visit.launch >= cell->launches || visit.samples == 0 ||
                visit.samples > PRONY_SAMPLES_MOST ||
                (last != NULL && (visit.block <= last->block || visit.launch < last->launch));
    if (line->bad)
        return;
    made = prony_cell_next_visit(cell, visit.samples);
    if (made == NULL) {
        (void)prony_fail(r->error, -ENOMEM, "no memory for the visits of a journal");
        return;
    }
    visit.samples_ns = made->samples_ns;
    *made = visit;
    cell->visits_count++;
    for (unsigned i = 0; i < visit.samples; i++) {
        made->samples_ns[i] = prony_line_ns(line);
        line->bad = line->bad || made->samples_ns[i] == 0;
        ns += made->samples_ns[i];
    }
    cell->measured_samples += visit.samples;
    prony_switches_judge(cell);
    prony_cell_take_share(cell);
    lasted(r, ns);
}

static void restore_rerun(struct restoring *r, struct prony_cell *cell, struct prony_line *line)
{
    char why[2];
    (void)r;
    line->bad = line->bad || cell->who == NULL;
    (void)prony_line_integer(line);
    prony_line_rest(line, why, sizeof why);
}

static void take_calls(struct prony_line *line, struct prony_calls *calls)
{
    calls->done = prony_line_real(line);
    calls->futex = prony_line_real(line);
    calls->vain = prony_line_real(line);
}

static void restore_calls(struct restoring *r, struct prony_cell *cell, struct prony_line *line)
{
    (void)r;
    line->bad = line->bad || cell->who == NULL;
    if (line->bad)
        return;
    cell->spent_ns = prony_line_count(line);
    cell->called_messages = prony_line_integer(line);
    take_calls(line, &cell->calls);
    for (unsigned i = 0; i < cell->workers; i++)
        take_calls(line, &cell->who[i].calls);
    prony_line_rest(line, cell->calls_reason.text, sizeof cell->calls_reason.text);
    cell->calls_reason.code = cell->calls_reason.text[0] == '\0' ? 0 : -EIO;
    line->bad = line->bad || cell->called_messages < 0;
}

static void restore_fail(struct restoring *r, struct prony_cell *cell, struct prony_line *line)
{
    (void)r;
    prony_line_rest(line, cell->reason.text, sizeof cell->reason.text);
    cell->reason.code = -EIO; /* which one it was is not told: only its words are */
    cell->outcome = PRONY_FAILED;
    cell->restored = true;
}

static void restore_skip(struct restoring *r, struct prony_cell *cell, struct prony_line *line)
{
    restore_fail(r, cell, line);
    cell->reason.code = -ENOTSUP;
    cell->outcome = PRONY_SKIPPED;
}

static const struct {
    const char *kind;
    void (*restore)(struct restoring *r, struct prony_cell *cell, struct prony_line *line);
} of_cells[] = {
    {"open", restore_open},   {"warm", restore_warm},           {"state", restore_state}, {"who", restore_who},
    {"event", restore_event}, {"histogram", restore_histogram}, {"visit", restore_visit}, {"rerun", restore_rerun},
    {"calls", restore_calls}, {"fail", restore_fail},           {"skip", restore_skip},
};

static void restore_cell(struct restoring *r, const char *kind, size_t length, struct prony_line *line)
{
    const unsigned number = prony_line_small(line, r->run->count - 1);
    struct prony_cell *cell = &r->run->cells[number];
    size_t i = 0;
    while (i < sizeof of_cells / sizeof of_cells[0] && !prony_line_is(kind, length, of_cells[i].kind))
        i++;
    if (i == sizeof of_cells / sizeof of_cells[0]) {
        line->bad = true;
    } else if (cell->outcome == PRONY_PENDING) {
        of_cells[i].restore(r, cell, line);
        line->bad = line->bad || !line->over;
    } else { /* the plan itself skips it, and says so with its reason */
        line->bad = line->bad || cell->restored || of_cells[i].restore != restore_skip;
    }
}

static int note(struct prony_run *run, int64_t at_s, uint64_t t_ns, struct prony_error *error)
{
    struct prony_resumption *grown = realloc(run->resumed, (run->resumed_count + 1) * sizeof *grown);
    if (grown == NULL)
        return prony_fail(error, -ENOMEM, "no memory for a journal");
    run->resumed = grown;
    run->resumed[run->resumed_count++] = (struct prony_resumption){at_s, t_ns};
    return 0;
}

static void restore_resume(struct restoring *r, struct prony_line *line)
{
    int64_t at_s, budget_ns;
    uint64_t t_ns;
    at_s = prony_line_integer(line);
    t_ns = prony_line_ns(line);
    budget_ns = prony_line_integer(line);
    line->bad = line->bad || !line->over || budget_ns < 0;
    if (line->bad || note(r->run, at_s, t_ns, r->error) != 0)
        return;
    r->run->method.budget_ns = budget_ns;
    lasted(r, t_ns);
}

static void restore_end(struct restoring *r, struct prony_line *line)
{
    size_t length;
    const char *how = prony_line_field(line, &length);
    lasted(r, prony_line_ns(line));
    line->bad =
        line->bad || !line->over || !(prony_line_is(how, length, "done") || prony_line_is(how, length, "interrupted"));
}

int prony_resume_restore(struct prony_resume *resume, struct prony_run *run, struct prony_error *error)
{
    struct prony_error reason = {0, ""};
    struct restoring r = {resume, run, &reason};
    struct prony_line line;
    bool parts = false; /* what they belong to must follow */
    run->started_s = resume->started_s;
    for (size_t at = resume->body; line_at(resume, at, resume->whole, &line);) {
        size_t length;
        const char *kind = prony_line_field(&line, &length);
        at = (size_t)(line.end - resume->text) + 1;
        if (prony_line_is(kind, length, "resume"))
            restore_resume(&r, &line);
        else if (prony_line_is(kind, length, "end"))
            restore_end(&r, &line);
        else if (!prony_line_is(kind, length, "report"))
            restore_cell(&r, kind, length, &line);
        line.bad = line.bad || (parts && !is_part(kind, length) && !is_whole(kind, length));
        parts = is_part(kind, length);
        if (line.bad)
            return garbled(resume, line.end, error);
        if (reason.code != 0)
            return prony_fail(error, reason.code, "%s", reason.text);
    }
    return 0;
}

int prony_resume_take(struct prony_resume *resume, struct prony_run *run, struct prony_journal *journal,
                      struct prony_error *error)
{
    const int64_t now_s = (int64_t)time(NULL);
    if (ftruncate(resume->fd, (off_t)resume->whole) != 0)
        return prony_fail(error, -errno, "the journal cannot be cut: %s", strerrordesc_np(errno));
    *journal = (struct prony_journal){.fd = resume->fd};
    resume->fd = -1;
    prony_journal_say(journal, "resume\t%lld\t%llu\t%lld", (long long)now_s, (unsigned long long)resume->elapsed_ns,
                      (long long)run->method.budget_ns);
    if (journal->error.code != 0)
        return prony_fail(error, journal->error.code, "%s", journal->error.text);
    return note(run, now_s, resume->elapsed_ns, error);
}

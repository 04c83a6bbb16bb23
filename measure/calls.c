#include "measure/calls.h"
#include "base/clock.h"
#include "measure/record.h"
#include "measure/tracer.h"

#include <prony/plugin/channel.h>

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

/* Messages between two samples, if their calls are not too many, and do not take too long when nobody traces them. */
enum { LEAST = 32, CALLS_MOST = 200, TICK_MS = 10 };
static const double longest_ns = 5000000;

bool prony_calls_wanted(const struct prony_cell *cell)
{
    return cell->need.messages > 0 && cell->channel != NULL && cell->workload->shape == PRONY_GANG &&
           (cell->engine->head.caps & PRONY_CAP_DRY) == 0;
}

static bool interrupted(const struct prony_bout *bout)
{
    return bout->watch->interrupt != NULL && *bout->watch->interrupt != 0;
}

/* Did all roles have a timed part, which says when to count? */
static int check_parts(const struct prony_live *live, const struct prony_tracer *tracer, struct prony_error *error)
{
    const struct prony_cell *cell = live->cell;
    const unsigned roles = cell->need.roles == 0 ? cell->workers : cell->need.roles;
    for (unsigned i = 0; i < roles; i++)
        if (tracer->slots[i].begun_ns == 0 || tracer->slots[i].ended_ns == 0)
            return prony_fail(error, -ENOTSUP, "worker %u does not say when its timed part begins and ends", i);
    return prony_tracer_check(tracer, error);
}

/* One sample, traced from its order to its answer. *messages: of one repetition. */
static int take(struct prony_bout *bout, struct prony_live *live, struct prony_tracer *tracer, int64_t repeats,
                int64_t *messages, struct prony_error *error)
{
    const struct prony_order order = {.kind = PRONY_ORDER_COUNT, .repeats = repeats};
    const uint64_t until = prony_now_ns() + (uint64_t)bout->run->method.timeout_ns;
    struct pollfd ready[] = {{.fd = tracer->signals, .events = POLLIN},
                             {.fd = live->client.control_fd, .events = POLLIN}};
    static struct prony_answer answer;
    int code;
    memset(tracer->tally, 0, (tracer->workers + 1u) * sizeof *tracer->tally);
    code = prony_client_send(&live->client, &order, NULL, error);
    while (code == 0) {
        prony_tracer_look(tracer);
        (void)poll(ready, 2, TICK_MS);
        if ((ready[1].revents & (POLLIN | POLLHUP)) != 0)
            break;
        if (interrupted(bout))
            return prony_fail(error, -EINTR, "the run was interrupted");
        if (prony_now_ns() > until)
            return prony_fail(error, -ETIMEDOUT, "the traced sample did not end within %.3g s (--timeout)",
                              (double)bout->run->method.timeout_ns / 1e9);
    }
    if (code == 0)
        code = prony_client_take(&live->client, &answer, error);
    if (code == 0 && answer.error.code != 0)
        code = prony_fail(error, answer.error.code, "the traced sample failed: %.180s", answer.error.text);
    *messages = code == 0 ? answer.messages : 0;
    return code == 0 ? check_parts(live, tracer, error) : code;
}

static double between(uint64_t first, uint64_t second, double messages)
{
    return second > first ? (double)(second - first) / messages : 0;
}

static struct prony_calls a_message(const struct prony_tally_calls *first, const struct prony_tally_calls *second,
                                    double messages)
{
    return (struct prony_calls){between(first->done, second->done, messages),
                                between(first->futex, second->futex, messages),
                                between(first->vain, second->vain, messages)};
}

static void take_over(struct prony_cell *cell, const struct prony_tally_calls *first,
                      const struct prony_tally_calls *second, int64_t messages)
{
    cell->calls = a_message(&first[cell->workers], &second[cell->workers], (double)messages);
    for (unsigned i = 0; i < cell->workers; i++) {
        const struct prony_calls *own = &cell->who[i].calls;
        cell->who[i].calls = a_message(&first[i], &second[i], (double)messages);
        cell->calls.done += own->done;
        cell->calls.futex += own->futex;
        cell->calls.vain += own->vain;
    }
    cell->called_messages = messages;
}

/* Repetitions beyond the first one, in the second sample. */
static int64_t further(const struct prony_cell *cell, const struct prony_tally_calls *first, int64_t messages)
{
    double each_ns = (double)cell->calibrate_ns * (double)messages / (double)cell->need.messages;
    double wanted = ceil((double)LEAST / (double)messages), calls = 1;
    for (unsigned i = 0; i <= cell->workers; i++)
        calls += (double)(first[i].done + first[i].vain);
    wanted = fmin(wanted, fmin(CALLS_MOST / calls, each_ns > 0 ? longest_ns / each_ns : wanted));
    return wanted < 1 ? 1 : (int64_t)wanted;
}

/* A message that was given up in a visit may still be on its way, with a number beyond those of a short sample. */
static int drain(struct prony_bout *bout, struct prony_live *live, struct prony_error *error)
{
    const struct prony_order order = {.kind = PRONY_ORDER_COUNT, .repeats = 1};
    static struct prony_answer ignored;
    if ((live->cell->channel->head.caps & PRONY_CHANNEL_LOSSY) == 0)
        return 0;
    return prony_client_ask(&live->client, &order, NULL, &ignored, bout->run->method.timeout_ns, bout->watch->interrupt,
                            error);
}

/* What begins and ends a sample (a last answer, say) is in both of two samples, and in neither's difference. */
static int count(struct prony_bout *bout, struct prony_live *live, struct prony_tracer *tracer,
                 struct prony_error *error)
{
    struct prony_cell *cell = live->cell;
    const size_t bytes = (cell->workers + 1u) * sizeof *tracer->tally;
    struct prony_tally_calls *first = calloc(1, bytes);
    int64_t messages, more = 0;
    int code = first == NULL ? prony_fail(error, -ENOMEM, "no memory to count calls")
                             : take(bout, live, tracer, 1, &messages, error);
    if (code == 0) {
        memcpy(first, tracer->tally, bytes);
        more = further(cell, first, messages);
        code = take(bout, live, tracer, 1 + more, &messages, error);
    }
    if (code == 0)
        take_over(cell, first, tracer->tally, messages * more);
    free(first);
    return code;
}

void prony_calls(struct prony_bout *bout, struct prony_live *live, uint64_t deadline_ns)
{
    struct prony_cell *cell = live->cell;
    struct prony_error *error = &cell->calls_reason;
    const struct prony_slot *slots;
    struct prony_tracer tracer;
    uint64_t begun = prony_now_ns();
    int code = 0;
    if (deadline_ns != 0 && begun + PRONY_CALLS_NS > deadline_ns)
        code = prony_fail(error, -EDQUOT, "the budget was spent before system calls were counted");
    if (code == 0 && (code = drain(bout, live, error)) != 0)
        prony_client_kill(&live->client);
    if (code == 0) {
        slots = prony_board_slots(live->client.arena.base);
        code = prony_tracer_begin(&tracer, live->client.pid, slots, cell->workers, error);
    }
    if (code == 0) {
        code = count(bout, live, &tracer, error);
        if (prony_tracer_end(&tracer, code != 0 && code != -ENOTSUP) != 0)
            prony_client_kill(&live->client);
    }
    cell->spent_ns += prony_now_ns() - begun;
    prony_record_calls(&bout->journal, live);
}

/* The caller's side of the lanes: making pairs of ends, sending, and waiting for whichever worker speaks next.
 *
 * How the caller waits is the channel's own `wait`. Where ends have a descriptor, it sleeps in poll for all of them. Where
 * they have none (futexes, semaphores, rings), it can sleep at one end only: it looks at all, then sleeps at each in turn,
 * shortly; a worker that ends meanwhile is heard a little later. */
#include "parallel/carry_lane.h"
#include "base/clock.h"
#include "base/params.h"

#include <errno.h>

#define LOOK_NS 10000000u /* how often a sleeping caller looks for dead processes */
#define SLICE_NS 50000u   /* the first sleep at one of several ends */
#define SLICE_MOST 1000000u
#define HAND_NS 1000000 /* how long to wait for a worker to take its order out of the caller's hands */

int prony_lane_make(struct prony_carry *carry, unsigned index, struct prony_error *error)
{
    struct prony_lane *lane = &carry->lanes[index];
    int code = carry->channel->create(carry->crew.setup->carrier_params, 2, &lane->channel, error);
    if (code != 0)
        lane->channel = NULL;
    return code == 0 ? 0 : prony_fail_within(error, code, "channel %s", carry->channel->head.name);
}

void prony_lane_unmake(struct prony_carry *carry, unsigned index)
{
    struct prony_lane *lane = &carry->lanes[index];
    if (lane->end != NULL)
        carry->channel->detach(lane->end);
    if (lane->channel != NULL)
        carry->channel->destroy(lane->channel);
    lane->end = lane->channel = NULL;
}

/* The worker has attached when it is ready; only then may the caller settle. */
static bool is_open(struct prony_carry *carry, unsigned index)
{
    struct prony_lane *lane = &carry->lanes[index];
    struct prony_error error = {0, ""};
    struct prony_worker caller = {.index = 0, .count = carry->crew.workers};
    struct prony_blob blob;
    if (lane->end != NULL)
        return true;
    if (lane->channel == NULL || carry->crew.mates[index].life != PRONY_ALIVE ||
        __atomic_load_n(&carry->crew.desks[index].ready, __ATOMIC_ACQUIRE) != 1)
        return false;
    if (carry->channel->address(lane->channel, 0, &blob) != 0 ||
        carry->channel->attach(&blob, &caller, &lane->end, &error) != 0) {
        lane->end = NULL;
        prony_crew_kill(&carry->crew, index, carry->crew.mates[index].cancelled);
        return false;
    }
    if (carry->channel->settle != NULL)
        carry->channel->settle(lane->channel);
    return true;
}

/* What holds a message takes it at once: a worker has one. Otherwise one that is stopped or has no processor would keep the
 * caller from all others: it has its order later. */
bool prony_lane_send(struct prony_carry *carry, unsigned index, uint32_t kind, const struct prony_task *task)
{
    const bool by_hand = (carry->channel->head.caps & PRONY_CHANNEL_RENDEZVOUS) != 0;
    struct prony_lane *lane = &carry->lanes[index];
    struct prony_carry_order *order = &lane->order[kind];
    int64_t sent;
    if (!is_open(carry, index))
        return false;
    *order = (struct prony_carry_order){.kind = kind};
    if (task != NULL)
        order->task = *task;
    sent = carry->channel->send(lane->end, order, sizeof *order, by_hand ? HAND_NS : -1);
    if (sent == (int64_t)sizeof *order || (by_hand && sent == -ETIMEDOUT))
        return true;
    prony_crew_kill(&carry->crew, index,
                    carry->crew.mates[index].cancelled); /* it is dead, or deaf: another one takes its place */
    return false;
}

/* Takes one completion, if there is one within the time. */
static bool hear(struct prony_carry *carry, unsigned index, int64_t timeout_ns)
{
    struct prony_lane *lane = &carry->lanes[index];
    struct prony_carry_reply reply;
    int64_t got = carry->channel->recv(lane->end, &reply, sizeof reply, timeout_ns);
    if (got == (int64_t)sizeof reply) {
        prony_carry_resolve(carry, index, &reply);
        return true;
    }
    if (got != -ETIMEDOUT && got != -EAGAIN && got != -EINTR) {
        prony_crew_kill(&carry->crew, index, carry->crew.mates[index].cancelled);
        carry->lost = true;
    }
    return false;
}

void prony_lane_drain(struct prony_carry *carry, unsigned index)
{
    struct prony_lane *lane = &carry->lanes[index];
    if (lane->busy && lane->end != NULL)
        (void)hear(carry, index, 0);
}

static unsigned look_at_all(struct prony_carry *carry)
{
    unsigned heard = 0;
    for (unsigned i = 0; i < carry->crew.workers; i++)
        if (carry->lanes[i].busy && carry->lanes[i].end != NULL)
            heard += hear(carry, i, 0);
    return heard;
}

static unsigned poll_all(struct prony_carry *carry, uint64_t sleep_ns)
{
    const struct timespec limit = {0, (long)sleep_ns};
    const int64_t patience = (carry->channel->head.caps & PRONY_CHANNEL_STREAM) != 0 ? -1 : 0;
    unsigned n = 0, heard = 0;
    for (unsigned i = 0; i < carry->crew.workers; i++)
        if (carry->lanes[i].busy && carry->lanes[i].end != NULL) {
            carry->polled[n] = i;
            carry->polls[n++] = (struct pollfd){carry->channel->pollfd(carry->lanes[i].end), POLLIN, 0};
        }
    if (ppoll(carry->polls, n, &limit, NULL) <= 0) /* where a bell is a hint, one end may have taken another one's */
        return sleep_ns > 0 && patience == 0 ? look_at_all(carry) : 0;
    for (unsigned i = 0; i < n; i++) {
        if ((carry->polls[i].revents & POLLIN) != 0)
            heard += hear(carry, carry->polled[i], patience);
        else if (carry->polls[i].revents != 0)
            carry->lost = true;
    }
    return heard;
}

/* Sleeps at one end after the other. */
static unsigned take_turns(struct prony_carry *carry, unsigned busy, unsigned round, uint64_t sleep_ns)
{
    const uint64_t slice = busy == 1 ? sleep_ns : round > 4 ? SLICE_MOST : SLICE_NS << round;
    for (unsigned i = 0; i < carry->crew.workers; i++) {
        unsigned at = carry->next = (carry->next + 1) % carry->crew.workers;
        if (carry->lanes[at].busy && carry->lanes[at].end != NULL)
            return hear(carry, at, (int64_t)(slice < sleep_ns ? slice : sleep_ns)) ? 1 : 0;
    }
    return 0;
}

static unsigned count_busy(const struct prony_carry *carry)
{
    unsigned busy = 0;
    for (unsigned i = 0; i < carry->crew.workers; i++)
        busy += carry->lanes[i].busy && carry->lanes[i].end != NULL;
    return busy;
}

unsigned prony_lanes_collect(struct prony_carry *carry, uint64_t deadline)
{
    const unsigned busy = count_busy(carry);
    uint64_t begun = prony_now_ns(), look = begun + LOOK_NS;
    unsigned heard = 0;
    if (busy == 0) { /* all that could speak are being replaced */
        const struct timespec pause = {0, SLICE_NS};
        if (deadline > begun)
            (void)nanosleep(&pause, NULL);
        return 0;
    }
    look = deadline < look ? deadline : look;
    carry->lost = false;
    for (unsigned round = 0; heard == 0; round++) {
        uint64_t now = round == 0 ? begun : prony_now_ns(), left = look > now ? look - now : 0;
        bool looks = carry->spins || (carry->adapts && now - begun < carry->budget_ns);
        if (carry->channel->pollfd != NULL && !carry->spins)
            heard = poll_all(carry, looks ? 0 : left);
        else if (busy == 1)
            heard = take_turns(carry, busy, round, left);
        else if ((heard = look_at_all(carry)) == 0 && !looks && left > 0)
            heard = take_turns(carry, busy, round, left);
        if (left == 0 || carry->lost)
            break;
    }
    return heard;
}

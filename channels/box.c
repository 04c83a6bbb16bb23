#include "channels/box.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* From slot to slot: pairs of lines. */
static uint64_t step_of(const struct prony_box_plan *plan)
{
    return (PRONY_SLOT_BYTES + (uint64_t)plan->slot + 127u) & ~(uint64_t)127u;
}

void prony_box_lay_out(const struct prony_params *params, struct prony_blob *a, struct prony_blob *b)
{
    struct prony_box_plan plan = {.slots = (uint32_t)prony_param_int(params, "slots"),
                                  .slot = ((uint32_t)prony_param_int(params, "slot") + 63u) & ~63u};
    plan.bytes = 2 * (sizeof(struct prony_box_way) + plan.slots * step_of(&plan));
    *prony_box_plan_of(a) = *prony_box_plan_of(b) = plan;
}

void prony_box_set_up(const struct prony_bell *bell, void *base)
{
    struct prony_box_way *way = base;
    for (int i = 0; i < 2 && bell->set_up != NULL; i++)
        bell->set_up(&way[i]);
}

int prony_box_connect(const struct prony_params *params, const struct prony_bell *bell, struct prony_blob *a,
                      struct prony_blob *b, void **result, struct prony_error *error)
{
    uint64_t bytes;
    void *base;
    int fd = prony_blob_add(a, memfd_create("prony-box", MFD_CLOEXEC)), code;
    prony_box_lay_out(params, a, b);
    bytes = prony_box_plan_of(a)->bytes;
    if (fd < 0 || ftruncate(fd, (off_t)bytes) != 0)
        return prony_fail(error, -errno, "no shared memory of %llu bytes: %s", (unsigned long long)bytes,
                          strerrordesc_np(errno));
    code = prony_blob_add_copy(b, fd, error);
    if (code != 0)
        return code;
    base = mmap(NULL, 2 * sizeof(struct prony_box_way), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED)
        return prony_fail(error, -errno, "shared memory cannot be mapped: %s", strerrordesc_np(errno));
    prony_box_set_up(bell, base);
    if (result != NULL)
        *result = base;
    else
        (void)munmap(base, 2 * sizeof(struct prony_box_way));
    return 0;
}

int prony_box_join(const struct prony_params *params, const struct prony_bell *bell, struct prony_blob *a,
                   struct prony_blob *b, struct prony_error *error)
{
    int code = prony_box_connect(params, bell, a, b, NULL, error);
    return code != 0 ? code : prony_lifeline(a, b, error);
}

void prony_box_place(const struct prony_blob *blob, const struct prony_bell *bell, struct prony_box *box, void *base)
{
    const struct prony_call *call = (const struct prony_call *)(const void *)blob->data;
    struct prony_box_way *way = base;
    memcpy(&box->plan, call->own, sizeof box->plan);
    box->bell = bell;
    box->line.stride = bell->memory ? PRONY_STRIDE_MEMORY : PRONY_STRIDE_CALL;
    box->base = base;
    box->number = call->number & 1u;
    box->step = step_of(&box->plan);
    for (unsigned i = 0; i < 2; i++) { /* end 0 sends the first way, end 1 the second */
        unsigned which = i == PRONY_OUT ? box->number : box->number ^ 1u;
        box->way[i] = &way[which];
        box->slots[i] = box->base + 2 * sizeof *way + which * box->plan.slots * box->step;
        box->after[i] = box->slots[i] + box->plan.slots * box->step;
        box->position[i] = __atomic_load_n(i == PRONY_OUT ? &way[which].head : &way[which].tail, __ATOMIC_ACQUIRE);
        box->next[i] = box->slots[i] + box->position[i] % box->plan.slots * box->step;
    }
    box->room = __atomic_load_n(&box->way[PRONY_OUT]->tail, __ATOMIC_ACQUIRE);
}

static void unmap_box(struct prony_box *box)
{
    (void)munmap(box->base, box->plan.bytes);
}

int prony_box_attach(const struct prony_blob *blob, const struct prony_bell *bell, struct prony_box *box,
                     struct prony_error *error)
{
    struct prony_box_plan plan;
    void *base;
    int code = prony_line_attach(blob, &box->line, error);
    if (code != 0)
        return code;
    memcpy(&plan, ((const struct prony_call *)(const void *)blob->data)->own, sizeof plan);
    base = mmap(NULL, plan.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, box->line.fd[0], 0);
    if (base == MAP_FAILED) {
        code = prony_fail(error, -errno, "shared memory cannot be mapped: %s", strerrordesc_np(errno));
        prony_line_detach(&box->line);
        return code;
    }
    prony_box_place(blob, bell, box, base);
    box->unmap = unmap_box;
    return 0;
}

int prony_box_new(const struct prony_blob *blob, const struct prony_bell *bell, void **end, struct prony_error *error)
{
    struct prony_box *box = calloc(1, sizeof *box);
    int code =
        box == NULL ? prony_fail(error, -ENOMEM, "no memory for an end") : prony_box_attach(blob, bell, box, error);
    if (code == 0)
        *end = box;
    else
        free(box);
    return code;
}

void prony_box_free(void *end)
{
    struct prony_box *box = end;
    box->unmap(box);
    prony_line_detach(&box->line);
    free(box);
}

static int await_room(struct prony_box *box, uint64_t deadline)
{
    struct prony_waiting waiting = prony_wait_at(&box->line, PRONY_OUT, deadline);
    uint32_t *full = &box->way[PRONY_OUT]->full;
    while (prony_box_is_full(box)) {
        int code = prony_box_is_dead(box) ? -EPIPE : prony_wait_next(&waiting);
        if (code < 0)
            return code;
        if (code == 0)
            continue;
        __atomic_store_n(full, 1, __ATOMIC_SEQ_CST);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        if (prony_box_is_full(box))
            (void)prony_futex_wait(full, 1, (int64_t)waiting.slice_ns);
        __atomic_store_n(full, 0, __ATOMIC_RELAXED);
    }
    prony_wait_end(&waiting);
    return 0;
}

int64_t prony_box_send(void *end, const void *data, size_t bytes, int64_t timeout_ns)
{
    struct prony_box *box = end;
    const uint64_t deadline = prony_line_deadline(timeout_ns);
    size_t done = 0;
    do {
        size_t piece = bytes - done < box->plan.slot ? bytes - done : box->plan.slot;
        int code = prony_box_is_full(box) ? await_room(box, deadline) : 0;
        if (code != 0)
            return code;
        prony_box_fill(box, (const char *)data + done, piece, done + piece < bytes);
        code = box->bell->ring(box);
        if (code != 0)
            return code;
        done += piece;
    } while (done < bytes);
    return (int64_t)bytes;
}

/* Until the bell has told of a message that is there. Asleep it goes straight into the mechanism's own call. Where rings
 * are counted the slot is left alone until then: looking at it would be in the way of the sender. */
static int await_message(struct prony_box *box, uint64_t deadline)
{
    struct prony_waiting waiting = prony_wait_at(&box->line, PRONY_IN, deadline);
    const bool sleeps = box->line.wait == PRONY_WAIT_BLOCK || box->line.wait == PRONY_WAIT_POLL;
    bool gone = false; /* the peer is: what it sent before is still there */
    int code = 0;
    if (!box->bell->counts && !prony_box_is_empty(box))
        return 0;
    if (prony_box_is_dead(box) && prony_box_is_empty(box))
        return -EPIPE;
    waiting.slice_ns = PRONY_LOOK_NS;
    if (sleeps && deadline != UINT64_MAX)
        code = prony_wait_look(&waiting);
    for (uint64_t nap = sleeps && code >= 0 ? waiting.slice_ns : 0;;) {
        int heard = box->bell->hear(box, nap, deadline == UINT64_MAX);
        if (heard == 0 || !box->bell->counts) {
            if (!prony_box_is_empty(box)) {
                prony_wait_end(&waiting);
                return 0;
            }
            if (prony_box_is_dead(box))
                return -EPIPE;
        }
        if (heard != 0 && heard != -EAGAIN)
            return heard;
        if (gone)
            return -EPIPE;
        code = prony_wait_next(&waiting);
        gone = code == -EPIPE;
        if (code < 0 && !gone)
            return code;
        nap = code == 1 ? waiting.slice_ns : 0;
    }
}

void prony_box_wake_sender(struct prony_box *box)
{
    uint32_t *full = &box->way[PRONY_IN]->full;
    __atomic_store_n(full, 0, __ATOMIC_RELAXED);
    prony_futex_wake(full, 1);
}

int64_t prony_box_take_on(struct prony_box *box, void *data, size_t bytes, uint64_t deadline, bool heard)
{
    size_t done = 0;
    uint32_t word;
    do {
        size_t room = done < bytes ? bytes - done : 0, piece;
        int code = heard ? 0 : await_message(box, deadline);
        if (code != 0)
            return code;
        heard = false;
        word = prony_slot_word(prony_slot_at(box, PRONY_IN));
        piece = word & ~PRONY_SLOT_MORE;
        prony_box_empty(box, room > 0 ? (char *)data + done : NULL, piece, piece < room ? piece : room);
        done += piece;
    } while ((word & PRONY_SLOT_MORE) != 0);
    return done > bytes ? -EMSGSIZE : (int64_t)done;
}

int64_t prony_box_recv(void *end, void *data, size_t bytes, int64_t timeout_ns)
{
    return prony_box_take_on(end, data, bytes, prony_line_deadline(timeout_ns), false);
}

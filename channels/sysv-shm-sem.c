/* sysv-shm-sem: messages in a System V shared memory segment, counted by System V semaphores, one for each direction.
 *
 * Messages with boundaries; one semop to post and one to take a message (a slot). The segment is marked for removal as soon as it is
 * attached (Linux lets others attach it still); the semaphores are removed by the pair's keeper, also when all others are
 * killed. */
#include "channels/box.h"

#include "channels/keeper.h"

#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <time.h>

static const struct prony_option options[] = {
    PRONY_LINE_OPTIONS(prony_waits_own),
    PRONY_BOX_OPTIONS,
    {.name = NULL},
};

enum { SHM, SEM }; /* in plan.bell */

/* Memory of keeper and creator. */
struct kept {
    uint64_t bytes;
    int shm, sem;
    struct prony_box_way *way; /* where the keeper sees it */
};

static int sysv_ring(struct prony_box *box)
{
    struct sembuf post = {(unsigned short)box->number, 1, 0};
    while (semop(box->plan.bell[SEM], &post, 1) != 0)
        if (errno != EINTR)
            return errno == EIDRM || errno == EINVAL ? -EPIPE : -errno;
    return 0;
}

static int sysv_hear(struct prony_box *box, uint64_t sleep_ns, bool forever)
{
    struct timespec limit = {(time_t)(sleep_ns / 1000000000u), (long)(sleep_ns % 1000000000u)};
    struct sembuf take = {(unsigned short)(box->number ^ 1u), -1, sleep_ns == 0 ? IPC_NOWAIT : 0};
    if (semtimedop(box->plan.bell[SEM], &take, 1, sleep_ns == 0 || forever ? NULL : &limit) == 0)
        return 0;
    if (errno == EIDRM || errno == EINVAL)
        return -EPIPE;
    return errno == EAGAIN || errno == EINTR ? -EAGAIN : -errno;
}

static const struct prony_bell bell = {.counts = true, .ring = sysv_ring, .hear = sysv_hear};
PRONY_BOX_MOVES(sysv, &bell)

static int sysv_make(void *shared, struct prony_error *error)
{
    struct kept *kept = shared;
    void *base;
    kept->shm = shmget(IPC_PRIVATE, kept->bytes, IPC_CREAT | 0600);
    if (kept->shm < 0)
        return prony_fail(error, -errno,
                          "no segment of %llu bytes: %s (raise /proc/sys/kernel/shmmax, shmall or shmmni)",
                          (unsigned long long)kept->bytes, strerrordesc_np(errno));
    base = shmat(kept->shm, NULL, 0);
    (void)shmctl(kept->shm, IPC_RMID, NULL);
    if (base == (void *)-1)
        return prony_fail(error, -errno, "a segment cannot be attached: %s", strerrordesc_np(errno));
    kept->way = base;
    kept->sem = semget(IPC_PRIVATE, 2, IPC_CREAT | 0600);
    if (kept->sem < 0)
        return prony_fail(error, -errno,
                          "no semaphores: %s (raise the second and the fourth number of /proc/sys/kernel/sem)",
                          strerrordesc_np(errno));
    prony_box_set_up(&bell, base);
    return 0;
}

static void sysv_gone(void *shared, int end)
{
    struct kept *kept = shared;
    for (int i = 0; i < 2; i++) {
        struct sembuf post = {(unsigned short)i, 1, IPC_NOWAIT};
        __atomic_store_n(&kept->way[i].dead, 1, __ATOMIC_SEQ_CST);
        if (end != (i ^ 1))
            (void)semop(kept->sem, &post, 1);
    }
}

static void sysv_clean(void *shared)
{
    const struct kept *kept = shared;
    if (kept->sem >= 0)
        (void)semctl(kept->sem, 0, IPC_RMID);
}

static const struct prony_keep keep = {.make = sysv_make, .gone = sysv_gone, .clean = sysv_clean};

static int sysv_connect(const struct prony_params *params, struct prony_blob *a, struct prony_blob *b,
                        struct prony_error *error)
{
    struct kept *kept = mmap(NULL, sizeof *kept, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int code;
    if (kept == MAP_FAILED)
        return prony_fail(error, -errno, "no memory for a keeper: %s", strerrordesc_np(errno));
    prony_box_lay_out(params, a, b);
    *kept = (struct kept){.bytes = prony_box_plan_of(a)->bytes, .shm = -1, .sem = -1};
    code = prony_keeper_start(a, b, &keep, kept, NULL, 0, error);
    if (code == 0) {
        prony_box_plan_of(a)->bell[SHM] = prony_box_plan_of(b)->bell[SHM] = kept->shm;
        prony_box_plan_of(a)->bell[SEM] = prony_box_plan_of(b)->bell[SEM] = kept->sem;
    }
    (void)munmap(kept, sizeof *kept);
    return code;
}

static int sysv_create(const struct prony_params *params, unsigned ends, void **channel, struct prony_error *error)
{
    return prony_lines_make(params, ends, sysv_connect, channel, error);
}

static void sysv_unmap(struct prony_box *box)
{
    (void)shmdt(box->base);
}

static int sysv_attach(const struct prony_blob *blob, struct prony_worker *worker, void **end,
                       struct prony_error *error)
{
    struct prony_box *box = calloc(1, sizeof *box);
    struct prony_box_plan plan;
    void *base;
    int code;
    (void)worker;
    if (box == NULL)
        return prony_fail(error, -ENOMEM, "no memory for an end");
    memcpy(&plan, ((const struct prony_call *)(const void *)blob->data)->own, sizeof plan);
    code = prony_line_attach(blob, &box->line, error);
    if (code == 0 && (base = shmat(plan.bell[SHM], NULL, 0)) == (void *)-1) {
        code = prony_fail(error, -errno, "the segment cannot be attached: %s", strerrordesc_np(errno));
        prony_line_detach(&box->line);
    }
    if (code != 0) {
        free(box);
        return code;
    }
    prony_box_place(blob, &bell, box, base);
    box->unmap = sysv_unmap;
    *end = box;
    return 0;
}

PRONY_EXPORT(channel, sysv_shm_sem) = {
    .head = PRONY_HEAD(struct prony_channel, .name = "sysv-shm-sem",
                       .summary = "System V semaphores over a System V segment",
                       .caps = PRONY_CHANNEL_THREADS | PRONY_CHANNEL_PROCESSES | PRONY_CHANNEL_WAITS_OWN,
                       .options = options),
    .copies = 2,
    .create = sysv_create,
    .address = prony_lines_address,
    .attach = sysv_attach,
    .send = sysv_send,
    .recv = sysv_recv,
    .detach = prony_box_free,
    .destroy = prony_lines_destroy,
    .forget = prony_blob_forget,
    .settle = prony_lines_settle,
};

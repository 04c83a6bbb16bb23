/* An image: the arena of a cell host and its kernels, in a process that the host did not fork. */
#include "measure/image.h"

#include "base/clock.h"
#include "base/registry.h"
#include "engines/foreign.h"
#include "measure/board.h"
#include "measure/kernels.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

struct prony_image {
    struct prony_setup setup;
    const struct prony_kernel *kernels[2]; /* prony's own, the workload's */
    struct prony_worker worker;
    struct prony_foreign *foreign;
    bool joined;
};

static int role_barrier(struct prony_worker *worker, int64_t timeout_ns)
{
    struct prony_foreign *foreign = worker->engine;
    return prony_meeting_join(&foreign->role, worker->roles, timeout_ns);
}

static int role_stopped(struct prony_worker *worker)
{
    return prony_meeting_is_over(&((struct prony_foreign *)worker->engine)->role);
}

static const struct prony_worker_ops ops = {NULL, NULL, role_barrier, role_stopped};

/* The host's arena, opened through /proc because not every start method inherits descriptors. */
static int map_arena(struct prony_image *image, int host_pid, int arena_fd, struct prony_error *error)
{
    char path[64];
    struct stat file;
    void *base = MAP_FAILED;
    int fd, code = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", host_pid, arena_fd);
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return prony_fail(error, -errno, "%s cannot be opened: %s", path, strerrordesc_np(errno));
    if (fstat(fd, &file) != 0 || file.st_size < (off_t)sizeof(struct prony_board))
        code = prony_fail(error, -EINVAL, "%s is no arena", path);
    else {
        base = mmap(NULL, (size_t)file.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (base == MAP_FAILED)
            code = prony_fail(error, -errno, "the arena cannot be mapped: %s", strerrordesc_np(errno));
    }
    (void)close(fd);
    if (code != 0)
        return code;
    code = prony_board_setup(base, (uint64_t)file.st_size, &image->setup, error);
    if (code != 0)
        (void)munmap(base, (size_t)file.st_size);
    return code;
}

/* The workload by name: built into this library, or the host's plug-in file. */
static int resolve(struct prony_image *image, int host_pid, struct prony_error *error)
{
    const struct prony_board *board = (const void *)image->setup.base;
    const struct prony_head *head = NULL;
    int code;
    if (board->plugin_fd >= 0 && prony_registry_find(PRONY_WORKLOAD, board->workload, NULL) == NULL) {
        char path[64];
        (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", host_pid, board->plugin_fd);
        code = prony_registry_load(path, board->workload, &head, error);
        if (code != 0)
            return code;
    }
    const struct prony_workload *workload = prony_find_workload(board->workload, error);
    if (workload == NULL)
        return error == NULL ? -ENOENT : error->code;
    if (board->channel[0] != '\0' && (image->setup.channel = prony_find_channel(board->channel, error)) == NULL)
        return error == NULL ? -ENOENT : error->code;
    image->kernels[0] = prony_own_kernels;
    image->kernels[1] = workload->kernels;
    image->setup.kernels = image->kernels;
    image->setup.workloads = 2;
    return 0;
}

struct prony_image *prony_image_open(int host_pid, int arena_fd, struct prony_error *error)
{
    struct prony_image *image = calloc(1, sizeof *image);
    if (image == NULL) {
        (void)prony_fail(error, -ENOMEM, "no memory for an image");
        return NULL;
    }
    if (map_arena(image, host_pid, arena_fd, error) != 0)
        goto fail;
    if (resolve(image, host_pid, error) != 0)
        goto fail;
    if (image->setup.area.len < sizeof *image->foreign) {
        (void)prony_fail(error, -EINVAL, "the engine's area has %llu bytes, an image needs %zu",
                         (unsigned long long)image->setup.area.len, sizeof *image->foreign);
        goto fail;
    }
    image->setup.host_pid = host_pid;
    image->foreign = (void *)(image->setup.base + image->setup.area.off);
    return image;
fail:
    prony_image_close(image);
    return NULL;
}

int prony_image_join(struct prony_image *image, unsigned index, unsigned generation)
{
    pid_t parent = getppid();
    const struct prony_slot *slots = prony_board_slots(image->setup.base);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        return -ESRCH;
    if (index == PRONY_IMAGE_NEXT)
        index = __atomic_fetch_add(&image->foreign->claimed, 1, __ATOMIC_RELAXED);
    if (index >= image->setup.workers)
        return -EUSERS;
    prony_worker_init(&image->worker, &image->setup, index, generation == 0 ? slots[index].generation + 1 : generation);
    image->worker.engine = image->foreign;
    image->worker.ops = &ops;
    image->joined = true;
    return (int)index;
}

/* Takes the future of a task, unless it was cancelled. */
static bool claim(struct prony_future *future, uint32_t ticket)
{
    uint32_t queued = ticket << 2 | PRONY_QUEUED;
    return __atomic_compare_exchange_n(&future->state, &queued, ticket << 2 | PRONY_RUNNING, false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

int prony_kernel_begin(struct prony_image *image, const struct prony_task *task)
{
    struct prony_worker *worker = &image->worker;
    struct prony_future *future;
    if (!image->joined || task->ref.workload >= image->setup.workloads)
        return -EINVAL;
    if (task->future == 0) {
        worker->slot->lo = task->lo;
        return 0;
    }
    future = prony_at(worker, task->future);
    if (!claim(future, task->ticket))
        return -ECANCELED;
    worker->slot->held = task->future;
    future->worker = worker->index;
    future->generation = worker->generation;
    future->begun_ns = prony_now_ns();
    return 0;
}

void prony_kernel_end(struct prony_image *image, const struct prony_task *task)
{
    struct prony_slot *slot = image->worker.slot;
    if (task->future != 0)
        ((struct prony_future *)prony_at(&image->worker, task->future))->ended_ns = prony_now_ns();
    slot->lo = -1;
    slot->held = 0;
    slot->items += task->hi - task->lo;
}

int prony_kernel_call(struct prony_image *image, const struct prony_task *task)
{
    int status = prony_kernel_begin(image, task);
    if (status != 0)
        return status;
    status = prony_task_run(&image->worker, task);
    prony_kernel_end(image, task);
    return status;
}

const char *prony_image_workload(const struct prony_image *image)
{
    return ((const struct prony_board *)(const void *)image->setup.base)->workload;
}

const char *prony_image_channel(const struct prony_image *image, struct prony_blob *first, unsigned *ends)
{
    const struct prony_board *board = (const void *)image->setup.base;
    *ends = board->nends;
    if (board->nends > 0)
        memcpy(first, image->setup.base + board->ends.off, sizeof *first);
    return board->channel;
}

void *prony_image_memory(const struct prony_image *image, uint64_t *bytes)
{
    *bytes = image->setup.arena_bytes;
    return image->setup.base;
}

const void *prony_image_argument(const struct prony_image *image)
{
    return ((const struct prony_board *)(const void *)image->setup.base)->argument;
}

int prony_image_enter(struct prony_image *image, unsigned roles)
{
    int status = image->joined ? prony_meeting_join(&image->foreign->enter, image->worker.count, -1) : -EINVAL;
    if (status == 0)
        image->worker.roles = roles;
    return status;
}

int prony_image_begin(struct prony_image *image)
{
    return prony_worker_begin(&image->worker);
}

void prony_image_end(struct prony_image *image)
{
    prony_worker_end(&image->worker);
}

int prony_image_meet(struct prony_image *image)
{
    return role_barrier(&image->worker, -1);
}

int prony_image_stopped(struct prony_image *image)
{
    return role_stopped(&image->worker);
}

void prony_image_record(struct prony_image *image, uint64_t ns)
{
    prony_histogram_record(prony_at(&image->worker, image->worker.latency.off), ns);
}

void prony_image_leave(struct prony_image *image, int status)
{
    image->worker.roles = image->worker.count;
    if (status != 0)
        prony_foreign_stop(image->foreign);
    (void)prony_meeting_join(&image->foreign->leave, image->worker.count, -1);
}

int prony_image_gang(struct prony_image *image, const struct prony_task *task, unsigned roles)
{
    int status;
    if (!image->joined || task->ref.workload >= image->setup.workloads)
        return -EINVAL;
    status = prony_image_enter(image, roles);
    if (status == 0 && image->worker.index < roles)
        status = prony_task_run(&image->worker, task);
    prony_image_leave(image, status);
    return status;
}

void prony_image_close(struct prony_image *image)
{
    if (image == NULL)
        return;
    if (image->setup.base != NULL)
        (void)munmap(image->setup.base, image->setup.arena_bytes);
    free(image);
}

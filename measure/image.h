/* Kernels in a foreign process: a CPython worker loads the library prony_image (lib/libprony_image.so) with ctypes, maps
 * the arena of the cell host and runs tasks that are handed to it as 128 bytes.
 *
 *     image = prony_image_open(host_pid, arena_fd, error)    once a process (NULL: error->text says why)
 *     prony_image_join(image, PRONY_IMAGE_NEXT, 0)           becomes a worker: its slot, parent-death signal
 *     prony_kernel_call(image, task)                         runs one task; 0 or -errno
 *     prony_image_gang(image, task, roles)                   takes part in a gang
 *
 * An image may be opened before a fork and joined after it, in the child. It is one worker: threads open one each, in turn. */
#ifndef PRONY_MEASURE_IMAGE_H
#define PRONY_MEASURE_IMAGE_H

#include <prony/error.h>
#include <prony/setup.h>

#define PRONY_IMAGE_NEXT UINT32_MAX /* the next index that nobody has claimed */

struct prony_image;

/* Maps descriptor `arena_fd` of process `host_pid`, reads its board and resolves the kernels by name. */
struct prony_image *prony_image_open(int host_pid, int arena_fd, struct prony_error *error);
/* Generation 0: the next one of that index. Returns the worker's index, -EUSERS when all are claimed, -ESRCH when the
 * parent is gone already. */
int prony_image_join(struct prony_image *image, unsigned index, unsigned generation);
/* A task with a future claims it first: -ECANCELED when it was cancelled. The engine marks it DONE. */
int prony_kernel_call(struct prony_image *image, const struct prony_task *task);
/* The two ends of that call, for a worker that does the task's work itself: begin claims the task (0; -ECANCELED and
 * -EINVAL: leave it alone), end notes it as completed. */
int prony_kernel_begin(struct prony_image *image, const struct prony_task *task);
void prony_kernel_end(struct prony_image *image, const struct prony_task *task);
/* The name of the cell's workload, and the arena in this process. */
const char *prony_image_workload(const struct prony_image *image);
void *prony_image_memory(const struct prony_image *image, uint64_t *bytes);
/* The name of the cell's channel, empty without one, its first address and how many it has. */
const char *prony_image_channel(const struct prony_image *image, struct prony_blob *first, unsigned *ends);
/* Called once in every worker of the engine (see engines/foreign.h): those below `roles` run the kernel, all alive at the
 * same time. The kernel's result, 0 for the others, -ECANCELED when the gang was stopped. */
int prony_image_gang(struct prony_image *image, const struct prony_task *task, unsigned roles);
/* The parts of that call, for a worker that does the kernel's work itself: every worker enters; those below `roles` work,
 * when entering gave 0, with begin and end around what is timed, and may meet again after it; every worker leaves with its
 * status, and one that is not 0 stops the gang. */
int prony_image_enter(struct prony_image *image, unsigned roles);
int prony_image_begin(struct prony_image *image);
void prony_image_end(struct prony_image *image);
int prony_image_meet(struct prony_image *image);
int prony_image_stopped(struct prony_image *image);
/* Between begin and end, for workloads that clock every operation. */
void prony_image_record(struct prony_image *image, uint64_t ns);
void prony_image_leave(struct prony_image *image, int status);
/* What the workload's tasks carry (the 64 bytes of a task's arg), known before the engine opens. */
const void *prony_image_argument(const struct prony_image *image);
void prony_image_close(struct prony_image *image);

#endif

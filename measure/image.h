/* Kernels in a foreign process: a CPython worker loads the library prony_image (lib/libprony_image.so) with ctypes, maps
 * the arena of the cell host and runs tasks that are handed to it as 128 bytes.
 *
 *     handle = prony_image_open(host_pid, arena_fd, error)   once a process (NULL: error->text says why)
 *     prony_image_join(handle, index, generation)            becomes a worker: its slot, parent-death signal
 *     prony_kernel_call(handle, task)                        runs one task; 0 or -errno
 *
 * Not thread-safe: one worker a process. */
#ifndef PRONY_MEASURE_IMAGE_H
#define PRONY_MEASURE_IMAGE_H

#include <prony/error.h>
#include <prony/task.h>

struct prony_image;

struct prony_image *prony_image_open(int host_pid, int arena_fd, struct prony_error *error);
int prony_image_join(struct prony_image *image, unsigned index, unsigned generation);
int prony_kernel_call(struct prony_image *image, const struct prony_task *task);
void prony_image_close(struct prony_image *image);

#endif

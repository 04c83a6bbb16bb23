#include "measure/sampler.h"
#include "counters/perf_open.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES_MOST = 16, DEPTH_MOST = 127 };

/* One worker's event and the kernel's buffer of it. */
struct eye {
    int fd;
    struct perf_event_mmap_page *head; /* then the data pages */
    uint64_t bytes;                    /* of data: a power of two */
};

struct prony_sampler {
    unsigned char *base;
    unsigned count;
    struct eye eye[];
};

static int open_event(int tid, uint64_t period_ns)
{
    struct perf_event_attr what = {
        .type = PERF_TYPE_SOFTWARE,
        .size = sizeof what,
        .config = PERF_COUNT_SW_TASK_CLOCK,
        .sample_period = period_ns,
        .sample_type = PERF_SAMPLE_CALLCHAIN,
        .disabled = 1,
        .exclude_kernel = 1,
        .exclude_hv = 1,
        .exclude_callchain_kernel = 1,
        .sample_max_stack = DEPTH_MOST,
    };
    long fd = syscall(SYS_perf_event_open, &what, tid, -1, -1, PERF_FLAG_FD_CLOEXEC);
    return fd < 0 ? -errno : (int)fd;
}

/* Memory for the kernel to write into: less where unprivileged users may lock only a little. */
static int map_buffer(struct eye *eye)
{
    for (unsigned pages = PAGES_MOST; pages > 0; pages /= 2) {
        void *at = mmap(NULL, (pages + 1) * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, eye->fd, 0);
        if (at != MAP_FAILED) {
            eye->head = at;
            eye->bytes = (uint64_t)pages * PAGE;
            return 0;
        }
    }
    return -errno;
}

int prony_sampler_open(unsigned char *base, uint64_t period_ns, struct prony_sampler **sampler,
                       struct prony_error *error)
{
    const struct prony_board *board = (const struct prony_board *)(const void *)base;
    const struct prony_slot *slots = prony_board_slots(base);
    struct prony_sampler *made = calloc(1, sizeof *made + board->workers * sizeof made->eye[0]);
    char reason[104];
    int code = 0;
    if (made == NULL)
        return prony_fail(error, -ENOMEM, "no memory to sample");
    made->base = base;
    for (unsigned i = 0; i < board->workers && code == 0; i++, made->count++) {
        made->eye[i].fd = slots[i].tid == 0 ? -ESRCH : open_event(slots[i].tid, period_ns);
        code = made->eye[i].fd < 0 ? made->eye[i].fd : map_buffer(&made->eye[i]);
        if (code == 0)
            continue;
        if (code == -ESRCH)
            (void)prony_fail(error, -ENOTSUP, "no sampled profile: worker %u has no thread", i);
        else if (made->eye[i].fd >= 0)
            (void)prony_fail(error, -ENOTSUP,
                             "no sampled profile: no memory for the kernel's buffer of worker %u (raise "
                             "kernel.perf_event_mlock_kb)",
                             i);
        else {
            (void)prony_perf_why(code, reason, sizeof reason);
            (void)prony_fail(error, -ENOTSUP, "no sampled profile: %s", reason);
        }
        code = -ENOTSUP;
    }
    if (code == 0)
        *sampler = made;
    else
        prony_sampler_close(made);
    return code;
}

void prony_sampler_run(struct prony_sampler *sampler, bool on)
{
    for (unsigned i = 0; i < sampler->count; i++)
        (void)ioctl(sampler->eye[i].fd, on ? PERF_EVENT_IOC_ENABLE : PERF_EVENT_IOC_DISABLE, 0);
}

/* Bytes at a position of the ring that may lie on its seam. */
static void copy_out(const struct eye *eye, uint64_t at, void *to, uint64_t bytes)
{
    const unsigned char *data = (const unsigned char *)eye->head + PAGE;
    for (uint64_t i = 0; i < bytes;) {
        uint64_t from = (at + i) & (eye->bytes - 1), run = eye->bytes - from;
        run = run < bytes - i ? run : bytes - i;
        memcpy((unsigned char *)to + i, data + from, run);
        i += run;
    }
}

static void keep(unsigned char *base, unsigned worker, const uint64_t *chain, uint64_t n)
{
    const struct prony_board *board = (const struct prony_board *)(const void *)base;
    struct prony_trail *trail = prony_board_trail(base);
    struct prony_stack stack = {worker, 0};
    uint64_t addresses[DEPTH_MOST];
    unsigned char *at = base + board->stacks.off + trail->stacks_bytes;
    for (uint64_t i = 0; i < n && stack.depth < DEPTH_MOST; i++)
        if (chain[i] < (uint64_t)PERF_CONTEXT_MAX) /* larger ones say what kind of addresses follow */
            addresses[stack.depth++] = chain[i];
    if (stack.depth == 0)
        return;
    if (trail->stacks_bytes + sizeof stack + stack.depth * sizeof addresses[0] > board->stacks.len) {
        trail->dropped++;
        return;
    }
    memcpy(at, &stack, sizeof stack);
    memcpy(at + sizeof stack, addresses, stack.depth * sizeof addresses[0]);
    trail->stacks_bytes += sizeof stack + stack.depth * sizeof addresses[0];
    trail->stacks++;
}

static void collect_one(struct prony_sampler *sampler, unsigned worker)
{
    struct eye *eye = &sampler->eye[worker];
    uint64_t head = __atomic_load_n(&eye->head->data_head, __ATOMIC_ACQUIRE), at = eye->head->data_tail;
    struct {
        struct perf_event_header header;
        uint64_t word[DEPTH_MOST + 8];
    } record;
    while (at < head) {
        copy_out(eye, at, &record.header, sizeof record.header);
        if (record.header.size < sizeof record.header)
            break;
        if (record.header.size <= sizeof record) {
            copy_out(eye, at, &record, record.header.size);
            if (record.header.type == PERF_RECORD_SAMPLE && (record.word[0] + 1) * 8 <= record.header.size)
                keep(sampler->base, worker, &record.word[1], record.word[0]);
            else if (record.header.type == PERF_RECORD_LOST)
                prony_board_trail(sampler->base)->dropped += record.word[1];
        }
        at += record.header.size;
    }
    __atomic_store_n(&eye->head->data_tail, head, __ATOMIC_RELEASE);
}

void prony_sampler_collect(struct prony_sampler *sampler)
{
    for (unsigned i = 0; i < sampler->count; i++)
        collect_one(sampler, i);
}

void prony_sampler_close(struct prony_sampler *sampler)
{
    for (unsigned i = 0; sampler != NULL && i < sampler->count; i++) {
        if (sampler->eye[i].head != NULL)
            (void)munmap(sampler->eye[i].head, PAGE + sampler->eye[i].bytes);
        if (sampler->eye[i].fd >= 0)
            (void)close(sampler->eye[i].fd);
    }
    free(sampler);
}

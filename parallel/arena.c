/* The arena: a sealed memfd and a bump allocator over it. */
#include <prony/arena.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST 64u /* offset 0 means "none" */

static int map(struct prony_arena *arena, struct prony_error *error)
{
    void *base = mmap(NULL, arena->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, arena->fd, 0);
    if (base == MAP_FAILED)
        return prony_fail(error, -errno, "cannot map an arena of %llu bytes: %s", (unsigned long long)arena->bytes,
                          strerrordesc_np(errno));
    arena->base = base;
    return 0;
}

int prony_arena_create(struct prony_arena *arena, uint64_t bytes, struct prony_error *error)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    int code;
    *arena = (struct prony_arena){.fd = -1, .used = FIRST};
    if (bytes == 0 || bytes > INT64_MAX - page)
        return prony_fail(error, -EINVAL, "an arena of %llu bytes cannot be", (unsigned long long)bytes);
    arena->bytes = (bytes + page - 1) / page * page;
    arena->fd = memfd_create("prony-arena", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (arena->fd < 0)
        return prony_fail(error, -errno, "cannot make an arena: memfd_create: %s", strerrordesc_np(errno));
    if (ftruncate(arena->fd, (off_t)arena->bytes) != 0 ||
        fcntl(arena->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        code = prony_fail(error, -errno, "cannot size and seal an arena of %llu bytes: %s",
                          (unsigned long long)arena->bytes, strerrordesc_np(errno));
    else
        code = map(arena, error);
    if (code != 0)
        prony_arena_close(arena);
    return code;
}

int prony_arena_attach(struct prony_arena *arena, int fd, struct prony_error *error)
{
    struct stat status;
    int code;
    *arena = (struct prony_arena){.fd = -1, .used = FIRST};
    if (fstat(fd, &status) != 0)
        return prony_fail(error, -errno, "descriptor %d is not an arena: %s", fd, strerrordesc_np(errno));
    if (status.st_size == 0)
        return prony_fail(error, -EINVAL, "descriptor %d is not an arena: it is empty", fd);
    arena->bytes = (uint64_t)status.st_size;
    arena->fd = fd;
    code = map(arena, error);
    if (code != 0)
        arena->fd = -1;
    return code;
}

int prony_arena_take(struct prony_arena *arena, uint64_t bytes, uint64_t align, struct prony_span *span,
                     struct prony_error *error)
{
    uint64_t off;
    if (align == 0 || (align & (align - 1)) != 0)
        return prony_fail(error, -EINVAL, "an alignment of %llu is not a power of two", (unsigned long long)align);
    off = (arena->used + align - 1) & ~(align - 1);
    if (off < arena->used || off > arena->bytes || bytes > arena->bytes - off)
        return prony_fail(error, -ENOMEM, "the arena of %llu bytes is full: %llu more do not fit",
                          (unsigned long long)arena->bytes, (unsigned long long)bytes);
    arena->used = off + bytes;
    *span = (struct prony_span){off, bytes};
    return 0;
}

void prony_arena_close(struct prony_arena *arena)
{
    if (arena->base != NULL)
        (void)munmap(arena->base, arena->bytes);
    if (arena->fd >= 0)
        (void)close(arena->fd);
    *arena = (struct prony_arena){.fd = -1};
}

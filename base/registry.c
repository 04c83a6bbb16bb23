#include "base/registry.h"
#include "base/text.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOADED_MOST = 64 };

/* Plug-ins from shared objects: appended by the main thread, never removed (their kernels may be in use). */
static struct {
    enum prony_kind kind;
    const struct prony_head *head;
    char *path;
    int fd;
} loaded[LOADED_MOST];
static unsigned loaded_count;

static const struct {
    const char *name, *symbol;
    uint32_t size;
} kinds[PRONY_KINDS] = {
    [PRONY_ENGINE] = {"engine", "prony_engine", sizeof(struct prony_engine)},
    [PRONY_WORKLOAD] = {"workload", "prony_workload", sizeof(struct prony_workload)},
    [PRONY_CHANNEL] = {"channel", "prony_channel", sizeof(struct prony_channel)},
    [PRONY_PROVIDER] = {"counter", "prony_provider", sizeof(struct prony_provider)},
};

const char *prony_kind_name(enum prony_kind kind)
{
    return kind < PRONY_KINDS ? kinds[kind].name : "plug-in";
}

const struct prony_head *prony_registry_at(enum prony_kind kind, unsigned i)
{
    const struct prony_head *const *head = prony_builtin[kind];
    for (; *head != NULL; head++, i--)
        if (i == 0)
            return *head;
    for (unsigned j = 0; j < loaded_count; j++)
        if (loaded[j].kind == kind && i-- == 0)
            return loaded[j].head;
    return NULL;
}

const struct prony_head *prony_registry_find(enum prony_kind kind, const char *name, struct prony_error *error)
{
    const char *names[256];
    char hint[120];
    unsigned n = 0;
    const struct prony_head *head;
    for (; (head = prony_registry_at(kind, n)) != NULL; n++) {
        if (strcmp(head->name, name) == 0)
            return head;
        if (n < 200)
            names[n] = head->name;
    }
    for (const struct prony_absent *absent = prony_builtin_absent; absent->name != NULL; absent++)
        if (absent->kind == kind && strcmp(absent->name, name) == 0) {
            (void)prony_fail(error, -ENOTSUP, "%s %s: %s", prony_kind_name(kind), name, absent->reason);
            return NULL;
        }
    names[n < 200 ? n : 200] = NULL;
    (void)prony_fail(error, -ENOENT, "there is no %s '%s'%s (prony list %ss)", prony_kind_name(kind), name,
                     prony_text_nearest(name, names, hint, sizeof hint), prony_kind_name(kind));
    return NULL;
}

const struct prony_engine *prony_find_engine(const char *name, struct prony_error *error)
{
    return (const struct prony_engine *)(const void *)prony_registry_find(PRONY_ENGINE, name, error);
}

const struct prony_workload *prony_find_workload(const char *name, struct prony_error *error)
{
    return (const struct prony_workload *)(const void *)prony_registry_find(PRONY_WORKLOAD, name, error);
}

const struct prony_channel *prony_find_channel(const char *name, struct prony_error *error)
{
    return (const struct prony_channel *)(const void *)prony_registry_find(PRONY_CHANNEL, name, error);
}

const struct prony_provider *prony_find_provider(const char *name, struct prony_error *error)
{
    return (const struct prony_provider *)(const void *)prony_registry_find(PRONY_PROVIDER, name, error);
}

const char *prony_registry_path(const struct prony_head *head)
{
    for (unsigned i = 0; i < loaded_count; i++)
        if (loaded[i].head == head)
            return loaded[i].path;
    return NULL;
}

int prony_registry_fd(const struct prony_head *head)
{
    for (unsigned i = 0; i < loaded_count; i++)
        if (loaded[i].head == head)
            return loaded[i].fd;
    return -1;
}

/* Opens the file and checks it; a descriptor or -errno. The descriptor, not the path, is what is loaded: it cannot be replaced in between. */
static int open_file(const char *path, const char *shown, struct prony_error *error)
{
    struct stat file;
    int fd = open(path, O_RDONLY | O_CLOEXEC), code = 0;
    if (fd < 0)
        return prony_fail(error, -errno, "plug-in %s cannot be read: %s", shown, strerrordesc_np(errno));
    if (fstat(fd, &file) != 0)
        code = prony_fail(error, -errno, "plug-in %s cannot be read: %s", shown, strerrordesc_np(errno));
    else if (!S_ISREG(file.st_mode))
        code = prony_fail(error, -EINVAL, "plug-in %s is not a file", shown);
    else if ((file.st_mode & S_IWOTH) != 0)
        code = prony_fail(error, -EACCES, "plug-in %s is refused: others may write it (chmod o-w %s)", shown, shown);
    if (code == 0) { /* out of the way of the low numbers at which a cell host finds what it inherits */
        code = fcntl(fd, F_DUPFD_CLOEXEC, 32);
        if (code < 0)
            code = prony_fail(error, -errno, "plug-in %s: no descriptors left (ulimit -n)", shown);
    }
    (void)close(fd);
    return code;
}

/* The same file again would be the same library, and ld.so would keep the descriptor's path as a name of it: the next
 * file under that descriptor would never be looked at. */
static int check_fresh(int fd, const char *shown, struct prony_error *error)
{
    struct stat file, other;
    if (fstat(fd, &file) != 0)
        return prony_fail(error, -errno, "plug-in %s cannot be read: %s", shown, strerrordesc_np(errno));
    for (unsigned i = 0; i < loaded_count; i++)
        if (fstat(loaded[i].fd, &other) == 0 && other.st_dev == file.st_dev && other.st_ino == file.st_ino)
            return prony_fail(error, -EEXIST, "plug-in %s is loaded already, as %s", shown, loaded[i].head->name);
    return 0;
}

static int check_head(const struct prony_head *head, enum prony_kind kind, const char *shown, struct prony_error *error)
{
    if (head->abi != PRONY_ABI)
        return prony_fail(error, -EPROTO, "plug-in %s was built for ABI %u, this prony has %u: build it again", shown,
                          head->abi, PRONY_ABI);
    if (head->size != kinds[kind].size)
        return prony_fail(error, -EPROTO,
                          "plug-in %s has a struct prony_%s of %u bytes, this prony has %u: build it again", shown,
                          kind == PRONY_PROVIDER ? "provider" : kinds[kind].name, head->size, kinds[kind].size);
    if (head->name == NULL || head->name[0] == '\0' || head->summary == NULL)
        return prony_fail(error, -EPROTO, "plug-in %s has no name or summary", shown);
    return 0;
}

int prony_registry_load(const char *path, const char *shown, const struct prony_head **result,
                        struct prony_error *error)
{
    const struct prony_head *head = NULL;
    unsigned kind = 0;
    void *library;
    char opened[64];
    int code, fd;
    shown = shown == NULL ? path : shown;
    if (loaded_count == LOADED_MOST)
        return prony_fail(error, -ENOSPC, "plug-in %s: at most %d plug-ins can be loaded", shown, LOADED_MOST);
    fd = open_file(path, shown, error);
    if (fd < 0)
        return fd;
    code = check_fresh(fd, shown, error);
    if (code != 0)
        goto shut;
    (void)snprintf(opened, sizeof opened, "/proc/self/fd/%d", fd);
    library = dlopen(opened, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        code = prony_fail(error, -ENOEXEC, "plug-in %s cannot be loaded: %s", shown, dlerror());
        goto shut;
    }
    for (; kind < PRONY_KINDS && head == NULL; kind += head == NULL)
        head = dlsym(library, kinds[kind].symbol);
    if (head == NULL) {
        code = prony_fail(error, -ENOEXEC,
                          "%s is no plug-in: it exports none of prony_engine, prony_workload, "
                          "prony_channel, prony_provider (see PRONY_EXPORT)",
                          shown);
        goto unload;
    }
    code = check_head(head, (enum prony_kind)kind, shown, error);
    if (code != 0)
        goto unload;
    if (prony_registry_find((enum prony_kind)kind, head->name, NULL) != NULL) {
        code =
            prony_fail(error, -EEXIST, "plug-in %s: there is a %s '%s' already", shown, kinds[kind].name, head->name);
        goto unload;
    }
    loaded[loaded_count].kind = (enum prony_kind)kind;
    loaded[loaded_count].head = head;
    loaded[loaded_count].fd = fd;
    loaded[loaded_count].path = strdup(shown);
    if (loaded[loaded_count].path == NULL) {
        code = prony_fail(error, -ENOMEM, "no memory for plug-in %s", shown);
        goto unload;
    }
    loaded_count++;
    if (result != NULL)
        *result = head;
    return 0;
unload:
    (void)dlclose(library);
shut:
    (void)close(fd);
    return code;
}

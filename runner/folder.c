/* Output folders and files. */
#include "runner/folder.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

static const char parent[] = "prony-runs";
enum { ROOM_LEAST = 4 << 20 };

static bool is_empty(const char *path)
{
    DIR *folder = opendir(path);
    const struct dirent *entry;
    bool empty = folder != NULL;
    while (empty && (entry = readdir(folder)) != NULL)
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    if (folder != NULL)
        (void)closedir(folder);
    return empty;
}

static int has_room(const char *path, struct prony_error *error)
{
    struct statvfs disk;
    if (statvfs(path, &disk) == 0 && (uint64_t)disk.f_bavail * disk.f_frsize < ROOM_LEAST)
        return prony_fail(error, -ENOSPC, "the output folder %s is on a full disk: a report takes some %d MiB", path,
                          ROOM_LEAST >> 20);
    return 0;
}

/* Can a file be made there, and is there room for a report? */
static int try_folder(const char *path, struct prony_error *error)
{
    char file[1100];
    int fd;
    (void)snprintf(file, sizeof file, "%s/journal", path);
    fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return prony_fail(error, errno == EEXIST ? -EBUSY : -errno, "the output folder %s cannot be written: %s", path,
                          strerrordesc_np(errno));
    (void)close(fd);
    (void)unlink(file);
    return has_room(path, error);
}

/* The errno of a folder that cannot be: a wrong path is no wrong name on the command line. */
static int cannot_make(const char *path, int number, struct prony_error *error)
{
    return prony_fail(error, number == ENOENT ? -ENOTDIR : -number, "the output folder %s cannot be made: %s", path,
                      strerrordesc_np(number));
}

static int make_named(const char *wanted, struct runner_folder *folder, struct prony_error *error)
{
    struct stat file;
    if (snprintf(folder->path, sizeof folder->path, "%s", wanted) >= (int)sizeof folder->path)
        return prony_fail(error, -EINVAL, "-o: the path is too long");
    if (mkdir(folder->path, 0777) == 0) {
        folder->made = true;
        return 0;
    }
    if (errno != EEXIST)
        return cannot_make(wanted, errno, error);
    if (stat(wanted, &file) != 0 || !S_ISDIR(file.st_mode))
        return prony_fail(error, -EEXIST, "-o %s is a file that exists", wanted);
    if (!is_empty(wanted))
        return prony_fail(error, -EEXIST, "-o %s exists and is not empty: take another folder, or empty it", wanted);
    return 0;
}

static int make_default(const char *suite, struct runner_folder *folder, struct prony_error *error)
{
    time_t now = time(NULL);
    struct tm local;
    char stamp[32];
    if (mkdir(parent, 0777) != 0 && errno != EEXIST)
        return cannot_make(parent, errno, error);
    (void)localtime_r(&now, &local);
    (void)strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &local);
    for (int again = 1; again < 100; again++) {
        char more[8] = "";
        if (again > 1)
            (void)snprintf(more, sizeof more, "-%d", again);
        (void)snprintf(folder->path, sizeof folder->path, "%s/%s-%s%s", parent, stamp, suite, more);
        if (mkdir(folder->path, 0777) == 0) {
            folder->made = folder->ours = true;
            return 0;
        }
        if (errno != EEXIST)
            break;
    }
    return cannot_make(folder->path, errno, error);
}

int runner_folder_make(const char *wanted, const char *suite, struct runner_folder *folder, struct prony_error *error)
{
    int code;
    memset(folder, 0, sizeof *folder);
    code = wanted != NULL ? make_named(wanted, folder, error) : make_default(suite, folder, error);
    if (code == 0 && (code = try_folder(folder->path, error)) != 0)
        runner_folder_undo(folder);
    return code;
}

int runner_folder_again(const char *path, struct runner_folder *folder, struct prony_error *error)
{
    char *whole = realpath(path, NULL), *runs, *slash = NULL;
    struct stat info;
    int code = whole == NULL ? -errno : 0;
    runs = realpath(parent, NULL);
    memset(folder, 0, sizeof *folder);
    if (whole == NULL) {
        code = prony_fail(error, code == -ENOTDIR ? -ENOENT : code, "there is no folder %s: %s", path,
                          strerrordesc_np(-code));
        goto out;
    }
    if (stat(whole, &info) == 0 && !S_ISDIR(info.st_mode)) {
        code = prony_fail(error, -ENOENT, "%s is not the folder of a run: it is a file", path);
        goto out;
    }
    slash = strrchr(whole, '/');
    folder->ours = runs != NULL && slash != NULL && strlen(runs) == (size_t)(slash - whole) &&
                   strncmp(runs, whole, (size_t)(slash - whole)) == 0;
    if (snprintf(folder->path, sizeof folder->path, "%s%s%s", folder->ours ? parent : "", folder->ours ? "/" : "",
                 folder->ours ? slash + 1 : path) >= (int)sizeof folder->path)
        code = prony_fail(error, -EINVAL, "--resume: the path is too long");
    else if (access(folder->path, W_OK | X_OK) != 0)
        code = prony_fail(error, -EACCES, "the folder %s cannot be written: %s", path, strerrordesc_np(errno));
    else
        code = has_room(folder->path, error);
out:
    free(whole);
    free(runs);
    return code;
}

void runner_folder_undo(const struct runner_folder *folder)
{
    if (folder->made)
        (void)rmdir(folder->path);
}

void runner_folder_latest(const struct runner_folder *folder)
{
    char fresh[64], latest[64];
    if (!folder->ours)
        return;
    (void)snprintf(latest, sizeof latest, "%s/latest", parent);
    (void)snprintf(fresh, sizeof fresh, "%s/.latest-%d", parent, (int)getpid());
    if (symlink(strrchr(folder->path, '/') + 1, fresh) != 0)
        return;
    if (rename(fresh, latest) != 0) {
        prony_warn("%s cannot be replaced: %s", latest, strerrordesc_np(errno));
        (void)unlink(fresh);
    }
}

/* Cuts "FMT[:PATH]"; returns the path, NULL when there is none. */
static const char *cut(const char *out, char *format, size_t bytes)
{
    const char *colon = strchr(out, ':');
    (void)snprintf(format, bytes, "%.*s", colon == NULL ? (int)strlen(out) : (int)(colon - out), out);
    return colon == NULL || colon[1] == '\0' ? NULL : colon + 1;
}

bool runner_out_profiles(const char *out)
{
    static const char *const formats[] = {"trace", "folded", "flamegraph", "speedscope"};
    char format[32];
    (void)cut(out, format, sizeof format);
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (strcmp(format, formats[i]) == 0)
            return true;
    return false;
}

/* How a file of this format is called. */
static const char *ending(const char *format)
{
    if (strcmp(format, "trace") == 0)
        return "trace.json";
    if (strcmp(format, "speedscope") == 0)
        return "speedscope.json";
    return strcmp(format, "flamegraph") == 0 ? "flamegraph.svg" : format;
}

int runner_out_check(const char *out, int (*known)(const char *format, struct prony_error *error),
                     struct prony_error *error)
{
    char format[32], folder[1024];
    const char *path = cut(out, format, sizeof format), *slash;
    int code = known(format, error);
    if (code != 0 || path == NULL || strcmp(path, "-") == 0)
        return code;
    slash = strrchr(path, '/');
    (void)snprintf(folder, sizeof folder, "%.*s",
                   slash == NULL   ? 1
                   : slash == path ? 1
                                   : (int)(slash - path),
                   slash == NULL ? "." : path);
    if (access(folder, W_OK) != 0)
        return prony_fail(error, -EACCES, "--out %s: the folder %s cannot be written: %s", out, folder,
                          strerrordesc_np(errno));
    return 0;
}

int runner_out_open(struct runner_out *out, const char *what, const char *folder, struct prony_error *error)
{
    const char *path = cut(what, out->format, sizeof out->format);
    if (path == NULL && folder != NULL)
        (void)snprintf(out->path, sizeof out->path, "%s/report.%s", folder, ending(out->format));
    else
        (void)snprintf(out->path, sizeof out->path, "%s", path != NULL ? path : "-");
    out->file = strcmp(out->path, "-") == 0 ? stdout : fopen(out->path, "we");
    return out->file != NULL
               ? 0
               : prony_fail(error, -EACCES, "%s cannot be written: %s", out->path, strerrordesc_np(errno));
}

int runner_out_close(struct runner_out *out, int code, struct prony_error *error)
{
    if (out->file != stdout && fclose(out->file) != 0 && code == 0)
        code = prony_fail(error, -EIO, "%s cannot be written: %s", out->path, strerrordesc_np(errno));
    return code;
}

int runner_out_write(const struct prony_report *report, const char *out, const char *folder, struct prony_error *error)
{
    struct runner_out to;
    int code = runner_out_open(&to, out, folder, error);
    return code != 0 ? code : runner_out_close(&to, prony_report_export(report, to.format, to.file, error), error);
}

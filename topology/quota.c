/* The CPU quota of the control groups (versions 1 and 2) that this process is in.
 *
 * A limit of any ancestor binds, so the way from the own group up to the mount point is walked and the least is
 * taken. Inside a container the mount point shows a part of the hierarchy only (the fourth field of mountinfo):
 * what lies above cannot be seen and is not counted. */
#include "topology/quota.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A hierarchy this process is in, and where in it. */
struct hierarchy {
    bool version2;
    char path[PATH_MAX]; /* of the own group, from the hierarchy's root */
};

/* One line of a small file; false when it cannot be read. */
static bool read_line(const char *root, const char *folder, const char *name, char *line, size_t bytes)
{
    char path[3 * PATH_MAX];
    FILE *file;
    bool read;
    (void)snprintf(path, sizeof path, "%s%s/%s", root, folder, name);
    file = fopen(path, "re");
    if (file == NULL)
        return false;
    read = fgets(line, (int)bytes, file) != NULL;
    (void)fclose(file);
    return read;
}

/* The quota of one group in CPUs; 0: none. cpu.max is "QUOTA PERIOD" or "max PERIOD"; version 1 has a file for each, -1
 * for none. */
static double group_quota(const char *root, const char *folder, bool version2)
{
    char line[64];
    double quota = 0, period = 0;
    if (version2) {
        if (!read_line(root, folder, "cpu.max", line, sizeof line) || sscanf(line, "%lf %lf", &quota, &period) != 2)
            return 0;
    } else {
        if (!read_line(root, folder, "cpu.cfs_quota_us", line, sizeof line) || sscanf(line, "%lf", &quota) != 1)
            return 0;
        if (!read_line(root, folder, "cpu.cfs_period_us", line, sizeof line) || sscanf(line, "%lf", &period) != 1)
            return 0;
    }
    return quota > 0 && period > 0 ? quota / period : 0;
}

static double least(double a, double b)
{
    return b > 0 && (a == 0 || b < a) ? b : a;
}

static bool has_item(char *list, const char *item)
{
    char *rest = NULL;
    for (char *word = strtok_r(list, ",", &rest); word != NULL; word = strtok_r(NULL, ",", &rest))
        if (strcmp(word, item) == 0)
            return true;
    return false;
}

/* The group's path below the mount point. A path that is outside what the mount shows is the mount point itself. */
static const char *below_mount(const char *path, const char *shown)
{
    size_t length = strcmp(shown, "/") == 0 ? 0 : strlen(shown);
    if (strncmp(path, shown, length) != 0 || (path[length] != '/' && path[length] != '\0'))
        return "";
    if (strstr(path, "/..") != NULL || strcmp(path + length, "/") == 0)
        return "";
    return path + length;
}

static double walk_up(const char *root, const char *mount, const char *path, bool version2)
{
    char folder[2 * PATH_MAX];
    size_t top = strlen(mount);
    double quota = 0;
    (void)snprintf(folder, sizeof folder, "%s%s", mount, path);
    for (;;) {
        char *slash;
        quota = least(quota, group_quota(root, folder, version2));
        slash = strrchr(folder, '/');
        if (slash == NULL || (size_t)(slash - folder) < top)
            return quota;
        *slash = '\0';
    }
}

/* Looks for the hierarchy's mount in mountinfo: "ID PARENT DEVICE SHOWN MOUNT OPTIONS.. - TYPE SOURCE
 * SUPER-OPTIONS". */
static double mounted_quota(const char *root, const struct hierarchy *own)
{
    char *line = NULL;
    size_t room = 0;
    double quota = 0;
    char name[PATH_MAX + 32];
    FILE *mounts;
    (void)snprintf(name, sizeof name, "%s/proc/self/mountinfo", root);
    mounts = fopen(name, "re");
    if (mounts == NULL)
        return 0;
    while (getline(&line, &room, mounts) > 0) {
        char shown[PATH_MAX], mount[PATH_MAX], type[32], options[512];
        const char *tail = strstr(line, " - ");
        if (tail == NULL || sscanf(line, "%*s %*s %*s %4095s %4095s", shown, mount) != 2 ||
            sscanf(tail, " - %31s %*s %511s", type, options) != 2)
            continue;
        if (own->version2 ? strcmp(type, "cgroup2") != 0 : strcmp(type, "cgroup") != 0 || !has_item(options, "cpu"))
            continue;
        quota = least(quota, walk_up(root, mount, below_mount(own->path, shown), own->version2));
    }
    free(line);
    (void)fclose(mounts);
    return quota;
}

/* The lines of /proc/self/cgroup are "ID:CONTROLLERS:PATH"; version 2 has ID 0 and no controllers. */
double prony_quota_read(const char *root)
{
    char *line = NULL;
    size_t room = 0;
    double quota = 0;
    char name[PATH_MAX + 32];
    FILE *groups;
    (void)snprintf(name, sizeof name, "%s/proc/self/cgroup", root);
    groups = fopen(name, "re");
    if (groups == NULL)
        return 0;
    while (getline(&line, &room, groups) > 0) {
        struct hierarchy own;
        char *controllers = strchr(line, ':'), *path = controllers == NULL ? NULL : strchr(controllers + 1, ':');
        if (path == NULL || strlen(path + 1) >= sizeof own.path)
            continue;
        *path++ = '\0';
        path[strcspn(path, "\n")] = '\0';
        own.version2 = strcmp(line, "0:") == 0;
        if (!own.version2 && !has_item(controllers + 1, "cpu"))
            continue;
        (void)strcpy(own.path, path);
        quota = least(quota, mounted_quota(root, &own));
    }
    free(line);
    (void)fclose(groups);
    return quota;
}

unsigned prony_quota_workers(double quota, unsigned pus)
{
    if (quota == 0 || quota >= pus)
        return pus;
    return quota < 1 ? 1 : (unsigned)quota;
}

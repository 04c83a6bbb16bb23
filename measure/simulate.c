#include "measure/simulate.h"
#include "counters/valgrind.h"
#include "measure/rerun.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Which of the simulations an event needs. */
static bool of_caches(const char *event)
{
    return event[0] == 'l' || event[0] == 's'; /* loads, stores, misses of l1i, l1d, ll */
}

static bool of_branches(const char *event)
{
    return event[0] == 'b';
}

bool prony_simulate_knows(const char *metric)
{
    return prony_valgrind_find(metric) >= 0;
}

static FILE *open_in(const struct prony_simulation *simulation, const char *name)
{
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", simulation->folder, name);
    return fopen(path, "re");
}

/* The counts of one launch; its files are taken away, so that the next one finds none. */
static int read_simulated(void *context, const struct prony_launched *launched, struct prony_readings *readings,
                          struct prony_error *error)
{
    const struct prony_simulation *simulation = context;
    int64_t sums[PRONY_VALGRIND_EVENTS] = {0};
    DIR *entries = opendir(simulation->folder);
    struct dirent *entry;
    bool found = false;
    int code = 0;
    (void)launched;
    if (entries == NULL)
        return prony_fail(error, -errno, "valgrind's folder cannot be read: %s", strerrordesc_np(errno));
    while ((entry = readdir(entries)) != NULL) {
        FILE *file = strncmp(entry->d_name, "counts.", 7) == 0 ? open_in(simulation, entry->d_name) : NULL;
        if (file == NULL)
            continue;
        found |= prony_valgrind_add(file, NULL, sums);
        (void)fclose(file);
        (void)unlinkat(dirfd(entries), entry->d_name, 0);
    }
    (void)closedir(entries);
    if (!found)
        return prony_fail(error, -ENODATA, "valgrind left no counts of it");
    for (int i = 0; i < PRONY_VALGRIND_EVENTS && code == 0; i++) {
        const char *event = prony_valgrind_event(i);
        bool taken = of_branches(event) ? simulation->branches : of_caches(event) ? simulation->caches : true;
        if (taken)
            code = prony_readings_add(readings, simulation->benchmark, event, (double)sums[i], error);
    }
    return code;
}

/* Words before those of a command. */
static int put_before(struct prony_list *words, const char *const *first, struct prony_error *error)
{
    struct prony_list joined = {NULL, 0, 0};
    int code = 0;
    for (; *first != NULL && code == 0; first++)
        code = prony_list_add(&joined, *first, strlen(*first));
    for (size_t i = 0; i < words->count && code == 0; i++)
        code = prony_list_add(&joined, words->item[i], strlen(words->item[i]));
    if (code != 0) {
        prony_list_free(&joined);
        return prony_fail(error, -ENOMEM, "no memory for a command");
    }
    prony_list_free(words);
    *words = joined;
    return 0;
}

int prony_simulate_open(struct prony_simulation *simulation, const char *benchmark, struct prony_ab_plan *plan,
                        struct prony_error *error)
{
    const char *under = getenv("TMPDIR");
    char out[600];
    const char *words[] = {"valgrind", "--tool=callgrind", "--quiet", "--trace-children=yes", out, "", "", NULL};
    int code = prony_valgrind_known("callgrind", plan->metric, error);
    *simulation = (struct prony_simulation){
        .benchmark = benchmark, .caches = of_caches(plan->metric), .branches = of_branches(plan->metric)};
    if (code == 0)
        code = prony_valgrind_present(error);
    if (code != 0)
        return code;
    (void)snprintf(simulation->folder, sizeof simulation->folder, "%s/prony-simulate-XXXXXX",
                   under != NULL && under[0] == '/' ? under : "/tmp");
    if (mkdtemp(simulation->folder) == NULL) {
        simulation->folder[0] = '\0';
        return prony_fail(error, -errno, "no folder for valgrind's files: %s", strerrordesc_np(errno));
    }
    (void)snprintf(out, sizeof out, "--callgrind-out-file=%s/counts.%%p", simulation->folder);
    words[5] = simulation->caches ? "--cache-sim=yes" : "--cache-sim=no";
    words[6] = simulation->branches ? "--branch-sim=yes" : "--branch-sim=no";
    for (unsigned side = 0; side < PRONY_SIDES && code == 0; side++)
        code = put_before(&plan->command[side], words, error);
    plan->read = read_simulated;
    plan->read_context = simulation;
    plan->capture = false;
    return code;
}

void prony_simulate_close(struct prony_simulation *simulation)
{
    if (simulation->folder[0] != '\0')
        prony_rerun_remove(simulation->folder);
    simulation->folder[0] = '\0';
}

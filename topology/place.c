/* Placement: a policy is an order of the PUs (and which of them take part); the workers get them in that order. */
#include "topology/model.h"

#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LIST "list:"
#define PAIR "pair:"
#define MOST_LISTED 65536 /* PUs in a list, and the greatest index in it */

struct seat {
    unsigned key[LEVELS + 1]; /* seats are taken in ascending order of these */
    unsigned position;        /* then in logical order */
    int os;
};

struct seats {
    struct seat *seat;
    unsigned count;
};

struct policy {
    const char *name;
    const char *unit;                                /* what there are too few of, when there are */
    bool (*takes)(const struct pu *pu);              /* NULL: every PU */
    void (*key)(const struct pu *pu, unsigned *key); /* keys are zero before */
};

static bool takes_first(const struct pu *pu)
{
    return pu->sibling == 0;
}

static bool takes_siblings(const struct pu *pu)
{
    return pu->siblings > 1;
}

static void key_near(const struct pu *pu, unsigned *key)
{
    key[0] = pu->kind;
}

/* Which child of its parent, the nearest parent first: all first children of all packages come before any second
 * one. */
static void key_spread(const struct pu *pu, unsigned *key)
{
    key[0] = pu->sibling;
    key[1] = pu->kind;
    for (int level = LEVEL_CORE; level >= LEVEL_PACKAGE; level--)
        key[2 + LEVEL_CORE - level] = pu->rank[level];
}

static void key_numa(const struct pu *pu, unsigned *key)
{
    key[0] = pu->sibling;
    key[1] = pu->kind;
    key[2] = pu->in_node;
    key[3] = pu->node;
}

static_assert(2 + LEVEL_CORE < LEVELS + 1, "the keys of spread fit");

static const struct policy policies[] = {
    {"compact", "PUs", NULL, key_near},       {"spread", "PUs", NULL, key_spread},
    {"core", "cores", takes_first, key_near}, {"smt", "PUs that share a core", takes_siblings, key_near},
    {"numa", "PUs", NULL, key_numa},          {"none", "PUs", NULL, key_near},
};

#define POLICIES (sizeof policies / sizeof policies[0])

static int add_seat(struct seats *seats, int os)
{
    if ((seats->count & (seats->count - 1)) == 0) { /* room doubles at every power of two */
        struct seat *grown = realloc(seats->seat, (seats->count == 0 ? 1 : 2 * seats->count) * sizeof *grown);
        if (grown == NULL)
            return -ENOMEM;
        seats->seat = grown;
    }
    memset(&seats->seat[seats->count], 0, sizeof *seats->seat);
    seats->seat[seats->count].position = seats->count;
    seats->seat[seats->count++].os = os;
    return 0;
}

/* A decimal number at *text, which is moved behind it; -1 where there is none or it is too large. */
static int read_number(const char **text)
{
    int value = 0;
    if (**text < '0' || **text > '9')
        return -1;
    for (; **text >= '0' && **text <= '9'; ++*text) {
        value = 10 * value + (**text - '0');
        if (value >= MOST_LISTED)
            return -1;
    }
    return value;
}

/* "0-2+4" */
static int read_list(const char *policy, struct seats *seats, struct prony_error *error)
{
    const char *text = policy + strlen(LIST);
    for (;;) {
        const char *item = text;
        int first = read_number(&text), last = first;
        if (first >= 0 && *text == '-') {
            text++;
            last = read_number(&text);
        }
        if (first < 0 || last < 0 || (*text != '+' && *text != '\0'))
            return prony_fail(error, -EINVAL,
                              "placement %s: cannot read \"%s\"; write PU indices below %d such as list:0-2+4", policy,
                              item, MOST_LISTED);
        if (last < first)
            return prony_fail(error, -EINVAL, "placement %s: the range %d-%d runs backwards", policy, first, last);
        for (int os = first; os <= last; os++) {
            if (seats->count >= MOST_LISTED)
                return prony_fail(error, -EINVAL, "placement %s: more than %d PUs", policy, MOST_LISTED);
            if (add_seat(seats, os) != 0)
                return prony_fail(error, -ENOMEM, "no memory for a placement");
        }
        if (*text++ == '\0')
            return 0;
    }
}

static const struct policy *find(const char *name, struct prony_error *error)
{
    const char *names[POLICIES + 3] = {NULL};
    char hint[120], head[64];
    for (size_t i = 0; i < POLICIES; i++) {
        if (strcmp(policies[i].name, name) == 0)
            return &policies[i];
        names[i] = policies[i].name;
    }
    names[POLICIES] = "list";
    names[POLICIES + 1] = "pair";
    (void)snprintf(head, sizeof head, "%.*s", (int)strcspn(name, ":"), name);
    (void)prony_fail(error, -EINVAL,
                     "unknown placement \"%.60s\"%s; there are compact, spread, core, smt, numa, list:0-2+4, "
                     "pair:l3, none",
                     name, prony_text_nearest(head, names, hint, sizeof hint));
    return NULL;
}

static bool is_list(const char *policy)
{
    return strncmp(policy, LIST, strlen(LIST)) == 0;
}

/* Pairs: two workers by what is the nearest thing that their PUs share. */
static const struct pair {
    const char *name, *shared; /* as prony_topology_shared says it */
    const char *also;          /* NULL: nothing */
} pairs[] = {
    {"same-pu", "same PU", NULL}, {"smt", "core", "L1"},  {"l2", "L2", NULL},           {"l3", "L3", NULL},
    {"package", "package", NULL}, {"node", "node", NULL}, {"machine", "machine", NULL},
};

#define PAIRS (sizeof pairs / sizeof pairs[0])

static bool is_pair(const char *policy)
{
    return strncmp(policy, PAIR, strlen(PAIR)) == 0;
}

static const struct pair *find_pair(const char *policy, struct prony_error *error)
{
    const char *names[PAIRS + 1] = {NULL}, *name = policy + strlen(PAIR);
    char hint[120];
    for (size_t i = 0; i < PAIRS; i++) {
        if (strcmp(pairs[i].name, name) == 0)
            return &pairs[i];
        names[i] = pairs[i].name;
    }
    (void)prony_fail(error, -EINVAL,
                     "unknown pair \"%.60s\"%s; there are pair:same-pu, smt, l2, l3, package, node, machine", name,
                     prony_text_nearest(name, names, hint, sizeof hint));
    return NULL;
}

static bool shares(const struct prony_topology *topology, const struct pair *pair, int a, int b)
{
    const char *shared = prony_topology_shared(topology, a, b);
    return strcmp(shared, pair->shared) == 0 || (pair->also != NULL && strcmp(shared, pair->also) == 0);
}

/* The first two PUs, in the order of the tree, that share just that. */
static int seats_of_pair(const struct prony_topology *topology, const char *policy, unsigned workers,
                         struct seats *seats, struct prony_error *error)
{
    const struct pair *pair = find_pair(policy, error);
    bool same = pair != NULL && pair == &pairs[0];
    if (workers > 2)
        return prony_fail(error, -ERANGE, "placement %s: a pair has 2 workers, not %u", policy, workers);
    for (unsigned a = 0; a < topology->facts.pus; a++)
        for (unsigned b = same ? a : a + 1; b < topology->facts.pus; b++) {
            int first = topology->pus[a].os, second = topology->pus[b].os;
            if (!shares(topology, pair, first, second))
                continue;
            return add_seat(seats, first) == 0 && add_seat(seats, second) == 0
                       ? 0
                       : prony_fail(error, -ENOMEM, "no memory for a placement");
        }
    return prony_fail(error, -EINVAL, "placement %s: no two PUs%s share %s%s and nothing nearer", policy,
                      topology->here ? " that may be used" : "", strcmp(pair->shared, "machine") == 0 ? "just " : "a ",
                      pair->shared);
}

int prony_topology_policy_check(const char *policy, struct prony_error *error)
{
    struct seats seats = {NULL, 0};
    struct prony_placement placement;
    int code;
    if (strlen(policy) >= sizeof placement.policy)
        return prony_fail(error, -EINVAL, "a placement of more than %zu characters; use ranges such as list:0-2+4",
                          sizeof placement.policy - 1);
    if (is_pair(policy))
        return find_pair(policy, error) == NULL ? -EINVAL : 0;
    if (!is_list(policy))
        return find(policy, error) == NULL ? -EINVAL : 0;
    code = read_list(policy, &seats, error);
    free(seats.seat);
    return code;
}

static int seats_of_list(const struct prony_topology *topology, const char *policy, bool oversubscribe,
                         struct seats *seats, struct prony_error *error)
{
    bool taken[MOST_LISTED] = {false};
    int code = read_list(policy, seats, error);
    for (unsigned i = 0; i < seats->count && code == 0; i++) {
        int os = seats->seat[i].os;
        if (prony_topology_pu(topology, os) == NULL)
            code = prony_fail(error, -EINVAL, "placement %s: PU %d is %s", policy, os,
                              topology->here ? "not among those this process may use (see `prony topo`)"
                                             : "not in this topology");
        else if (taken[os] && !oversubscribe)
            code = prony_fail(error, -EINVAL, "placement %s: PU %d is named twice, which needs oversubscription",
                              policy, os);
        taken[os] = true;
    }
    return code;
}

static int by_key(const void *a, const void *b)
{
    const struct seat *x = a, *y = b;
    for (int i = 0; i <= LEVELS; i++)
        if (x->key[i] != y->key[i])
            return x->key[i] < y->key[i] ? -1 : 1;
    return x->position < y->position ? -1 : 1;
}

static int seats_of_policy(const struct prony_topology *topology, const struct policy *policy, struct seats *seats,
                           struct prony_error *error)
{
    for (unsigned i = 0; i < topology->facts.pus; i++) {
        const struct pu *pu = &topology->pus[i];
        if (policy->takes != NULL && !policy->takes(pu))
            continue;
        if (add_seat(seats, pu->os) != 0)
            return prony_fail(error, -ENOMEM, "no memory for a placement");
        policy->key(pu, seats->seat[seats->count - 1].key);
    }
    if (seats->count == 0)
        return prony_fail(error, -EINVAL, "placement %s: no core has two PUs that may be used (no SMT, or it is off)",
                          policy->name);
    qsort(seats->seat, seats->count, sizeof *seats->seat, by_key);
    return 0;
}

/* Do two of the first `workers` seats lie on one PU? In a list alone: other policies name no PU twice. */
static bool doubled(const struct seats *seats, unsigned workers)
{
    bool taken[MOST_LISTED] = {false};
    for (unsigned i = 0; i < workers; i++) {
        if (taken[seats->seat[i].os])
            return true;
        taken[seats->seat[i].os] = true;
    }
    return false;
}

int prony_topology_place(const struct prony_topology *topology, const char *policy, unsigned workers,
                         bool oversubscribe, struct prony_placement *placement, struct prony_error *error)
{
    struct seats seats = {NULL, 0};
    const struct policy *known = NULL;
    bool none = strcmp(policy, "none") == 0;
    int code = prony_topology_policy_check(policy, error);
    memset(placement, 0, sizeof *placement);
    if (code != 0)
        return code;
    if (workers == 0)
        return prony_fail(error, -EINVAL, "placement %s: no workers to place", policy);
    if (is_list(policy)) {
        code = seats_of_list(topology, policy, oversubscribe, &seats, error);
    } else if (is_pair(policy)) {
        code = seats_of_pair(topology, policy, workers, &seats, error);
    } else {
        known = find(policy, error);
        code = seats_of_policy(topology, known, &seats, error);
    }
    if (code == 0 && workers > seats.count && !oversubscribe)
        code = prony_fail(error, -ERANGE, "placement %s: %u workers, but %u %s%s (--oversubscribe allows more)", policy,
                          workers, seats.count, known == NULL ? "PUs in the list" : known->unit,
                          topology->here ? " that may be used" : "");
    if (code == 0 && (placement->pus = calloc(workers, sizeof *placement->pus)) == NULL)
        code = prony_fail(error, -ENOMEM, "no memory for a placement");
    if (code == 0) {
        (void)snprintf(placement->policy, sizeof placement->policy, "%s", policy);
        placement->workers = workers;
        for (unsigned i = 0; i < workers; i++)
            placement->pus[i] = none ? -1 : seats.seat[i % seats.count].os;
        placement->oversubscribed = workers > seats.count || (known == NULL && doubled(&seats, workers));
        placement->binding = topology->here && !none;
    }
    free(seats.seat);
    return code;
}

void prony_placement_free(struct prony_placement *placement)
{
    free(placement->pus);
    memset(placement, 0, sizeof *placement);
}

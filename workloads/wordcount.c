/* wordcount: how often does each word occur? A map over blocks of text, then a reduction by parts of the words.
 *
 * A word is a run of letters, digits and bytes above 127, its ASCII letters folded to lower case; it belongs to the
 * block it begins in. Map: each block leaves a list of its words with counts, chained by part. Reduce: each part
 * merges its chains over all blocks. The text is files, or generated with Zipf's law. Answer for files: one pass
 * that sorts all words; for a generated text: the generator's own books. Not measured: reading the files. */
#include "base/clock.h"
#include "workloads/corpus.h"

enum { PARTS = 64, PART_SHIFT = 26, MAP = 1, REDUCE = 2 };
static const char *const phases[] = {"map", "reduce", NULL};
static const char *const sources[] = {"auto", "files", "zipf", NULL};

static const struct prony_option options[] = {
    {"path", PRONY_TEXT, "", 0, 0, NULL, "the text: a file, or a folder and all files in it; default " CORPUS_LICENCES},
    {"source", PRONY_CHOICE, "auto", 0, 0, sources, "files: path; zipf: generated; auto: files when there are any"},
    {"size", PRONY_BYTES, "4Mi", 64, CORPUS_MOST, NULL, "bytes of a generated text"},
    {"block", PRONY_BYTES, "16Ki", 4096, 1048576, NULL, "bytes of text that a map item takes"},
    {.name = NULL},
};

/* A word of a block. References are 1 + the entry's number over all blocks; 0: none. */
struct entry {
    uint32_t hash, off, len, count, next;
};

/* Before a block's entries. */
struct block {
    uint32_t entries, head[PARTS];
};

/* What a part comes to; a line of its own. */
struct part {
    struct word_answer answer;
    unsigned char pad[LINE_BYTES - sizeof(struct word_answer) % LINE_BYTES];
};

/* Where what lies, from the start of the data. */
struct wordcount_arg {
    uint64_t text_bytes, blocks_off, buckets_off, parts_off;
    uint32_t block_bytes, block_count, block_room, buckets; /* room: entries of a block; buckets: a power of two */
};
static_assert(sizeof(struct wordcount_arg) <= PRONY_ARG_BYTES, "travels with the task");

static uint64_t up_to_line(uint64_t bytes)
{
    return (bytes + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES;
}

static uint32_t power_above(uint64_t n)
{
    uint32_t power = PARTS;
    while (power < n)
        power *= 2;
    return power;
}

static uint64_t block_stride(const struct wordcount_arg *arg)
{
    return up_to_line(sizeof(struct block) + arg->block_room * sizeof(struct entry));
}

/* A block of B bytes has at most 164 words of one byte and (B - 328) / 3 longer ones, less than 3/8 B from 4 KiB on. */
static struct wordcount_arg layout(uint64_t text_bytes, uint32_t block_bytes)
{
    struct wordcount_arg arg = {.text_bytes = text_bytes, .block_bytes = block_bytes};
    arg.block_count = (uint32_t)((text_bytes + block_bytes - 1) / block_bytes);
    arg.block_room = block_bytes / 8 * 3;
    arg.buckets = power_above(text_bytes / 32);
    arg.blocks_off = up_to_line(text_bytes);
    arg.buckets_off = arg.blocks_off + arg.block_count * block_stride(&arg);
    arg.parts_off = arg.buckets_off + up_to_line(arg.buckets * sizeof(uint32_t));
    return arg;
}

static struct block *block_at(unsigned char *data, const struct wordcount_arg *arg, uint32_t number)
{
    return (struct block *)(void *)(data + arg->blocks_off + number * block_stride(arg));
}

static struct entry *entries_of(struct block *block)
{
    return (struct entry *)(void *)(block + 1);
}

static struct entry *entry_at(unsigned char *data, const struct wordcount_arg *arg, uint32_t reference)
{
    reference--;
    return entries_of(block_at(data, arg, reference / arg->block_room)) + reference % arg->block_room;
}

static int same(const unsigned char *text, const struct entry *one, const struct entry *other)
{
    return one->hash == other->hash && one->len == other->len &&
           word_compare(text + one->off, one->len, text + other->off, other->len) == 0;
}

/* Counts one word in the block: `slots` is an open-addressed table of the block's entries (number + 1). */
static int note(const unsigned char *text, struct block *block, uint32_t *slots, uint32_t mask, uint32_t room,
                struct entry word)
{
    struct entry *entries = entries_of(block);
    uint32_t at = word.hash & mask;
    for (; slots[at] != 0; at = (at + 1) & mask)
        if (same(text, &entries[slots[at] - 1], &word)) {
            entries[slots[at] - 1].count++;
            return 0;
        }
    if (block->entries == room)
        return -ENOSPC;
    entries[block->entries] = word;
    slots[at] = ++block->entries;
    return 0;
}

static int count_block(unsigned char *data, const struct wordcount_arg *arg, uint32_t number, uint32_t *slots,
                       uint32_t mask)
{
    struct block *block = block_at(data, arg, number);
    struct entry *entries = entries_of(block);
    uint64_t at = (uint64_t)number * arg->block_bytes, end = at + arg->block_bytes;
    int code = 0;
    memset(slots, 0, (mask + 1) * sizeof *slots);
    memset(block, 0, sizeof *block);
    end = end < arg->text_bytes ? end : arg->text_bytes;
    if (at > 0 && word_byte(data[at - 1]) != 0) /* the block before has this word */
        while (at < end && word_byte(data[at]) != 0)
            at++;
    while (at < end && code == 0) {
        struct entry word = {.count = 1};
        if (word_byte(data[at]) == 0) {
            at++;
            continue;
        }
        word.off = (uint32_t)at;
        word.hash = word_hash(data, arg->text_bytes, &at);
        word.len = (uint32_t)at - word.off;
        code = note(data, block, slots, mask, arg->block_room, word);
    }
    for (uint32_t i = 0; i < block->entries; i++) {
        uint32_t *head = &block->head[entries[i].hash >> PART_SHIFT];
        entries[i].next = *head;
        *head = number * arg->block_room + i + 1;
    }
    return code;
}

/* Items: blocks of the text. */
static int map_kernel(struct prony_worker *worker, const struct prony_task *task)
{
    unsigned char *data = prony_at(worker, task->in.off);
    struct wordcount_arg arg;
    uint64_t bytes, slots;
    uint32_t count;
    int code = 0;
    memcpy(&arg, task->arg, sizeof arg);
    count = power_above(arg.block_bytes / 2);
    bytes = count * sizeof(uint32_t);
    slots = prony_worker_push(worker, bytes);
    if (slots == 0)
        return -ENOMEM;
    for (int64_t i = task->lo; i < task->hi && code == 0; i++)
        code = count_block(data, &arg, (uint32_t)i, prony_at(worker, slots), count - 1);
    prony_worker_pop(worker, bytes);
    return code;
}

/* Merges chain after chain into the part's buckets: the first entry of a word takes the counts of the others. */
static void merge_part(unsigned char *data, const struct wordcount_arg *arg, uint32_t part)
{
    const uint32_t each = arg->buckets / PARTS;
    uint32_t *buckets = (uint32_t *)(void *)(data + arg->buckets_off) + part * each;
    struct word_answer answer = {0};
    memset(buckets, 0, each * sizeof *buckets);
    for (uint32_t number = 0; number < arg->block_count; number++)
        for (uint32_t reference = block_at(data, arg, number)->head[part], next; reference != 0; reference = next) {
            struct entry *entry = entry_at(data, arg, reference);
            uint32_t *bucket = &buckets[entry->hash & (each - 1)], other = *bucket;
            next = entry->next;
            while (other != 0 && !same(data, entry_at(data, arg, other), entry))
                other = entry_at(data, arg, other)->next;
            if (other != 0) {
                entry_at(data, arg, other)->count += entry->count;
                continue;
            }
            entry->next = *bucket;
            *bucket = reference;
        }
    for (uint32_t i = 0; i < each; i++)
        for (uint32_t reference = buckets[i]; reference != 0;) {
            const struct entry *entry = entry_at(data, arg, reference);
            prony_words_add(&answer, data, entry->off, entry->len, entry->count, entry->hash);
            reference = entry->next;
        }
    memcpy(data + arg->parts_off + part * sizeof(struct part), &answer, sizeof answer);
}

/* Items: parts of the words, by the top bits of their hash. */
static int reduce_kernel(struct prony_worker *worker, const struct prony_task *task)
{
    struct wordcount_arg arg;
    memcpy(&arg, task->arg, sizeof arg);
    for (int64_t i = task->lo; i < task->hi; i++)
        merge_part(prony_at(worker, task->in.off), &arg, (uint32_t)i);
    return 0;
}

/* The files there are; NULL: the text is generated. */
static const char *path_of(const struct prony_params *params)
{
    const char *path = prony_param_text(params, "path"), *source = prony_param_text(params, "source");
    int given = path[0] != '\0';
    if (strcmp(source, "zipf") == 0 || (strcmp(source, "auto") == 0 && !given && !prony_corpus_has_licences()))
        return NULL;
    return given ? path : CORPUS_LICENCES;
}

static int wordcount_need(const struct prony_params *params, unsigned workers, struct prony_need *need,
                          struct prony_error *error)
{
    const char *path = path_of(params);
    int64_t bytes = path == NULL ? prony_param_int(params, "size") : prony_corpus_read(path, NULL, 0, error);
    struct wordcount_arg arg;
    (void)workers;
    if (bytes < 0)
        return (int)bytes;
    arg = layout((uint64_t)bytes, (uint32_t)prony_param_int(params, "block"));
    need->items = need->moved = bytes;
    need->bytes = arg.parts_off + PARTS * sizeof(struct part);
    need->scratch = power_above(arg.block_bytes / 2) * sizeof(uint32_t) + 65536;
    return 0;
}

struct wordcount_local {
    struct wordcount_arg arg;
    struct word_answer answer;
};

static int wordcount_prepare(struct prony_bench *bench, struct prony_error *error)
{
    const char *path = path_of(bench->params);
    unsigned char *text = data_at(bench, 0);
    uint64_t bytes = (uint64_t)bench->need->items;
    struct wordcount_local *local = calloc(1, sizeof *local);
    int64_t code;
    if (local == NULL)
        return prony_fail(error, -ENOMEM, "no memory for the answer");
    local->arg = layout(bytes, (uint32_t)prony_param_int(bench->params, "block"));
    if (path == NULL) {
        code = prony_corpus_zipf(text, bytes, bench->seed, &local->answer, error);
    } else {
        code = prony_corpus_read(path, text, bytes, error);
        if (code >= 0)
            code = prony_corpus_count(text, bytes, &local->answer, error);
    }
    if (code < 0) {
        free(local);
        return (int)code;
    }
    bench->local = local;
    return 0;
}

static void wordcount_task(const struct prony_bench *bench, struct prony_task *task)
{
    const struct wordcount_local *local = bench->local;
    task_fill(bench, task, 0, &local->arg, sizeof local->arg);
}

/* No part has an answer, and no block has a list. */
static void wordcount_poison(struct prony_bench *bench)
{
    const struct wordcount_arg *arg = &((const struct wordcount_local *)bench->local)->arg;
    memset(data_at(bench, arg->parts_off), 0xff, PARTS * sizeof(struct part));
    for (uint32_t i = 0; i < arg->block_count; i++)
        memset(block_at(data_at(bench, 0), arg, i), 0, sizeof(struct block));
}

static int pass(struct prony_bench *bench, struct prony_task *task, unsigned kernel, int64_t items, int64_t chunk,
                uint64_t *ns)
{
    uint64_t begun = prony_now_ns();
    int code;
    task->ref.kernel = (uint16_t)kernel;
    task->lo = 0;
    task->hi = items;
    code = bench->engine->map(bench->handle, task, chunk, &bench->tally, bench->timeout_ns);
    *ns += prony_now_ns() - begun;
    code = code != 0 ? code : bench->tally.status;
    return code == 0 ? 0
                     : prony_fail(bench->error, code, "wordcount: the %s failed", kernel == 0 ? "map" : "reduction");
}

/* Two maps a repetition, over blocks and over parts, so the default loop over items (bytes) does not fit. */
static int wordcount_drive(struct prony_bench *bench)
{
    const struct wordcount_local *local = bench->local;
    struct prony_task task = {.lo = 0};
    int code = 0;
    wordcount_task(bench, &task);
    memset(bench->ns, 0, sizeof bench->ns);
    for (int64_t i = 0; i < bench->repeats && code == 0; i++) {
        code = pass(bench, &task, 0, local->arg.block_count, bench->chunk, &bench->ns[MAP]);
        if (code == 0)
            code = pass(bench, &task, 1, PARTS, 0, &bench->ns[REDUCE]);
    }
    return code;
}

static int wordcount_verify(struct prony_bench *bench, struct prony_error *error)
{
    const struct wordcount_local *local = bench->local;
    const unsigned char *text = data_at(bench, 0), *parts = data_at(bench, local->arg.parts_off);
    struct word_answer found = {0};
    for (uint32_t i = 0; i < PARTS; i++) {
        struct word_answer part;
        memcpy(&part, parts + i * sizeof(struct part), sizeof part);
        if (part.words == UINT64_MAX)
            return prony_fail(error, -EBADMSG, "part %u of the words was not reduced", i);
        prony_words_merge(&found, text, &part);
    }
    return prony_words_check(&local->answer, &found, text, error);
}

static void wordcount_release(struct prony_bench *bench)
{
    free(bench->local);
}

static const struct prony_kernel kernels[] = {{"map", map_kernel}, {"reduce", reduce_kernel}, {NULL, NULL}};

PRONY_EXPORT(workload, wordcount) = {
    .head = PRONY_HEAD(struct prony_workload, .name = "wordcount", .summary = "words of real text: map and reduce",
                       .options = options),
    .unit = "byte",
    .kernels = kernels,
    .shape = PRONY_MAP,
    .phases = phases,
    .need = wordcount_need,
    .prepare = wordcount_prepare,
    .task = wordcount_task,
    .poison = wordcount_poison,
    .drive = wordcount_drive,
    .verify = wordcount_verify,
    .release = wordcount_release,
};

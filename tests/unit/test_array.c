/* Values and arrays: typed, locked, shared, and gone with their last holder. And who shares memory with whom: threads
 * share all of it, processes only what was made to be shared. */
#include <prony/array.h>

#include "tests/unit/family.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

static void types_have_sizes(void **state)
{
    static const char letters[] = "cbBhHiIlLqQfd";
    static const uint32_t bytes[] = {1, 1, 1, 2, 2, 4, 4, 8, 8, 8, 8, 4, 8};
    (void)state;
    for (unsigned i = 0; letters[i] != '\0'; i++)
        assert_int_equal(prony_type_bytes(letters[i]), bytes[i]);
    assert_int_equal(prony_type_bytes('x'), 0);
    assert_int_equal(prony_type_bytes('\0'), 0);
}

static void found_by_offset_and_type(void **state)
{
    struct prony_arena arena;
    struct prony_error error;
    struct prony_array *array;
    uint64_t value, list;
    double *items;
    (void)state;
    assert_int_equal(prony_arena_create(&arena, 8192, &error), 0);
    assert_int_equal(prony_array_make(&arena, 'i', 1, &value, &error), 0);
    assert_int_equal(prony_array_make(&arena, 'd', 100, &list, &error), 0);
    array = prony_array_at(&arena, list, 'd');
    assert_non_null(array);
    assert_true(array->items == 100 && array->item_bytes == sizeof(double));
    items = prony_array_items(array);
    assert_true((uintptr_t)items % 64 == 0);
    for (unsigned i = 0; i < 100; i++)
        assert_true(items[i] == 0.0);
    items[99] = 0.5;
    assert_non_null(prony_array_at(&arena, value, 'i'));
    assert_null(prony_array_at(&arena, value, 'd'));
    assert_null(prony_array_at(&arena, 0, 'i'));
    assert_null(prony_array_at(&arena, value + 8, 'i'));
    assert_null(prony_array_at(&arena, UINT64_MAX - 63, 'i'));
    assert_int_equal(prony_array_make(&arena, 'x', 1, &value, &error), -EINVAL);
    assert_int_equal(prony_array_make(&arena, 'd', 1000000, &value, &error), -ENOMEM);
    assert_int_equal(prony_array_make(&arena, 'd', UINT64_MAX / 4, &value, &error), -ENOMEM);
    prony_arena_close(&arena);
}

#define TURNS 5000

static void *count_up(void *memory)
{
    struct prony_array *array = memory;
    long *value = prony_array_items(array);
    for (unsigned i = 0; i < TURNS; i++) {
        if (prony_rlock_acquire(&array->lock, LONG_NS) != 0)
            return DISCONTENT;
        *value += 1;
        if (prony_rlock_release(&array->lock) != 0)
            return DISCONTENT;
    }
    return NULL;
}

static void a_value_counts_right_under_its_lock(void **state)
{
    struct prony_arena arena;
    struct prony_error error;
    struct prony_array *array;
    uint64_t off;
    (void)state;
    assert_int_equal(prony_arena_create(&arena, 4096, &error), 0);
    assert_int_equal(prony_array_make(&arena, 'l', 1, &off, &error), 0);
    array = prony_array_at(&arena, off, 'l');
    assert_non_null(array);
    by_threads(count_up, array);
    by_processes(count_up, array);
    assert_int_equal(*(long *)prony_array_items(array), 2 * MEMBERS * TURNS);
    prony_arena_close(&arena);
}

/* A plain variable; what a thread adds is there for all, what a process adds is its own. */
static long plain;

static void *add_to_plain(void *memory)
{
    (void)memory;
    plain++;
    return NULL;
}

static void threads_share_memory_and_processes_do_not(void **state)
{
    (void)state;
    plain = 0;
    assert_int_equal(status_of(process_of(add_to_plain, NULL)), 0);
    assert_int_equal(plain, 0);
    in_thread(add_to_plain, NULL);
    assert_int_equal(plain, 1);
}

static unsigned names_in(const char *path)
{
    DIR *folder = opendir(path);
    unsigned n = 0;
    if (folder == NULL)
        return 0;
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder))
        n += strstr(entry->d_name, "prony") != NULL;
    (void)closedir(folder);
    return n;
}

/* Makes an arena with an array in it, and dies without a word to anybody. */
static void *own_and_die(void *memory)
{
    struct prony_arena arena;
    struct prony_error error;
    uint64_t off;
    (void)memory;
    if (prony_arena_create(&arena, 64u << 20, &error) != 0 || prony_array_make(&arena, 'd', 8000000, &off, &error) != 0)
        return DISCONTENT;
    memset(prony_array_items(prony_array_at(&arena, off, 'd')), 1, 64000000);
    (void)raise(SIGKILL);
    return DISCONTENT;
}

/* KiB that memfds, tmpfs and shared mappings hold on this machine. */
static long shared_kib(void)
{
    FILE *file = fopen("/proc/meminfo", "re");
    char line[128];
    long kib = -1;
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL && sscanf(line, "Shmem: %ld", &kib) != 1)
        continue;
    (void)fclose(file);
    return kib;
}

static bool is_gone(unsigned names, long kib)
{
    return names_in("/dev/shm") <= names && shared_kib() < kib;
}

static void memory_is_gone_with_its_owner(void **state)
{
    const unsigned rounds = 8;
    const unsigned names = names_in("/dev/shm");
    const long before = shared_kib();
    (void)state;
    for (unsigned i = 0; i < rounds; i++)
        assert_int_equal(WTERMSIG(status_of(process_of(own_and_die, NULL))), SIGKILL);
    for (unsigned i = 0; i < 6000 && !is_gone(names, before + (long)rounds * 62500 / 2); i++)
        (void)usleep(10000); /* what is not ours goes sooner or later */
    assert_true(is_gone(names, before + (long)rounds * 62500 / 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_have_sizes),
        cmocka_unit_test(found_by_offset_and_type),
        cmocka_unit_test(a_value_counts_right_under_its_lock),
        cmocka_unit_test(threads_share_memory_and_processes_do_not),
        cmocka_unit_test(memory_is_gone_with_its_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

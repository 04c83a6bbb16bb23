/* Values and arrays: a head with a lock, and the items behind it. */
#include <prony/array.h>

#include <errno.h>
#include <string.h>

#define HEAD ((sizeof(struct prony_array) + 63u) & ~(uint64_t)63)

uint32_t prony_type_bytes(char type)
{
    switch (type) {
    case 'c':
    case 'b':
    case 'B':
        return 1;
    case 'h':
    case 'H':
        return sizeof(short);
    case 'i':
    case 'I':
        return sizeof(int);
    case 'l':
    case 'L':
        return sizeof(long);
    case 'q':
    case 'Q':
        return sizeof(long long);
    case 'f':
        return sizeof(float);
    case 'd':
        return sizeof(double);
    default:
        return 0;
    }
}

int prony_array_make(struct prony_arena *arena, char type, uint64_t items, uint64_t *off, struct prony_error *error)
{
    const uint32_t item_bytes = prony_type_bytes(type);
    struct prony_array *array;
    struct prony_span span;
    uint64_t bytes;
    int code;
    if (item_bytes == 0)
        return prony_fail(error, -EINVAL, "there is no type '%c'", type);
    if (__builtin_mul_overflow(items, (uint64_t)item_bytes, &bytes) || bytes > INT64_MAX - HEAD)
        return prony_fail(error, -ENOMEM, "an array of %llu items cannot be", (unsigned long long)items);
    if ((code = prony_arena_take(arena, HEAD + bytes, 64, &span, error)) != 0)
        return code;
    array = (struct prony_array *)(void *)(arena->base + span.off);
    if ((code = prony_rlock_init(&array->lock)) != 0)
        return prony_fail(error, code, "cannot make the array's lock: %s", strerrordesc_np(-code));
    array->items = items;
    array->type = (unsigned char)type;
    array->item_bytes = item_bytes;
    *off = span.off;
    return 0;
}

struct prony_array *prony_array_at(const struct prony_arena *arena, uint64_t off, char type)
{
    struct prony_array *array;
    if (off == 0 || off % 64 != 0 || off > arena->bytes || arena->bytes - off < HEAD)
        return NULL;
    array = (struct prony_array *)(void *)(arena->base + off);
    if (array->type != (unsigned char)type || array->item_bytes != prony_type_bytes(type) || array->item_bytes == 0 ||
        array->items > (arena->bytes - off - HEAD) / array->item_bytes)
        return NULL;
    return array;
}

/* Small helpers over jansson: values that may be missing, and files with the place of a mistake. */
#include "results/model.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LARGEST_BYTES ((size_t)256 << 20)

json_t *prony_json_real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *prony_json_text(const char *text)
{
    json_t *string;
    char *copy;
    if (text == NULL)
        return json_null();
    string = json_string(text);
    if (string != NULL || (copy = strdup(text)) == NULL)
        return string;
    for (char *at = copy; *at != '\0'; at++)
        if ((unsigned char)*at >= 0x80)
            *at = '?';
    string = json_string(copy);
    free(copy);
    return string;
}

json_t *prony_json_count(uint64_t value)
{
    return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

json_t *prony_json_pair(double low, double high)
{
    return isfinite(low) && isfinite(high) ? json_pack("[f,f]", low, high) : json_null();
}

int prony_json_print(const json_t *value, FILE *out)
{
    if (value == NULL)
        return -ENOMEM;
    return json_dumpf(value, out, JSON_INDENT(1) | JSON_REAL_PRECISION(12)) != 0 || fputc('\n', out) == EOF ? -EIO : 0;
}

int prony_json_print_free(json_t *value, FILE *out)
{
    int code = prony_json_print(value, out);
    json_decref(value);
    return code;
}

double prony_json_number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

unsigned prony_json_whole(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    const json_int_t whole = json_is_integer(value) ? json_integer_value(value) : -1;
    return whole >= 0 && whole < UINT_MAX ? (unsigned)whole : UINT_MAX;
}

const char *prony_json_string(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

double prony_json_end(const json_t *object, const char *key, size_t end)
{
    const json_t *value = json_array_get(json_object_get(object, key), end);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

int prony_json_slurp(const char *path, char **text, size_t *bytes, struct prony_error *error)
{
    struct stat info;
    size_t room = 65536, used = 0;
    char *buffer = NULL;
    int code = 0, fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return prony_fail(error, -errno, "cannot open %s: %s", path, strerrordesc_np(errno));
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0 && (size_t)info.st_size < LARGEST_BYTES)
        room = (size_t)info.st_size + 2;
    for (;;) {
        ssize_t got;
        if (buffer == NULL || used + 1 >= room) {
            char *grown;
            room = buffer == NULL ? room : 2 * room;
            grown = room > 2 * LARGEST_BYTES ? NULL : realloc(buffer, room);
            if (grown == NULL) {
                code = prony_fail(error, -EFBIG, "%s is too large to be read", path);
                break;
            }
            buffer = grown;
        }
        got = read(fd, buffer + used, room - used - 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            code = prony_fail(error, -errno, "cannot read %s: %s", path, strerrordesc_np(errno));
        if (got <= 0)
            break;
        used += (size_t)got;
    }
    (void)close(fd);
    if (code != 0) {
        free(buffer);
        return code;
    }
    buffer[used] = '\0';
    *text = buffer;
    *bytes = used;
    return 0;
}

/* Google Benchmark writes NaN and Infinity where JSON has no word, as the coefficient of variation of a counter that stays
 * 0. In its files each becomes a string of the same length, which is no number either. True when there was one. */
static bool mend(char *text)
{
    static const char *const words[] = {"-NaN", "NaN", "-Infinity", "Infinity"};
    bool quoted = false, found = false;
    if (strstr(text, "\"library_build_type\"") == NULL)
        return false;
    for (char *at = text; *at != '\0'; at++) {
        if (*at == '\\' && quoted && at[1] != '\0')
            at++;
        else if (*at == '"')
            quoted = !quoted;
        for (unsigned i = 0; !quoted && i < 4; i++)
            if (strncmp(at, words[i], strlen(words[i])) == 0) {
                memset(at, ' ', strlen(words[i]));
                memcpy(at, "\"?\"", 3);
                at += strlen(words[i]) - 1;
                found = true;
            }
    }
    return found;
}

int prony_json_load(const char *path, json_t **root, char **text, struct prony_error *error)
{
    json_error_t wrong;
    size_t bytes;
    int code = prony_json_slurp(path, text, &bytes, error);
    if (code != 0)
        return code;
    *root = json_loadb(*text, bytes, JSON_REJECT_DUPLICATES, &wrong);
    if (*root == NULL && mend(*text))
        *root = json_loadb(*text, bytes, JSON_REJECT_DUPLICATES, &wrong);
    if (*root != NULL)
        return 0;
    free(*text);
    *text = NULL;
    return prony_fail(error, -EINVAL, "%s:%d:%d: not valid JSON: %s", path, wrong.line, wrong.column, wrong.text);
}

/* Where there is no libFuzzer: every file of the folders given, and ROUNDS changed copies of it, made from a fixed seed.
 *
 *     fuzz_TARGET ROUNDS FOLDER... */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <sys/stat.h>

enum { BYTES_MOST = 1 << 16 };

static uint64_t state = 20;

static uint64_t draw(uint64_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % below;
}

/* One change: another byte, a bit, a piece taken out, doubled or moved, or the end cut off. */
static size_t change(uint8_t *data, size_t size)
{
    static const char odd[] = "\0\"\\{}[],:-+.eE0123456789%*/()=\n\x7f\x80\xff";
    size_t at = draw(size), length = 1 + draw(size - at < 32 ? size - at : 32);
    switch (draw(6)) {
    case 0:
        data[at] = (uint8_t)odd[draw(sizeof odd - 1)];
        break;
    case 1:
        data[at] ^= (uint8_t)(1u << draw(8));
        break;
    case 2:
        memmove(data + at, data + at + length, size - at - length);
        return size - length;
    case 3:
        if (size + length <= BYTES_MOST) {
            memmove(data + at + length, data + at, size - at);
            return size + length;
        }
        break;
    case 4:
        memmove(data + draw(size - length + 1), data + at, length);
        break;
    default:
        return at;
    }
    return size;
}

static void try(const uint8_t *data, size_t size, unsigned rounds)
{
    uint8_t *copy = malloc(BYTES_MOST);
    FUZZ_CHECK(copy != NULL);
    (void)LLVMFuzzerTestOneInput(data, size);
    for (unsigned i = 0; i < rounds; i++) {
        size_t bytes = size;
        memcpy(copy, data, size);
        for (uint64_t changes = 1 + draw(4); changes > 0 && bytes > 0; changes--)
            bytes = change(copy, bytes);
        (void)LLVMFuzzerTestOneInput(copy, bytes);
    }
    free(copy);
}

static unsigned try_folder(const char *folder, unsigned rounds)
{
    static uint8_t data[BYTES_MOST];
    struct dirent **names;
    unsigned tried = 0;
    int n = scandir(folder, &names, NULL, alphasort); /* in order: the changes are drawn from one sequence */
    FUZZ_CHECK(n >= 0);
    for (int i = 0; i < n; i++) {
        char path[4096];
        struct stat about;
        FILE *file;
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
        free(names[i]);
        if (stat(path, &about) != 0 || !S_ISREG(about.st_mode) || (file = fopen(path, "rb")) == NULL)
            continue;
        try(data, fread(data, 1, sizeof data, file), rounds);
        (void)fclose(file);
        tried++;
    }
    free(names);
    return tried;
}

int main(int argc, char **argv)
{
    unsigned tried = 0;
    for (int i = 2; i < argc; i++)
        tried += try_folder(argv[i], (unsigned)strtoul(argv[1], NULL, 10));
    (void)printf("%u files, each with %s changed copies\n", tried, argc > 1 ? argv[1] : "no");
    return tried > 0 ? 0 : 2;
}

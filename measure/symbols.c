#include "measure/symbols.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What separates frames and lines in the files we write must not be in a name. */
static void clean(char *name)
{
    for (; *name != '\0'; name++)
        if (*name == ';' || *name == '"' || *name == '\\' || (unsigned char)*name <= ' ' || (unsigned char)*name > '~')
            *name = '_';
}

#ifdef PRONY_HAVE_ELFUTILS
#include <elfutils/libdwfl.h>

struct prony_symbols {
    Dwfl *dwfl;
};

/* Separate debug files are not looked for: the symbol table that a program carries suffices, and a look might go as far
 * as a server. */
static int no_debuginfo(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base, const char *file,
                        const char *link, GElf_Word crc, char **found)
{
    (void)module, (void)data, (void)name, (void)base, (void)file, (void)link, (void)crc, (void)found;
    return -1;
}

static const Dwfl_Callbacks callbacks = {.find_elf = dwfl_linux_proc_find_elf, .find_debuginfo = no_debuginfo};

int prony_symbols_open(int pid, struct prony_symbols **symbols, struct prony_error *error)
{
    struct prony_symbols *made = calloc(1, sizeof *made);
    int code;
    if (made == NULL || (made->dwfl = dwfl_begin(&callbacks)) == NULL) {
        free(made);
        return prony_fail(error, -ENOMEM, "no memory for symbols");
    }
    code = dwfl_linux_proc_report(made->dwfl, pid);
    if (code == 0)
        code = dwfl_report_end(made->dwfl, NULL, NULL) == 0 ? 0 : -1;
    if (code != 0) {
        code = code > 0 ? -code : -EIO;
        prony_symbols_close(made);
        return prony_fail(error, code, "process %d shows no code: %s", pid, strerrordesc_np(-code));
    }
    *symbols = made;
    return 0;
}

bool prony_symbols_name(struct prony_symbols *symbols, uint64_t address, char *name, unsigned bytes)
{
    Dwfl_Module *module = symbols == NULL ? NULL : dwfl_addrmodule(symbols->dwfl, address);
    const char *file = NULL, *slash, *found = module == NULL ? NULL : dwfl_module_addrname(module, address);
    Dwarf_Addr start = 0;
    if (found != NULL) {
        (void)snprintf(name, bytes, "%s", found);
    } else if (module != NULL &&
               (file = dwfl_module_info(module, NULL, &start, NULL, NULL, NULL, NULL, NULL)) != NULL) {
        slash = strrchr(file, '/');
        (void)snprintf(name, bytes, "[%s+0x%llx]", slash == NULL ? file : slash + 1,
                       (unsigned long long)(address - start));
    } else {
        (void)snprintf(name, bytes, "[0x%llx]", (unsigned long long)address);
    }
    clean(name);
    return found != NULL;
}

void prony_symbols_close(struct prony_symbols *symbols)
{
    if (symbols != NULL)
        dwfl_end(symbols->dwfl);
    free(symbols);
}

#else

int prony_symbols_open(int pid, struct prony_symbols **symbols, struct prony_error *error)
{
    (void)pid;
    *symbols = NULL;
    return prony_fail(error, -ENOTSUP,
                      "functions have no names: elfutils was not found when prony was built (install libdw-dev and "
                      "build again)");
}

bool prony_symbols_name(struct prony_symbols *symbols, uint64_t address, char *name, unsigned bytes)
{
    (void)symbols;
    (void)snprintf(name, bytes, "[0x%llx]", (unsigned long long)address);
    clean(name);
    return false;
}

void prony_symbols_close(struct prony_symbols *symbols)
{
    (void)symbols;
}

#endif

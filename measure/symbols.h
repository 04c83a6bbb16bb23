/* Names of code addresses in a process that is alive, by elfutils where it is built in. The only user of its headers. */
#ifndef PRONY_MEASURE_SYMBOLS_H
#define PRONY_MEASURE_SYMBOLS_H

#include <prony/error.h>
#include <stdbool.h>
#include <stdint.h>

struct prony_symbols;

/* Reads what the process has mapped. -ENOTSUP without elfutils, with what to install. */
int prony_symbols_open(int pid, struct prony_symbols **symbols, struct prony_error *error);
/* The function at an address, or [FILE+offset] where its file tells no names; false then. Without spaces, ';' or quotes. */
bool prony_symbols_name(struct prony_symbols *symbols, uint64_t address, char *name, unsigned bytes);
void prony_symbols_close(struct prony_symbols *symbols);

#endif

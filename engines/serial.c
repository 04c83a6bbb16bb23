#include <prony/plugin/engine.h>

PRONY_EXPORT(engine, serial) = {.head = PRONY_HEAD(struct prony_engine, .name = "serial", .summary = "")};

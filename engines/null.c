#include <prony/plugin/engine.h>

PRONY_EXPORT(engine, null) = {.head = PRONY_HEAD(struct prony_engine, .name = "null", .summary = "")};

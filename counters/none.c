#include <prony/plugin/counter.h>

PRONY_EXPORT(provider, none) = {.head = PRONY_HEAD(struct prony_provider, .name = "none", .summary = "")};

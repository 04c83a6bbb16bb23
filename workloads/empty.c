#include <prony/plugin/workload.h>

PRONY_EXPORT(workload, empty) = {.head = PRONY_HEAD(struct prony_workload, .name = "empty", .summary = "")};

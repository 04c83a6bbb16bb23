#include <prony/plugin/workload.h>

PRONY_EXPORT(workload, square) = {.head = PRONY_HEAD(struct prony_workload, .name = "square", .summary = "")};

#include <prony/plugin/channel.h>

PRONY_EXPORT(channel, pipe) = {.head = PRONY_HEAD(struct prony_channel, .name = "pipe", .summary = "")};

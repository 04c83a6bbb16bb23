/* The loop of the library itself, in C++, to hold the shim's against. */
#ifndef PRONY_SHIMS_GBENCH_LOOPS_H
#define PRONY_SHIMS_GBENCH_LOOPS_H

#ifdef __cplusplus
extern "C" {
#endif

void prony_gbench_register_peers(void); /* loop/cpp and pause/cpp */

#ifdef __cplusplus
}
#endif
#endif

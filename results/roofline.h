/* How close a cell came to the machine: the roofline model over peaks that the same run measured (workloads peak-flops
 * and bandwidth). */
#ifndef PRONY_RESULTS_ROOFLINE_H
#define PRONY_RESULTS_ROOFLINE_H

#include "base/caches.h"
#include "results/view.h"

/* What limits a computation of `intensity` operations a byte: min(peak, intensity * bandwidth). */
struct prony_roof {
    double flop_per_s; /* NaN: an input is */
    bool by_bandwidth; /* the slanted part */
};
struct prony_roof prony_roof_at(double peak_flop_per_s, double bytes_per_s, double intensity);

/* The first of the caches, from level 1, in which a worker's share holds `bytes`: 1 to PRONY_CACHE_LEVELS; 0: memory. */
unsigned prony_roof_level(const struct prony_cache *caches, double bytes, unsigned workers);

/* Gives each cell its "roofline" and returns the report's: the ceilings; null when no peak was measured. `cells` have
 * their statistics. NULL: no memory. */
json_t *prony_roofline_add(const struct prony_run *run, json_t *cells);

/* The ceilings of a report, and whether one is of so many workers; NULL and false when there are none. */
const json_t *prony_roofline_ceilings(const struct prony_view *view);
/* Did this group measure peaks that are shown as ceilings, and not as a race of engines? */
bool prony_roofline_is_peak(const struct prony_view *view, unsigned group);
/* The highest ceiling of double precision ("compute"), or of a level ("bandwidth"), with so many workers. */
const json_t *prony_roofline_highest(const json_t *ceilings, const char *kind, const char *level, unsigned workers);
/* The numbers of workers with ceilings, ascending; at most `room`. */
unsigned prony_roofline_workers(const json_t *ceilings, unsigned *workers, unsigned room);

/* What the machine does at most and who comes closest to that, in two sentences; "" without ceilings. */
const char *prony_roofline_say(const struct prony_view *view, char *text, size_t bytes);
/* The cells that have a fraction, nearest to their ceiling first; at most `room`. With `best`, of each workload and
 * number of workers only the first. */
unsigned prony_roofline_ranked(const struct prony_view *view, bool best, const struct prony_view_cell **cells,
                               unsigned room);
/* "48.6 GB/s" and "12.5 GFLOP/s": what the cell did, in the unit of its ceiling. */
const char *prony_roofline_rate(const json_t *roofline, const char *key, char *text, size_t bytes);
/* "avx512", "memory": what the ceiling is of. */
const char *prony_roofline_bound(const json_t *roofline, char *text, size_t bytes);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What metrics.c (registering, updating) and metrics_write.c (merging, writing) share. */
#ifndef MILL_BASE_METRICS_INTERNAL_H
#define MILL_BASE_METRICS_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>

#include "base/arena.h"
#include "base/metrics.h"

enum mill__metric_type { MILL__COUNTER, MILL__GAUGE, MILL__HISTOGRAM };

enum { MILL__BOUNDS_MAX = 64 };

/* A gauge that nobody has set yet: one of the NaNs, which mill_gauge_set never stores. */
#define MILL__GAUGE_UNSET UINT64_C(0x7ff8000000746d6d)

/* One thread's share of a series, on cache lines of its own. Written with relaxed stores by its owner, read
 * with relaxed loads by any: each value is true by itself, values of one moment are not promised. */
struct mill_metric {
    _Alignas(64) _Atomic uint64_t value; /* count; or bits of a gauge's double; or of a histogram's sum */
    const double *bounds;
    unsigned bound_count;
    struct mill_metric *next;   /* of the series; written under the registry's lock */
    _Atomic uint64_t buckets[]; /* bound_count + 1, not cumulative */
};

struct mill__series {
    const char *labels; /* k="v",k2="v2" escaped, or "" */
    struct mill_metric *metrics;
    struct mill__series *next; /* by labels, ascending */
};

struct mill__family {
    const char *name, *help; /* full name */
    enum mill__metric_type type;
    enum mill_gauge_merge merge;
    const double *bounds;
    unsigned bound_count;
    struct mill__series *series;
    struct mill__family *next; /* by name, ascending */
};

struct mill_metrics {
    pthread_mutex_t lock; /* of all lists; updates do not take it */
    struct mill_arena arena;
    struct mill__family *families;
};

static inline double mill__double_of(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

static inline uint64_t mill__bits_of(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    return bits;
}

/* The value below which share q of the observations lie; counts are not cumulative. */
double mill__quantile(const double *bounds, unsigned bound_count, const uint64_t *counts, double q);
/* A value as Prometheus writes it, NaN and +Inf included. */
void mill__metrics_add_double(struct mill_buffer *out, double v);
/* process_cpu_seconds_total and its like (metrics_process.c). */
void mill__metrics_write_process(struct mill_buffer *out);

#endif

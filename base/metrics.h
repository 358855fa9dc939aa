/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics: counters, gauges and histograms, written by one thread each and read by any.
 *
 * A metric is registered at start-up (its memory never moves or goes away before mill_metrics_free) and
 * then updated with a relaxed atomic load and store by the one thread that owns it: no locked
 * instruction on the hot path. Several series of the same name and labels (one per shard) are added
 * up when they are written out; for gauges `merge` says how.
 * Output: Prometheus text format 0.0.4, one HELP and TYPE per family.
 */
#ifndef MILL_BASE_METRICS_H
#define MILL_BASE_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/buffer.h"

struct mill_metrics; /* the registry */
struct mill_metric;

struct mill_metrics *mill_metrics_new(void);
void mill_metrics_free(struct mill_metrics *m);

enum mill_gauge_merge { MILL_GAUGE_SUM, MILL_GAUGE_MIN, MILL_GAUGE_MAX };

/* labels: NULL, or a list "key", "value", ..., NULL; copied. Names are without the "mill_" prefix, which is
 * added. Registering takes a lock; any thread. */
struct mill_metric *mill_metrics_counter(struct mill_metrics *m, const char *name, const char *help,
                                         const char *const *labels);
struct mill_metric *mill_metrics_gauge(struct mill_metrics *m, const char *name, const char *help,
                                       enum mill_gauge_merge merge, const char *const *labels);
/* bounds: ascending upper bounds in base units (seconds, bytes), bound_count of them; +Inf is added. */
struct mill_metric *mill_metrics_histogram(struct mill_metrics *m, const char *name, const char *help,
                                           const double *bounds, unsigned bound_count, const char *const *labels);

/* Owner thread only. */
void mill_counter_add(struct mill_metric *c, uint64_t n);
void mill_gauge_set(struct mill_metric *g, double v);
/* Back to what it was before it was first set: it takes no part in its series, and a series without parts is not
 * written (a partition that left has no lag and no watermark). */
void mill_gauge_unset(struct mill_metric *g);
void mill_histogram_observe(struct mill_metric *h, double v);

/* Any thread. */
uint64_t mill_counter_value(const struct mill_metric *c);
double mill_gauge_value(const struct mill_metric *g); /* 0 where it is not set */
/* The value below which share q (0 to 1) of the observations lie, interpolated inside its bucket. */
double mill_histogram_quantile(const struct mill_metric *h, double q);

/* Appends all families, and process_* ones, in Prometheus text format. */
void mill_metrics_write_prometheus(struct mill_metrics *m, struct mill_buffer *out);
/* Calls each(name, labels as {k="v",...} or "", value, context) per merged series, histograms as _count and _sum. */
void mill_metrics_each(struct mill_metrics *m,
                       void (*each)(const char *name, const char *labels, double value, void *context), void *context);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Reading metrics: the parts of a series, one per thread, are merged and written in Prometheus' text format
 * 0.0.4; see metrics.h. */
#include <math.h>

#include "base/error.h"
#include "base/metrics_internal.h"
#include "base/number.h"

/* A series as the reader sees it. */
struct merged {
    double value;                           /* of a gauge; a histogram's sum */
    uint64_t count;                         /* of a counter; a histogram's observations */
    uint64_t buckets[MILL__BOUNDS_MAX + 1]; /* not cumulative */
};

static void merge_gauge(enum mill_gauge_merge merge, bool first, double v, double *value)
{
    if (first) {
        *value = v;
        return;
    }
    switch (merge) {
    case MILL_GAUGE_SUM:
        *value += v;
        break;
    case MILL_GAUGE_MIN:
        *value = fmin(*value, v);
        break;
    case MILL_GAUGE_MAX:
        *value = fmax(*value, v);
        break;
    }
}

/* Gauges that are not set take no part: a shard without partitions has no watermark to be the least. False where that
 * leaves nothing to be written. */
static bool merge_series(const struct mill__family *f, const struct mill__series *s, struct merged *ret)
{
    bool first = true;
    *ret = (struct merged){0};
    for (const struct mill_metric *m = s->metrics; m != NULL; m = m->next) {
        uint64_t value = atomic_load_explicit(&m->value, memory_order_relaxed);
        switch (f->type) {
        case MILL__COUNTER:
            ret->count += value;
            break;
        case MILL__GAUGE:
            if (value != MILL__GAUGE_UNSET) {
                merge_gauge(f->merge, first, mill__double_of(value), &ret->value);
                first = false;
            }
            break;
        case MILL__HISTOGRAM:
            ret->value += mill__double_of(value);
            for (unsigned i = 0; i <= f->bound_count; i++) {
                uint64_t n = atomic_load_explicit(&m->buckets[i], memory_order_relaxed);
                ret->buckets[i] += n;
                ret->count += n;
            }
            break;
        }
    }
    return f->type != MILL__GAUGE || !first;
}

void mill__metrics_add_double(struct mill_buffer *out, double v)
{
    if (!isfinite(v)) {
        mill_buffer_add_string(out, isnan(v) ? "NaN" : v > 0 ? "+Inf" : "-Inf");
        return;
    }
    out->n += mill_number_print_double(v, mill_buffer_reserve(out, MILL_NUMBER_TEXT_MAX));
}

/* name{labels} */
static void add_name(struct mill_buffer *out, const char *name, const char *suffix, const char *labels)
{
    mill_buffer_add_string(out, name);
    mill_buffer_add_string(out, suffix);
    if (labels[0] != '\0') {
        mill_buffer_printf(out, "{%s}", labels);
    }
    mill_buffer_add_byte(out, ' ');
}

static void add_bucket(struct mill_buffer *out, const struct mill__family *f, const char *labels, double bound,
                       uint64_t count)
{
    mill_buffer_printf(out, "%s_bucket{%s%sle=\"", f->name, labels, labels[0] != '\0' ? "," : "");
    mill__metrics_add_double(out, bound);
    mill_buffer_printf(out, "\"} %llu\n", (unsigned long long)count);
}

static void write_histogram(const struct mill__family *f, const char *labels, const struct merged *v,
                            struct mill_buffer *out)
{
    uint64_t below = 0;
    for (unsigned i = 0; i <= f->bound_count; i++) {
        below += v->buckets[i];
        add_bucket(out, f, labels, i < f->bound_count ? f->bounds[i] : (double)INFINITY, below);
    }
    add_name(out, f->name, "_sum", labels);
    mill__metrics_add_double(out, v->value);
    mill_buffer_add_byte(out, '\n');
    add_name(out, f->name, "_count", labels);
    mill_buffer_printf(out, "%llu\n", (unsigned long long)v->count);
}

static void write_series(const struct mill__family *f, const struct mill__series *s, struct mill_buffer *out)
{
    struct merged v;
    if (!merge_series(f, s, &v)) {
        return;
    }
    switch (f->type) {
    case MILL__COUNTER:
        add_name(out, f->name, "", s->labels);
        mill_buffer_printf(out, "%llu\n", (unsigned long long)v.count);
        break;
    case MILL__GAUGE:
        add_name(out, f->name, "", s->labels);
        mill__metrics_add_double(out, v.value);
        mill_buffer_add_byte(out, '\n');
        break;
    case MILL__HISTOGRAM:
        write_histogram(f, s->labels, &v, out);
        break;
    }
}

/* In help texts only backslash and newline are special. */
static void write_head(const struct mill__family *f, struct mill_buffer *out)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    mill_buffer_printf(out, "# HELP %s ", f->name);
    for (const char *p = f->help; *p != '\0'; p++) {
        if (*p == '\\' || *p == '\n') {
            mill_buffer_add_byte(out, '\\');
        }
        mill_buffer_add_byte(out, *p == '\n' ? 'n' : (unsigned char)*p);
    }
    mill_buffer_printf(out, "\n# TYPE %s %s\n", f->name, types[f->type]);
}

void mill_metrics_write_prometheus(struct mill_metrics *m, struct mill_buffer *out)
{
    pthread_mutex_lock(&m->lock);
    for (const struct mill__family *f = m->families; f != NULL; f = f->next) {
        write_head(f, out);
        for (const struct mill__series *s = f->series; s != NULL; s = s->next) {
            write_series(f, s, out);
        }
    }
    pthread_mutex_unlock(&m->lock);
    mill__metrics_write_process(out);
}

void mill_metrics_each(struct mill_metrics *m,
                       void (*each)(const char *name, const char *labels, double value, void *context), void *context)
{
    struct mill_buffer name = {0}, labels = {0};
    pthread_mutex_lock(&m->lock);
    for (const struct mill__family *f = m->families; f != NULL; f = f->next) {
        for (const struct mill__series *s = f->series; s != NULL; s = s->next) {
            struct merged v;
            if (!merge_series(f, s, &v)) {
                continue;
            }
            mill_buffer_reset(&labels);
            mill_buffer_printf(&labels, s->labels[0] != '\0' ? "{%s}" : "%s", s->labels);
            mill_buffer_reset(&name);
            mill_buffer_printf(&name, "%s%s", f->name, f->type == MILL__HISTOGRAM ? "_count" : "");
            each(mill_buffer_cstr(&name), mill_buffer_cstr(&labels), f->type == MILL__GAUGE ? v.value : (double)v.count,
                 context);
            if (f->type == MILL__HISTOGRAM) {
                mill_buffer_reset(&name);
                mill_buffer_printf(&name, "%s_sum", f->name);
                each(mill_buffer_cstr(&name), mill_buffer_cstr(&labels), v.value, context);
            }
        }
    }
    pthread_mutex_unlock(&m->lock);
    mill_buffer_clear(&name);
    mill_buffer_clear(&labels);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Registering and updating metrics; see metrics.h. Names, labels and bounds are the programmer's, so what
 * is wrong with them is an assertion. */
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/metrics_internal.h"

struct mill_metrics *mill_metrics_new(void)
{
    struct mill_metrics *m = mill_calloc(1, sizeof(*m));
    mill_assert(pthread_mutex_init(&m->lock, NULL) == 0);
    mill_arena_init(&m->arena, 0);
    return m;
}

void mill_metrics_free(struct mill_metrics *m)
{
    if (m != NULL) {
        mill_arena_clear(&m->arena);
        pthread_mutex_destroy(&m->lock);
        free(m);
    }
}

/* [a-z_][a-z0-9_]*: Prometheus takes capitals and colons too, its naming guide does not. */
static bool is_name(const char *name)
{
    bool good = (name[0] >= 'a' && name[0] <= 'z') || name[0] == '_';
    for (const char *p = name; good && *p != '\0'; p++) {
        good = (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '_';
    }
    return good;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static void check_name(enum mill__metric_type type, const char *name, const char *help)
{
    mill_assert(is_name(name));
    mill_assert(ends_with(name, "_total") == (type == MILL__COUNTER));
    mill_assert(type != MILL__HISTOGRAM || (!ends_with(name, "_count") && !ends_with(name, "_sum")));
    mill_assert(help != NULL && help[0] != '\0');
}

static void add_label_value(struct mill_buffer *out, const char *value)
{
    for (; *value != '\0'; value++) {
        if (*value == '\\' || *value == '"') {
            mill_buffer_add_byte(out, '\\');
            mill_buffer_add_byte(out, (unsigned char)*value);
        } else if (*value == '\n') {
            mill_buffer_add_string(out, "\\n");
        } else {
            mill_buffer_add_byte(out, (unsigned char)*value);
        }
    }
}

/* key="value",... in the order given: the same series is registered by the same lines of code. */
static const char *labels_text(struct mill_metrics *m, const char *const *labels)
{
    struct mill_buffer text = {0};
    for (size_t i = 0; labels != NULL && labels[i] != NULL; i += 2) {
        mill_assert(is_name(labels[i]) && labels[i + 1] != NULL);
        mill_buffer_printf(&text, "%s%s=\"", i > 0 ? "," : "", labels[i]);
        add_label_value(&text, labels[i + 1]);
        mill_buffer_add_byte(&text, '"');
    }
    const char *copy = mill_arena_strdup(&m->arena, mill_buffer_cstr(&text));
    mill_buffer_clear(&text);
    return copy;
}

/* Finds the family, or puts a new one into its place. */
static struct mill__family *find_family(struct mill_metrics *m, const struct mill__family *wanted)
{
    struct mill__family **at = &m->families;
    int order = -1;
    while (*at != NULL && (order = strcmp((*at)->name, wanted->name)) < 0) {
        at = &(*at)->next;
    }
    if (*at != NULL && order == 0) {
        struct mill__family *f = *at;
        mill_assert(f->type == wanted->type && f->merge == wanted->merge && f->bound_count == wanted->bound_count);
        mill_assert(f->bound_count == 0 || memcmp(f->bounds, wanted->bounds, f->bound_count * sizeof(double)) == 0);
        return f;
    }
    struct mill__family *f = mill_arena_alloc(&m->arena, sizeof(*f));
    *f = *wanted;
    f->help = mill_arena_strdup(&m->arena, wanted->help);
    if (f->bound_count > 0) {
        double *bounds = mill_arena_array(&m->arena, double, f->bound_count);
        memcpy(bounds, wanted->bounds, f->bound_count * sizeof(double));
        f->bounds = bounds;
    }
    f->next = *at;
    *at = f;
    return f;
}

static struct mill__series *find_series(struct mill_metrics *m, struct mill__family *f, const char *labels)
{
    struct mill__series **at = &f->series;
    int order = -1;
    while (*at != NULL && (order = strcmp((*at)->labels, labels)) < 0) {
        at = &(*at)->next;
    }
    if (*at == NULL || order != 0) {
        struct mill__series *s = mill_arena_alloc(&m->arena, sizeof(*s));
        *s = (struct mill__series){.labels = labels, .next = *at};
        *at = s;
    }
    return *at;
}

static struct mill_metric *add(struct mill_metrics *m, const char *name, struct mill__family wanted,
                               const char *const *labels)
{
    check_name(wanted.type, name, wanted.help);
    pthread_mutex_lock(&m->lock);
    wanted.name = mill_arena_printf(&m->arena, "mill_%s", name);
    struct mill__family *f = find_family(m, &wanted);
    struct mill__series *s = find_series(m, f, labels_text(m, labels));
    size_t bucket_count = f->type == MILL__HISTOGRAM ? f->bound_count + 1 : 0;
    struct mill_metric *metric =
        mill_arena_zalloc(&m->arena, (sizeof(*metric) + bucket_count * sizeof(uint64_t) + 63) / 64 * 64);
    atomic_init(&metric->value, f->type == MILL__GAUGE ? MILL__GAUGE_UNSET : 0);
    metric->bounds = f->bounds;
    metric->bound_count = f->bound_count;
    metric->next = s->metrics;
    s->metrics = metric;
    pthread_mutex_unlock(&m->lock);
    return metric;
}

struct mill_metric *mill_metrics_counter(struct mill_metrics *m, const char *name, const char *help,
                                         const char *const *labels)
{
    return add(m, name, (struct mill__family){.type = MILL__COUNTER, .help = help}, labels);
}

struct mill_metric *mill_metrics_gauge(struct mill_metrics *m, const char *name, const char *help,
                                       enum mill_gauge_merge merge, const char *const *labels)
{
    return add(m, name, (struct mill__family){.type = MILL__GAUGE, .help = help, .merge = merge}, labels);
}

struct mill_metric *mill_metrics_histogram(struct mill_metrics *m, const char *name, const char *help,
                                           const double *bounds, unsigned bound_count, const char *const *labels)
{
    mill_assert(bound_count >= 1 && bound_count <= MILL__BOUNDS_MAX);
    for (unsigned i = 0; i < bound_count; i++) {
        mill_assert(isfinite(bounds[i]) && (i == 0 || bounds[i - 1] < bounds[i]));
    }
    struct mill__family wanted = {.type = MILL__HISTOGRAM, .help = help, .bounds = bounds, .bound_count = bound_count};
    return add(m, name, wanted, labels);
}

/* A load and a store, not a locked add: nobody else writes here. */
static inline void bump(_Atomic uint64_t *counter, uint64_t n)
{
    uint64_t old = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, old + n, memory_order_relaxed);
}

void mill_counter_add(struct mill_metric *c, uint64_t n)
{
    bump(&c->value, n);
}

void mill_gauge_set(struct mill_metric *g, double v)
{
    atomic_store_explicit(&g->value, mill__bits_of(isnan(v) ? (double)NAN : v), memory_order_relaxed);
}

void mill_gauge_unset(struct mill_metric *g)
{
    atomic_store_explicit(&g->value, MILL__GAUGE_UNSET, memory_order_relaxed);
}

void mill_histogram_observe(struct mill_metric *h, double v)
{
    if (isnan(v)) {
        return; /* would be in no bucket and spoil the sum for good */
    }
    unsigned low = 0, high = h->bound_count; /* the first bound not below v, or the open bucket */
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (h->bounds[middle] < v) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    double sum = mill__double_of(atomic_load_explicit(&h->value, memory_order_relaxed));
    atomic_store_explicit(&h->value, mill__bits_of(sum + v), memory_order_relaxed);
    bump(&h->buckets[low], 1);
}

uint64_t mill_counter_value(const struct mill_metric *c)
{
    return atomic_load_explicit(&c->value, memory_order_relaxed);
}

double mill_gauge_value(const struct mill_metric *g)
{
    uint64_t bits = atomic_load_explicit(&g->value, memory_order_relaxed);
    return bits == MILL__GAUGE_UNSET ? 0 : mill__double_of(bits);
}

double mill__quantile(const double *bounds, unsigned bound_count, const uint64_t *counts, double q)
{
    uint64_t total = 0;
    for (unsigned i = 0; i <= bound_count; i++) {
        total += counts[i];
    }
    if (total == 0 || !(q >= 0 && q <= 1)) {
        return (double)NAN;
    }
    double rank = q * (double)total, below = 0;
    unsigned i = 0;
    while (i < bound_count && below + (double)counts[i] < rank) {
        below += (double)counts[i++];
    }
    while (i < bound_count && counts[i] == 0) {
        i++; /* q = 0: the first bucket that has any */
    }
    if (i == bound_count) {
        return bounds[bound_count - 1]; /* all that is known of the open bucket is where it begins */
    }
    double lower = i > 0 ? bounds[i - 1] : bounds[0] > 0 ? 0 : bounds[0];
    return lower + (bounds[i] - lower) * (rank - below) / (double)counts[i];
}

double mill_histogram_quantile(const struct mill_metric *h, double q)
{
    uint64_t counts[MILL__BOUNDS_MAX + 1];
    for (unsigned i = 0; i <= h->bound_count; i++) {
        counts[i] = atomic_load_explicit(&h->buckets[i], memory_order_relaxed);
    }
    return mill__quantile(h->bounds, h->bound_count, counts, q);
}

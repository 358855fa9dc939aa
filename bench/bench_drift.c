/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What drift costs one core. Prints lines of JSON.
 *
 *   bench_drift locate                     ns a value from value to slot, by distribution and number of break-points
 *   bench_drift stream                     ns a value through the counter: panes by event time, nulls, moments,
 * segments bench_drift compare DIR [ROWS [REF]]   30 features x ROWS (1,000,000) against a reference of REF (100,000)
 * rows: counting and evaluating; writes the data to DIR for bench/peers/drift.py bench_drift slide a further check of a
 * sliding window: a pane in, a pane out, everything evaluated
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "drift/drift_internal.h"
#include "drift/locate_internal.h"

enum { FEATURES = 30, BATCH_ROWS = MILL_BATCH_ROWS_MAX };

static uint64_t random_state = 42;

static uint64_t next_random(void)
{
    uint64_t z = (random_state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static double uniform(void)
{
    return ((double)(next_random() >> 11) + 0.5) * 0x1p-53;
}

static double normal(void)
{
    return sqrt(-2.0 * log(uniform())) * cos(6.283185307179586 * uniform());
}

enum { NORMAL, LOGNORMAL, CAUCHY, CLUSTERS, PRICES, DISTRIBUTIONS };
static const char *const distribution_names[] = {"normal", "lognormal", "cauchy", "clusters", "prices"};

static double sample(unsigned distribution)
{
    switch (distribution) {
    case LOGNORMAL:
        return exp(2.0 * normal());
    case CAUCHY:
        return tan(3.141592653589793 * (uniform() - 0.5));
    case CLUSTERS:
        return (double)(next_random() % 5) * 1e6 + normal() * 1e-3;
    case PRICES:
        return round(100.0 * exp(4.0 + normal())) / 100.0;
    default:
        return normal();
    }
}

/* CPU time, so that a busy machine does not show. */
static int64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void *check(void *p)
{
    mill_assert(p != NULL);
    return p;
}

static void check_ok(int rc, const struct mill_error *err)
{
    if (rc != MILL_OK) {
        fprintf(stderr, "bench_drift: %s\n", err->msg);
        exit(1);
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void locate_one(unsigned distribution, uint32_t break_count, const struct mill__count_kernel *kernel)
{
    enum { VALUES = 1 << 20 };
    double *breaks = check(malloc(break_count * sizeof(*breaks))), *values = check(malloc(VALUES * sizeof(*values)));
    uint32_t distinct = 0, slots[MILL__BLOCK_ROWS];
    struct mill__locator locator;
    uint64_t sum = 0;

    for (uint32_t i = 0; i < break_count; i++) {
        breaks[i] = sample(distribution) + 0.0;
    }
    qsort(breaks, break_count, sizeof(*breaks), by_value);
    for (uint32_t i = 0; i < break_count; i++) {
        if (i == 0 || breaks[i] != breaks[distinct - 1]) {
            breaks[distinct++] = breaks[i];
        }
    }
    for (uint32_t i = 0; i < VALUES; i++) {
        values[i] = sample(distribution) + 0.0;
    }
    mill__locator_init(&locator, breaks, distinct);
    int64_t begin = 0;
    for (unsigned round = 0; round < 4; round++) {
        begin = round == 1 ? cpu_ns() : begin; /* the first warms up */
        for (uint32_t i = 0; i < VALUES; i += MILL__BLOCK_ROWS) {
            kernel->locate(&locator, values + i, MILL__BLOCK_ROWS, slots);
            sum += slots[i & (MILL__BLOCK_ROWS - 1)];
        }
    }
    printf("{\"bench\":\"locate\",\"kernel\":\"%s\",\"distribution\":\"%s\",\"breaks\":%u,\"ns\":%.2f,\"sum\":%llu}\n",
           kernel->name, distribution_names[distribution], distinct, (double)(cpu_ns() - begin) / (3.0 * VALUES),
           (unsigned long long)sum);
    mill__locator_clear(&locator);
    free(breaks);
    free(values);
}

static void bench_locate(void)
{
    for (uint32_t k = 0; k < mill__count_kernel_count; k++) {
        for (unsigned d = 0; mill__count_kernels[k]->supported() && d < DISTRIBUTIONS; d++) {
            locate_one(d, 2000, mill__count_kernels[k]);
            locate_one(d, 100000, mill__count_kernels[k]);
        }
    }
}

static double evaluate(const struct mill_profile *profile, const struct mill_drift_window *window)
{
    double sum = 0;
    for (uint32_t f = 0; f < profile->feature_count; f++) {
        const struct mill_drift_counts *counts = mill_drift_window_counts(window, UINT32_MAX, f);
        struct mill_ks ks;
        mill__ks_of_slots(&profile->features[f], counts->slots, counts->row_count - counts->null_count, &ks);
        sum += ks.statistic;
    }
    return sum;
}

/* ---- columns of doubles that lie in one array a feature ---- */

struct data {
    uint32_t row_count;
    double *values[FEATURES];
    uint64_t *valid; /* all of them */
    struct mill_field fields[FEATURES];
    char names[FEATURES][8];
};

static struct data *make_data(uint32_t row_count, double shift, bool all_continuous)
{
    struct data *data = check(calloc(1, sizeof(*data)));

    data->row_count = row_count;
    data->valid = check(malloc((row_count / 64 + 2) * sizeof(uint64_t)));
    memset(data->valid, 0xff, (row_count / 64 + 2) * sizeof(uint64_t));
    for (uint32_t f = 0; f < FEATURES; f++) {
        unsigned distribution = f % 3 == 0 ? NORMAL : f % 3 == 1 ? LOGNORMAL : all_continuous ? CAUCHY : PRICES;
        data->values[f] = check(malloc(row_count * sizeof(double)));
        for (uint32_t i = 0; i < row_count; i++) {
            data->values[f][i] = sample(distribution) + (f % 5 == 0 ? shift : 0.0);
        }
        snprintf(data->names[f], sizeof(data->names[f]), "f%02u", f);
        data->fields[f] = (struct mill_field){data->names[f], MILL_FLOAT64};
    }
    return data;
}

static void free_data(struct data *data)
{
    for (uint32_t f = 0; f < FEATURES; f++) {
        free(data->values[f]);
    }
    free(data->valid);
    free(data);
}

/* Columns of the rows from `from` on: a batch's worth is read where it lies. */
struct view {
    struct mill_column columns[FEATURES];
    const struct mill_column *pointers[FEATURES];
};

static void view_at(struct view *view, const struct data *data, uint32_t from)
{
    for (uint32_t f = 0; f < FEATURES; f++) {
        view->columns[f] = (struct mill_column){
            .type = MILL_FLOAT64, .valid = data->valid + from / 64, .at.f = data->values[f] + from};
        view->pointers[f] = &view->columns[f];
    }
}

static struct mill_profile *make_profile(const struct data *data, uint32_t breaks_max, struct mill_profile_spec *spec)
{
    struct mill_profile *profile = NULL;
    struct mill_error err;
    struct view view;

    *spec = (struct mill_profile_spec){.fields = data->fields, .field_count = FEATURES, .breaks_max = breaks_max};
    struct mill_profile_builder *builder = mill_profile_builder_new(spec);
    view_at(&view, data, 0);
    mill_profile_builder_add(builder, view.pointers, NULL, NULL, NULL, 0, data->row_count);
    check_ok(mill_profile_builder_finish(builder, &profile, &err), &err);
    mill_profile_builder_free(builder);
    return profile;
}

static void keep_part(void *context, const struct mill_drift_part *part)
{
    mill_buffer_reset(context);
    mill_buffer_add_slice(context, part->bytes);
}

static void write_data(const char *directory, const char *name, const struct data *data)
{
    char path[4096];

    snprintf(path, sizeof(path), "%s/%s.f64", directory, name);
    FILE *file = check(fopen(path, "wb"));
    for (uint32_t f = 0; f < FEATURES; f++) {
        mill_assert(fwrite(data->values[f], sizeof(double), data->row_count, file) == data->row_count);
    }
    mill_assert(fclose(file) == 0);
}

static void bench_compare(const char *directory, uint32_t row_count, uint32_t reference_count)
{
    struct data *reference = make_data(reference_count, 0.0, true), *current = make_data(row_count, 0.02, true);
    struct mill_profile_spec spec;
    struct mill_buffer part = {0};
    struct mill_error err;
    struct view view;

    write_data(directory, "reference", reference);
    write_data(directory, "current", current);
    int64_t *times = check(calloc(BATCH_ROWS, sizeof(*times))), begin = cpu_ns();
    struct mill_profile *profile = make_profile(reference, reference_count, &spec);
    double built = (double)(cpu_ns() - begin) / 1e9;
    for (unsigned round = 0; round < 3; round++) {
        begin = cpu_ns();
        struct mill_drift_counter_options options = {.profile = profile, .spec = &spec, .pane_us = 1000000};
        struct mill_drift_counter *counter = mill_drift_counter_new(&options);
        int64_t ready = cpu_ns();
        for (uint32_t from = 0; from < row_count; from += BATCH_ROWS) {
            uint32_t n = row_count - from < BATCH_ROWS ? row_count - from : BATCH_ROWS;
            view_at(&view, current, from);
            mill_drift_counter_add(counter, view.pointers, NULL, times, NULL, 0, n);
        }
        int64_t counted = cpu_ns();
        mill_drift_counter_take(counter, INT64_MAX, keep_part, &part);
        int64_t taken = cpu_ns();
        struct mill_drift_window *window = mill_drift_window_new(profile);
        check_ok(mill_drift_window_apply(window, mill_buffer_slice(&part), 1, &err), &err);
        int64_t applied = cpu_ns();
        double sum = evaluate(profile, window);
        int64_t end = cpu_ns();
        printf(
            "{\"bench\":\"compare\",\"rows\":%u,\"reference\":%u,\"features\":%d,\"profile_s\":%.3f,\"ready_s\":%.3f,"
            "\"count_s\":%.3f,\"count_ns\":%.2f,\"part_s\":%.3f,\"part_bytes\":%zu,\"window_s\":%.3f,"
            "\"evaluate_s\":%.4f,\"seconds\":%.3f,\"sum\":%.6f}\n",
            row_count, reference_count, FEATURES, built, (double)(ready - begin) / 1e9, (double)(counted - ready) / 1e9,
            (double)(counted - ready) / ((double)row_count * FEATURES), (double)(taken - counted) / 1e9, part.n,
            (double)(applied - taken) / 1e9, (double)(end - applied) / 1e9, (double)(end - begin) / 1e9, sum);
        mill_drift_window_free(window);
        mill_drift_counter_free(counter);
    }
    mill_profile_free(profile);
    mill_buffer_clear(&part);
    free(times);
    free_data(reference);
    free_data(current);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";

    if (strcmp(what, "locate") == 0) {
        bench_locate();
        return 0;
    }
    if (strcmp(what, "compare") == 0 && argc > 2) {
        bench_compare(argv[2], argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 1000000,
                      argc > 4 ? (uint32_t)strtoul(argv[4], NULL, 10) : 100000);
        return 0;
    }
    fprintf(stderr, "bench_drift: one of locate stream compare slide\n");
    return 64;
}

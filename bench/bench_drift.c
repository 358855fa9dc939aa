/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What drift costs one core. Prints lines of JSON.
 *
 *   bench_drift locate                     ns a value from value to slot, by distribution and number of break-points
 *   bench_drift stream                     ns a value through the counter: panes, nulls, moments, segments
 *   bench_drift compare DIR [ROWS [REF]]   30 features x ROWS (1,000,000) against a reference of REF (100,000) rows:
 *                                          counted and evaluated, five times (the first takes the memory); the
 *                                          data goes to DIR for bench/drift/peers.py
 *   bench_drift slide                      a further check of a sliding window: a pane in, a pane out, evaluated
 *   bench_drift evaluate                   one evaluation of 30 features, unmoved and moved, by rule, and with all p
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
            mill__locate(kernel, &locator, values + i, MILL__BLOCK_ROWS, slots);
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

/* Everything but p, or with p: milliseconds; the sum of the statistics is for comparison with the peers. */
static double evaluate(const struct mill_profile *profile, const struct mill_drift_window *window, bool with_p,
                       double *ret_ms)
{
    struct mill_drift_rule rule;
    struct mill_drift_report report = {0};
    struct mill_arena arena;
    double sum = 0;

    mill_arena_init(&arena, 0);
    int64_t begin = cpu_ns();
    /* The article's rule asks for every p, the calibrated one for none. */
    mill_drift_rule_init(&rule, with_p ? MILL_RULE_ARTICLE : MILL_RULE_CALIBRATED);
    mill_drift_evaluate(window, profile, &rule, with_p, &arena, &report);
    *ret_ms = (double)(cpu_ns() - begin) / 1e6;
    for (uint32_t r = 0; r < report.result_count; r++) {
        sum += report.results[r].ks.statistic;
    }
    mill_arena_clear(&arena);
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

/* The same with segments: of a reference in which each of eight sites is as frequent. */
static struct mill_profile *make_segmented(const struct data *data, struct mill_profile_spec *spec)
{
    static const char *const texts[] = {"EWR", "JFK", "LGA", "BOS", "ATL", "ORD", "LAX", "SFO"};
    struct mill_slice *sites = check(malloc(data->row_count * sizeof(*sites)));
    struct mill_column site = {.type = MILL_STRING, .valid = data->valid, .at.s = sites};
    struct mill_profile *profile = NULL;
    struct mill_error err;
    struct view view;

    for (uint32_t i = 0; i < data->row_count; i++) {
        sites[i] = mill_slice_of(texts[i % 8]);
    }
    *spec = (struct mill_profile_spec){
        .fields = data->fields, .field_count = FEATURES, .segment_by = "site", .segments_max = 8};
    struct mill_profile_builder *builder = mill_profile_builder_new(spec);
    view_at(&view, data, 0);
    mill_profile_builder_add(builder, view.pointers, &site, NULL, NULL, 0, data->row_count);
    check_ok(mill_profile_builder_finish(builder, &profile, &err), &err);
    mill_profile_builder_free(builder);
    free(sites);
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
    for (unsigned round = 0; round < 5; round++) {
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
        double ms, sum = evaluate(profile, window, false, &ms);
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

/* ---- the stream ---- */

enum { STREAM_ROWS = 1 << 20 };
static const int64_t hour_us = INT64_C(3600000000);

/* Rows of 24 hours in order, give or take half an hour; with or without an eighth of the values missing. */
static void stream_one(const char *name, const struct data *data, const struct mill_profile *profile,
                       const struct mill_profile_spec *spec, uint32_t segment_count, bool has_nulls)
{
    static const char *const texts[] = {"EWR", "JFK", "LGA", "BOS", "ATL", "ORD", "LAX", "SFO"};
    struct mill_drift_counter_options options = {.profile = profile, .spec = spec, .pane_us = hour_us};
    struct mill_drift_counter *counter = mill_drift_counter_new(&options);
    int64_t *times = check(malloc(data->row_count * sizeof(*times)));
    uint64_t *valid = check(malloc((data->row_count / 64 + 2) * sizeof(*valid)));
    struct mill_slice *sites = check(malloc(data->row_count * sizeof(*sites)));
    struct mill_buffer part = {0};
    struct view view;
    int64_t spent = 0;

    for (uint32_t i = 0; i < data->row_count; i++) {
        times[i] = (int64_t)(24.0 * i / data->row_count * (double)hour_us + (uniform() - 0.5) * (double)hour_us);
        sites[i] = mill_slice_of(texts[next_random() % 8]);
    }
    for (uint32_t w = 0; w < data->row_count / 64 + 2; w++) {
        valid[w] = has_nulls ? ~(next_random() & next_random() & next_random()) : UINT64_MAX;
    }
    for (unsigned round = 0; round < 3; round++) {
        for (uint32_t from = 0; from < data->row_count; from += BATCH_ROWS) {
            view_at(&view, data, from);
            for (uint32_t f = 0; f < FEATURES; f++) {
                view.columns[f].valid = valid + from / 64;
            }
            struct mill_column site = {.type = MILL_STRING, .valid = data->valid, .at.s = sites + from};
            int64_t begin = cpu_ns();
            mill_drift_counter_add(counter, view.pointers, segment_count > 0 ? &site : NULL, times + from, NULL, 0,
                                   BATCH_ROWS);
            spent += round > 0 ? cpu_ns() - begin : 0; /* the first takes the memory */
        }
        mill_drift_counter_take(counter, INT64_MAX, keep_part, &part);
    }
    printf("{\"bench\":\"stream\",\"case\":\"%s\",\"features\":%d,\"breaks\":%u,\"ns_per_value\":%.2f}\n", name,
           FEATURES, profile->features[0].break_count, (double)spent / (2.0 * data->row_count * FEATURES));
    mill_drift_counter_free(counter);
    mill_buffer_clear(&part);
    free(times);
    free(valid);
    free(sites);
}

static void bench_stream(void)
{
    struct data *data = make_data(STREAM_ROWS, 0.02, false);
    struct mill_profile_spec spec;
    struct mill_profile *profile = make_profile(data, 0, &spec);

    stream_one("plain", data, profile, &spec, 0, false);
    stream_one("an eighth missing", data, profile, &spec, 0, true);
    mill_profile_free(profile);
    profile = make_segmented(data, &spec);
    stream_one("8 segments, an eighth missing", data, profile, &spec, 8, true);
    mill_profile_free(profile);
    free_data(data);
}

/* ---- a sliding window of 48 panes ---- */

static void slide_one(const struct data *reference, uint32_t breaks_max, uint32_t pane_rows)
{
    enum { PANES = 48, STEPS = 20 };
    struct mill_profile_spec spec;
    struct mill_profile *profile = make_profile(reference, breaks_max, &spec);
    struct mill_drift_counter_options options = {.profile = profile, .spec = &spec, .pane_us = 1};
    struct mill_drift_counter *counter = mill_drift_counter_new(&options);
    struct mill_drift_window *window = mill_drift_window_new(profile);
    struct mill_buffer parts[PANES + STEPS] = {{0}};
    int64_t *times = check(calloc(BATCH_ROWS, sizeof(*times)));
    double slide_ms = 0, plain_ms = 0, with_p_ms = 0, ms;
    struct mill_error err;
    struct view view;

    for (uint32_t p = 0; p < PANES + STEPS; p++) {
        for (uint32_t done = 0; done < pane_rows; done += BATCH_ROWS) {
            view_at(&view, reference, (p * 64 + done) % 65536);
            mill_drift_counter_add(counter, view.pointers, NULL, times, NULL, 0,
                                   pane_rows - done < BATCH_ROWS ? pane_rows - done : BATCH_ROWS);
        }
        mill_drift_counter_take(counter, INT64_MAX, keep_part, &parts[p]);
    }
    for (uint32_t p = 0; p < PANES; p++) {
        check_ok(mill_drift_window_apply(window, mill_buffer_slice(&parts[p]), 1, &err), &err);
    }
    for (uint32_t step = 0; step < STEPS; step++) {
        int64_t begin = cpu_ns();
        check_ok(mill_drift_window_apply(window, mill_buffer_slice(&parts[PANES + step]), 1, &err), &err);
        check_ok(mill_drift_window_apply(window, mill_buffer_slice(&parts[step]), -1, &err), &err);
        slide_ms += (double)(cpu_ns() - begin) / 1e6;
        evaluate(profile, window, false, &ms);
        plain_ms += ms;
        evaluate(profile, window, true, &ms);
        with_p_ms += ms;
    }
    printf("{\"bench\":\"slide\",\"features\":%d,\"breaks\":%u,\"window_rows\":%u,\"pane_rows\":%u,\"slide_ms\":%.3f,"
           "\"evaluate_ms\":%.3f,\"check_ms\":%.3f,\"check_with_p_ms\":%.3f}\n",
           FEATURES, profile->features[0].break_count, PANES * pane_rows, pane_rows, slide_ms / STEPS, plain_ms / STEPS,
           (slide_ms + plain_ms) / STEPS, (slide_ms + with_p_ms) / STEPS);
    for (uint32_t p = 0; p < PANES + STEPS; p++) {
        mill_buffer_clear(&parts[p]);
    }
    mill_drift_window_free(window);
    mill_drift_counter_free(counter);
    mill_profile_free(profile);
    free(times);
}

static void bench_slide(void)
{
    struct data *reference = make_data(100000, 0.0, true);

    slide_one(reference, 0, 1000);
    slide_one(reference, 0, 20000);
    slide_one(reference, 100000, 1000);
    free_data(reference);
}

/* ---- one evaluation ---- */

static double evaluate_ms(const struct mill_profile *profile, const struct mill_drift_window *window,
                          enum mill_rule_kind kind, bool with_p)
{
    struct mill_drift_rule rule;
    double best = INFINITY;

    mill_drift_rule_init(&rule, kind);
    for (unsigned round = 0; round < 5; round++) {
        struct mill_drift_report report;
        struct mill_arena arena;
        mill_arena_init(&arena, 0);
        int64_t begin = cpu_ns();
        mill_drift_evaluate(window, profile, &rule, with_p, &arena, &report);
        best = fmin(best, (double)(cpu_ns() - begin) / 1e6);
        mill_arena_clear(&arena);
    }
    return best;
}

/* A reference of row_count rows and a window of one row less, in which every feature has moved by shift: sizes that
 * have no closed form. */
static void evaluate_one(const struct mill_profile *profile, const struct mill_profile_spec *spec, uint32_t row_count,
                         double shift)
{
    struct data *current = make_data(row_count - 1, 0.0, true);
    struct mill_drift_counter_options options = {.profile = profile, .spec = spec, .pane_us = 1};
    struct mill_drift_counter *counter = mill_drift_counter_new(&options);
    struct mill_drift_window *window = mill_drift_window_new(profile);
    int64_t *times = check(calloc(BATCH_ROWS, sizeof(*times)));
    struct mill_buffer part = {0};
    struct mill_error err;
    struct view view;

    for (uint32_t f = 0; f < FEATURES; f++) {
        for (uint32_t i = 0; i < current->row_count; i++) {
            current->values[f][i] += shift;
        }
    }
    for (uint32_t from = 0; from < current->row_count; from += BATCH_ROWS) {
        uint32_t left = current->row_count - from;
        view_at(&view, current, from);
        mill_drift_counter_add(counter, view.pointers, NULL, times, NULL, 0, left < BATCH_ROWS ? left : BATCH_ROWS);
    }
    mill_drift_counter_take(counter, INT64_MAX, keep_part, &part);
    check_ok(mill_drift_window_apply(window, mill_buffer_slice(&part), 1, &err), &err);
    printf("{\"bench\":\"evaluate\",\"features\":%d,\"breaks\":%u,\"rows\":%u,\"shift\":%.2f,\"default_ms\":%.3f,"
           "\"article_ms\":%.3f,\"all_p_ms\":%.3f}\n",
           FEATURES, profile->features[0].break_count, row_count, shift,
           evaluate_ms(profile, window, MILL_RULE_DEFAULT, false),
           evaluate_ms(profile, window, MILL_RULE_ARTICLE, false),
           evaluate_ms(profile, window, MILL_RULE_DEFAULT, true));
    mill_buffer_clear(&part);
    mill_drift_window_free(window);
    mill_drift_counter_free(counter);
    free(times);
    free_data(current);
}

static void bench_evaluate(void)
{
    static const uint32_t rows[] = {10000, 1000000}, breaks[] = {2000, 100000};
    static const double shifts[] = {0, 0.1, 0.5};

    for (unsigned r = 0; r < 2; r++) {
        struct data *reference = make_data(rows[r], 0.0, true);
        for (unsigned b = 0; b < 2; b++) {
            struct mill_profile_spec spec;
            struct mill_profile *profile = make_profile(reference, breaks[b], &spec);
            for (unsigned s = 0; s < 3; s++) {
                evaluate_one(profile, &spec, rows[r], shifts[s]);
            }
            mill_profile_free(profile);
        }
        free_data(reference);
    }
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";

    if (strcmp(what, "locate") == 0) {
        bench_locate();
        return 0;
    }
    if (strcmp(what, "stream") == 0) {
        bench_stream();
        return 0;
    }
    if (strcmp(what, "slide") == 0) {
        bench_slide();
        return 0;
    }
    if (strcmp(what, "evaluate") == 0) {
        bench_evaluate();
        return 0;
    }
    if (strcmp(what, "compare") == 0 && argc > 2) {
        bench_compare(argv[2], argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 1000000,
                      argc > 4 ? (uint32_t)strtoul(argv[4], NULL, 10) : 100000);
        return 0;
    }
    fprintf(stderr, "bench_drift: one of locate stream compare slide evaluate\n");
    return 64;
}

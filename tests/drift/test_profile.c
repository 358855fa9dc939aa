/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles: bins as numpy has them, counts as the golden cases have them, one file whatever the order of rows, and
 * nothing accepted that is not whole. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/file.h"
#include "base/hash.h"
#include "drift/profile_internal.h"
#include "tests/drift/drift_fixture.h"

static const struct mill_field one[] = {{"x", MILL_FLOAT64}};
static const struct mill_field mixed[] = {{"x", MILL_FLOAT64}, {"n", MILL_INT64}, {"c", MILL_STRING}, {"b", MILL_BOOL}};

static struct mill_profile *profile_of(const double *values, size_t count, struct mill_binning binning, uint32_t breaks)
{
    struct mill_profile_spec spec = {.fields = one, .field_count = 1, .binning = binning, .breaks_max = breaks};
    struct rows *rows = rows_new(one, 1);

    for (size_t i = 0; i < count; i++) {
        rows_set_double(rows, rows_add(rows, 0), 0, values[i]);
    }
    struct mill_profile *profile = rows_profile(rows, &spec);
    rows_free(rows);
    return profile;
}

/* The inner edges: bins end behind a break-point. */
static uint32_t edges_of(const struct mill_profile_feature *feature, double *edges)
{
    for (uint32_t b = 1; b < feature->bin_count; b++) {
        assert_int_equal(feature->bin_slot[b] % 2, 0);
        edges[b - 1] = feature->breaks[feature->bin_slot[b] / 2 - 1];
    }
    return feature->bin_count - 1;
}

static uint64_t bin_sum(const struct mill_profile_feature *feature, const uint64_t *slots, uint32_t bin)
{
    uint64_t sum = 0;

    for (uint32_t s = feature->bin_slot[bin]; s < feature->bin_slot[bin + 1]; s++) {
        sum += slots[s];
    }
    return sum;
}

/* ---- numpy's edges ---- */

static uint32_t take_numbers(char **p, double *values)
{
    uint32_t n = 0;

    while (**p != '|' && **p != '\n' && **p != 0) {
        char *end;
        double x = strtod(*p, &end);
        if (end != *p) {
            values[n++] = x;
        }
        *p = end == *p ? *p + 1 : end;
    }
    *p += **p == '|';
    return n;
}

static void check_numpy_line(char *line)
{
    double values[200], bins, edges[64], density[16], got[64];
    uint32_t n = take_numbers(&line, values);
    assert_int_equal(take_numbers(&line, &bins), 1);
    uint32_t edge_count = take_numbers(&line, edges), density_count = take_numbers(&line, density);
    struct mill_profile *profile = profile_of(values, n, (struct mill_binning){.count = (uint32_t)bins}, 0);
    const struct mill_profile_feature *feature = &profile->features[0];

    assert_int_equal(edges_of(feature, got), edge_count);
    for (uint32_t i = 0; i < edge_count; i++) {
        assert_true(got[i] == edges[i]);
    }
    assert_int_equal(feature->density_count, density_count == 0 ? 0 : density_count - 1);
    for (uint32_t i = 0; i < density_count; i++) {
        assert_true(feature->density_edges[i] == density[i]);
    }
    mill_profile_free(profile);
}

static void test_numpy_edges(void **state)
{
    struct mill_buffer text = {0};
    unsigned lines = 0;

    (void)state;
    assert_int_equal(mill_file_read(MILL_TEST_DIR "/drift/data/numpy_bins.txt", SIZE_MAX, &text, NULL), MILL_OK);
    mill_buffer_cstr(&text);
    for (char *line = text.p, *end; (end = strchr(line, '\n')) != NULL; line = end + 1, lines++) {
        *end = 0;
        check_numpy_line(line);
    }
    assert_int_equal(lines, 100);
    mill_buffer_clear(&text);
}

/* ---- the golden cases, through builder, counter and window ---- */

static struct rows *rows_of(const json_t *values)
{
    struct rows *rows = rows_new(one, 1);
    const json_t *value;
    size_t i;

    json_array_foreach(values, i, value)
    {
        uint32_t row = rows_add(rows, 0);
        if (json_is_number(value)) {
            rows_set_double(rows, row, 0, json_number_value(value));
        } else if (json_is_string(value)) {
            rows_set_double(rows, row, 0, strtod(json_string_value(value), NULL));
        }
    }
    return rows;
}

static void apply(void *context, const struct mill_drift_part *part)
{
    assert_int_equal(mill_drift_window_apply(context, part->bytes, 1, NULL), MILL_OK);
}

static struct mill_drift_window *window_of(const struct rows *rows, const struct mill_profile *profile,
                                           const struct mill_profile_spec *spec)
{
    struct mill_drift_window *window = mill_drift_window_new(profile);
    struct mill_drift_counter_options options = {.profile = profile, .spec = spec, .pane_us = 1};
    struct mill_drift_counter *counter = mill_drift_counter_new(&options);

    mill_drift_counter_add(counter, rows->pointers, NULL, rows->times, NULL, 0, rows->count);
    mill_drift_counter_take(counter, INT64_MAX, apply, window);
    mill_drift_counter_free(counter);
    return window;
}

static void check_shares(const json_t *expected, const struct mill_profile_feature *feature, const uint64_t *slots,
                         uint64_t total)
{
    assert_int_equal(json_array_size(expected), feature->bin_count);
    for (uint32_t b = 0; b < feature->bin_count; b++) {
        double share = (double)bin_sum(feature, slots, b) / (double)total;
        assert_true(fabs(share - json_number_value(json_array_get(expected, b))) <= 1e-12);
    }
}

static void check_golden(const json_t *root, const struct mill_profile_feature *feature,
                         const struct mill_drift_counts *counts)
{
    const json_t *psi = json_object_get(root, "psi_quantile10_floor1e-4"), *ks = json_object_get(root, "ks");
    uint64_t n1 = feature->row_count - feature->null_count, n2 = counts->row_count - counts->null_count;
    struct mill_ks got;

    check_shares(json_object_get(psi, "reference_share"), feature, feature->slots, n1);
    check_shares(json_object_get(psi, "current_share"), feature, counts->slots, n2);
    mill__ks_of_slots(feature, feature->slots, n1, counts->slots, n2, &got);
    assert_true(got.statistic == json_number_value(json_object_get(ks, "statistic")));
    assert_int_equal(got.sign, json_integer_value(json_object_get(ks, "sign")));
    assert_true(fabs(mill_ks_pvalue(&got, MILL_KS_AUTO) - json_number_value(json_object_get(ks, "pvalue"))) <= 1e-12);
}

static unsigned golden_file(const char *name)
{
    char path[512];

    snprintf(path, sizeof(path), MILL_TEST_DIR "/drift/data/golden/%s.json", name);
    struct mill_buffer text = {0};
    assert_int_equal(mill_file_read(path, SIZE_MAX, &text, NULL), MILL_OK);
    for (char *p = mill_buffer_cstr(&text) == NULL ? NULL : text.p; (p = strstr(p, "Infinity")) != NULL;) {
        char *begin = p[-1] == '-' ? p - 1 : p; /* no JSON: a string of the same length */
        memcpy(begin, p[-1] == '-' ? "\"-inf\"   " : "\"inf\"   ", p[-1] == '-' ? 9 : 8);
    }
    json_t *root = json_loadb(text.p, text.n, 0, NULL);
    assert_non_null(root);
    bool is_numeric = json_object_get(root, "psi_quantile10_floor1e-4") != NULL;
    if (is_numeric) {
        struct mill_profile_spec spec = {.fields = one, .field_count = 1, .breaks_max = 1 << 20};
        struct rows *reference = rows_of(json_object_get(root, "reference"));
        struct rows *current = rows_of(json_object_get(root, "current"));
        struct mill_profile *profile = rows_profile(reference, &spec);
        struct mill_drift_window *window = window_of(current, profile, &spec);
        assert_true(profile->features[0].is_exact);
        check_golden(root, &profile->features[0], mill_drift_window_counts(window, UINT32_MAX, 0));
        mill_drift_window_free(window);
        mill_profile_free(profile);
        rows_free(reference);
        rows_free(current);
    }
    json_decref(root);
    mill_buffer_clear(&text);
    return is_numeric;
}

static void test_golden(void **state)
{
    static const char *const names[] = {
        "asymp_large", "both_constant",      "constant_reference", "equal_sizes",  "few",   "infinite",     "integers",
        "lognormal",   "negative_zero_tiny", "normal_same",        "normal_shift", "nulls", "out_of_range", "rounded",
        "scale",       "zero_inflated"};
    unsigned numeric = 0;

    (void)state;
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        numeric += golden_file(names[i]);
    }
    assert_int_equal(numeric, 16);
}

/* ---- bins of atoms, and of values that lie close together ---- */

static void expect_bins(const double *values, size_t count, uint32_t bins, const uint64_t *expected,
                        uint32_t expected_count)
{
    struct mill_profile *profile = profile_of(values, count, (struct mill_binning){.count = bins, .atoms = true}, 0);
    const struct mill_profile_feature *feature = &profile->features[0];

    assert_int_equal(feature->bin_count, expected_count);
    for (uint32_t b = 0; b < expected_count; b++) {
        assert_int_equal(bin_sum(feature, feature->slots, b), expected[b]);
    }
    mill_profile_free(profile);
}

static void test_atoms(void **state)
{
    static const double constant[] = {7, 7, 7}, integers[] = {1, 2, 3, 1, 2, 3, 1, 2},
                        inflated[] = {0, 0, 0, 0, 0, 0, 1.5, 2.5, 3.5, -1.5};
    static const uint64_t of_constant[] = {0, 3, 0}, of_integers[] = {0, 3, 3, 2, 0}, of_inflated[] = {1, 6, 3};

    (void)state;
    expect_bins(constant, 3, 10, of_constant, 3); /* (..7) {7} (7..) */
    expect_bins(integers, 8, 4, of_integers, 5);  /* (..1) {1} (1..2] (2..3] (3..) */
    expect_bins(inflated, 10, 2, of_inflated, 3); /* (..0) {0} (0..) */
}

static void test_break_points(void **state)
{
    enum { N = 10000, BREAKS = 500 };
    double *values = mill_malloc(N * sizeof(*values));

    (void)state;
    random_seed("break points");
    for (unsigned kind = 0; kind < HARD_KINDS; kind++) {
        for (unsigned i = 0; i < N; i++) {
            values[i] = random_hard(kind);
        }
        struct mill_profile *profile = profile_of(values, N, (struct mill_binning){.atoms = true}, BREAKS);
        const struct mill_profile_feature *feature = &profile->features[0];
        assert_true(feature->break_count <= BREAKS + 10 + 9 + 11);
        for (uint32_t i = 1; i < feature->break_count; i++) {
            assert_true(feature->breaks[i - 1] < feature->breaks[i]);
        }
        uint64_t most = 0;
        for (uint32_t s = 0; s < feature->slot_count; s += 2) {
            most = feature->slots[s] > most ? feature->slots[s] : most;
        }
        assert_true(most <= N / (BREAKS - 1) + 1); /* equal mass: no gap has more than its part */
        assert_true(feature->is_exact == (most == 0));
        assert_int_equal(feature->slots[0] + feature->slots[feature->slot_count - 1], 0);
        mill_profile_free(profile);
    }
    free(values);
}

/* ---- the file ---- */

static void add_mixed(struct rows *rows, unsigned kind, int64_t time_us)
{
    uint32_t row = rows_add(rows, time_us);
    char text[16];

    rows_set_double(rows, row, 0, random_hard(kind));
    if (random_below(5) > 0) {
        rows_set_int(rows, row, 1, (int64_t)random_u64() >> random_below(64));
    }
    snprintf(text, sizeof(text), "level %u", random_below(40) * random_below(40));
    rows_set_text(rows, row, 2, text);
    rows_set_bool(rows, row, 3, random_below(3) == 0);
    snprintf(text, sizeof(text), "%u", random_below(6));
    rows_set_text(rows, row, 4, text);
}

/* Rows of `from` in another order. */
static struct rows *shuffled(const struct rows *from)
{
    struct rows *rows = rows_new(mixed, 4);
    uint32_t *order = mill_malloc(from->count * sizeof(*order));

    for (uint32_t i = 0; i < from->count; i++) {
        uint32_t j = random_below(i + 1);
        order[i] = order[j];
        order[j] = i;
    }
    for (uint32_t i = 0; i < from->count; i++) {
        uint32_t at = order[i], row = rows_add(rows, from->times[at]);
        for (uint32_t c = 0; c <= 4; c++) {
            if (!mill_bit_get(from->columns[c].valid, at)) {
                continue;
            }
            mill_bit_set(rows->columns[c].valid, row);
            if (c == 3) {
                rows->columns[c].at.b[row] = from->columns[c].at.b[at];
            } else if (c == 2 || c == 4) {
                rows->columns[c].at.s[row] = from->columns[c].at.s[at];
            } else {
                rows->columns[c].at.i[row] = from->columns[c].at.i[at];
            }
        }
    }
    free(order);
    return rows;
}

static const struct mill_profile_spec mixed_spec = {.model = "m",
                                                    .model_version = "3",
                                                    .fields = mixed,
                                                    .field_count = 4,
                                                    .binning = {.atoms = true},
                                                    .breaks_max = 100,
                                                    .levels_max = 20,
                                                    .calibration_window_us = 100,
                                                    .segment_by = "site",
                                                    .segments_max = 3};

static void check_file(const struct mill_profile *profile)
{
    struct mill_buffer bytes = {0}, again = {0};
    struct mill_profile *read = NULL;
    struct mill_error err;
    char sha256[65];

    mill_profile_write(profile, &bytes);
    mill_sha256_hex(bytes.p, bytes.n, sha256);
    assert_string_equal(sha256, profile->sha256);
    assert_int_equal(mill_profile_read(mill_buffer_slice(&bytes), &read, &err), MILL_OK);
    assert_string_equal(read->sha256, profile->sha256);
    mill_profile_write(read, &again);
    assert_true(mill_slice_equal(mill_buffer_slice(&bytes), mill_buffer_slice(&again)));
    assert_true(read->arena.total <= 16 * bytes.n);
    mill_profile_free(read);
    for (uint32_t i = 0; i < 50; i++) {
        uint32_t at = random_below((uint32_t)bytes.n), bit = 1 << random_below(8);
        bytes.p[at] = (char)(bytes.p[at] ^ bit);
        assert_int_equal(mill_profile_read(mill_buffer_slice(&bytes), &read, &err), MILL_EDATA);
        bytes.p[at] = (char)(bytes.p[at] ^ bit);
        assert_int_equal(mill_profile_read((struct mill_slice){bytes.p, at}, &read, &err), MILL_EDATA);
    }
    mill_buffer_clear(&bytes);
    mill_buffer_clear(&again);
}

static void test_file(void **state)
{
    (void)state;
    random_seed("file");
    for (unsigned round = 0; round < 60; round++) {
        struct rows *rows = rows_new(mixed, 4);
        for (uint32_t n = 1 + random_below(round < 20 ? 5 : 2000); n > 0; n--) {
            add_mixed(rows, round, (int64_t)random_below(1000));
        }
        struct rows *other = shuffled(rows);
        struct mill_profile *profile = rows_profile(rows, &mixed_spec), *same = rows_profile(other, &mixed_spec);
        assert_string_equal(profile->sha256, same->sha256);
        assert_int_equal(mill_profile_find(profile, "c"), 2);
        assert_int_equal(mill_profile_find(profile, "d"), -1);
        check_file(profile);
        mill_profile_free(profile);
        mill_profile_free(same);
        rows_free(rows);
        rows_free(other);
    }
}

static void test_empty(void **state)
{
    struct mill_profile_builder *builder = mill_profile_builder_new(&mixed_spec);
    struct mill_profile *profile;
    struct mill_error err;
    double nothing[] = {(double)NAN, (double)NAN};

    (void)state;
    assert_int_equal(mill_profile_builder_finish(builder, &profile, &err), MILL_EDATA);
    mill_profile_builder_free(builder);
    profile = profile_of(nothing, 2, (struct mill_binning){.atoms = true}, 0);
    assert_int_equal(profile->features[0].null_count, 2);
    assert_int_equal(profile->features[0].bin_count, 1);
    assert_int_equal(profile->features[0].slot_count, 1);
    assert_true(isnan(profile->features[0].min) && isnan(profile->features[0].mean));
    check_file(profile);
    mill_profile_free(profile);
}

/* What is written is read again only if its extremes are those of its counts: they become slots. */
static void test_extremes(void **state)
{
    const double values[] = {-2, 3, 3, 7}, wrong[] = {1e300, 6, -3, (double)INFINITY, (double)NAN};
    struct mill_profile *profile = profile_of(values, 4, (struct mill_binning){.atoms = true}, 0), *read = NULL;
    struct mill_profile_feature *feature = (struct mill_profile_feature *)(uintptr_t)profile->features;

    (void)state;
    for (unsigned i = 0; i < 10; i++) {
        struct mill_buffer bytes = {0};
        double *at = i < 5 ? &feature->max : &feature->min, right = *at;
        *at = wrong[i % 5];
        mill_profile_write(profile, &bytes);
        assert_int_equal(mill_profile_read(mill_buffer_slice(&bytes), &read, NULL), MILL_EDATA);
        mill_buffer_clear(&bytes);
        *at = right;
    }
    check_file(profile);
    mill_profile_free(profile);
}

/* Slots are sorted as numbers below 2^22: with one break-point more the last slot is none. */
static void test_most_break_points(void **state)
{
    const double values[] = {1, 2};
    struct mill_profile *profile = profile_of(values, 2, (struct mill_binning){.count = 1}, 0), *read = NULL;
    struct mill_profile_feature *feature = (struct mill_profile_feature *)(uintptr_t)profile->features;

    (void)state;
    for (uint32_t k = (1 << 21) - 1; k <= 1 << 21; k++) {
        double *breaks = mill_malloc(k * sizeof(*breaks));
        uint64_t *slots = mill_calloc(2 * (size_t)k + 1, sizeof(*slots));
        const uint32_t bins[] = {0, 2 * k + 1};
        struct mill_buffer bytes = {0};
        for (uint32_t i = 0; i < k; i++) {
            breaks[i] = i;
        }
        slots[1] = slots[2 * k - 1] = 1;
        feature->breaks = breaks;
        feature->slots = slots;
        feature->break_count = k;
        feature->slot_count = 2 * k + 1;
        feature->bin_count = 1;
        feature->bin_slot = bins;
        feature->density_count = 0;
        feature->min = 0;
        feature->max = k - 1;
        mill_profile_write(profile, &bytes);
        int rc = mill_profile_read(mill_buffer_slice(&bytes), &read, NULL);
        assert_int_equal(rc, k < 1 << 21 ? MILL_OK : MILL_EDATA);
        mill_profile_free(rc == MILL_OK ? read : NULL);
        mill_buffer_clear(&bytes);
        free(breaks);
        free(slots);
    }
    mill_profile_free(profile);
}

/* Event times that can be none are not in the span: sums of times overflow nowhere. */
static void test_times_at_the_ends(void **state)
{
    const int64_t ends[] = {INT64_MIN, INT64_MIN + 1, INT64_MAX, INT64_MAX - 1, (INT64_C(1) << 62) + 1};
    const struct mill_profile_spec spec = {.fields = one, .field_count = 1, .calibration_window_us = INT64_C(1) << 61};
    struct rows *rows = rows_new(one, 1);

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        rows_set_double(rows, rows_add(rows, ends[i]), 0, i);
    }
    struct mill_profile *profile = rows_profile(rows, &spec);
    assert_true(profile->from_us == INT64_MIN && profile->to_us == INT64_MIN);
    check_file(profile);
    mill_profile_free(profile);
    rows_set_double(rows, rows_add(rows, -(INT64_C(1) << 62)), 0, 7);
    rows_set_double(rows, rows_add(rows, (INT64_C(1) << 62) - 1), 0, 8);
    profile = rows_profile(rows, &spec);
    assert_true(profile->from_us == -(INT64_C(1) << 62) && profile->to_us == INT64_C(1) << 62);
    assert_int_equal(profile->features[0].calibration_count, 2);
    check_file(profile);
    /* And none such is read: reference and window ends are reckoned from them. */
    int64_t right = profile->to_us;
    for (unsigned i = 0; i < 3; i++) {
        struct mill_buffer bytes = {0};
        struct mill_profile *read;
        profile->to_us = i == 0 ? INT64_MAX : i == 1 ? (INT64_C(1) << 62) + 2 : right;
        profile->from_us = i == 2 ? INT64_MIN : profile->from_us;
        mill_profile_write(profile, &bytes);
        assert_int_equal(mill_profile_read(mill_buffer_slice(&bytes), &read, NULL), MILL_EDATA);
        mill_buffer_clear(&bytes);
    }
    mill_profile_free(profile);
    rows_free(rows);
}

/* Calibration: each whole window of the reference against all of it, computed from the samples. */
static void test_calibration(void **state)
{
    struct rows *rows = rows_new(one, 1);
    struct mill_profile_spec spec = {
        .fields = one, .field_count = 1, .breaks_max = 1 << 20, .calibration_window_us = 100};
    double all[1000], window[1000], expected[10], scratch[1000];
    unsigned windows = 0;

    (void)state;
    random_seed("calibration");
    for (unsigned i = 0; i < 1000; i++) {
        all[i] = floor(20.0 * random_normal()) + 0.0;
        /* Times 5 to 954: nine whole windows and half a one. */
        rows_set_double(rows, rows_add(rows, 5 + (i == 0 ? 0 : i == 1 ? 949 : (int64_t)random_below(950))), 0, all[i]);
    }
    struct mill_profile *profile = rows_profile(rows, &spec);
    mill__sort_doubles(all, scratch, 1000);
    for (int64_t begin = 5; begin + 100 <= 955; begin += 100) {
        uint32_t n = 0;
        for (unsigned i = 0; i < 1000; i++) {
            if (rows->times[i] >= begin && rows->times[i] < begin + 100) {
                window[n++] = rows->columns[0].at.f[i];
            }
        }
        struct mill_ks ks;
        mill__sort_doubles(window, scratch, n);
        mill_ks_2samp(all, 1000, window, n, &ks);
        expected[windows++] = ks.statistic;
    }
    mill__sort_doubles(expected, scratch, windows);
    assert_int_equal(windows, 9);
    assert_int_equal(profile->calibration_window_us, 100);
    assert_int_equal(profile->features[0].calibration_count, 9);
    assert_memory_equal(profile->features[0].calibration_ks, expected, 9 * sizeof(double));
    for (unsigned i = 0; i < 9; i++) {
        assert_true(profile->features[0].calibration_psi[i] > 0.0 && profile->features[0].calibration_psi[i] < 1.0);
    }
    mill_profile_free(profile);
    rows_free(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numpy_edges),
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_atoms),
        cmocka_unit_test(test_break_points),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_calibration),
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_most_break_points),
        cmocka_unit_test(test_times_at_the_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drift profiles from hostile bytes. The input is what stands between head and checksum, or, if its first byte is 0xff,
 * a whole file. What is accepted is no larger than promised, writes back to the same bytes, and windows can be counted
 * and judged against it.
 */
#include "base/hash.h"
#include "drift/profile_format_internal.h"
#include "drift/profile_internal.h"

enum { ROWS = 8, FEATURES_MAX = 16 };

static void apply(void *context, const struct mill_drift_part *part)
{
    mill_assert(mill_drift_window_apply(context, part->bytes, 1, NULL) == MILL_OK);
}

static void fill(struct mill_column *columns, const struct mill_column **pointers, const struct mill_profile *profile,
                 struct mill_field *fields, struct mill_arena *arena)
{
    static const double values[ROWS] = {0, 1, -1, 1e300, -1e-300, 0.5, 3, 1e9};

    for (uint32_t f = 0; f <= profile->feature_count; f++) {
        bool is_text = f == profile->feature_count || profile->features[f].kind == MILL_DRIFT_CATEGORICAL;
        mill_column_init(&columns[f], is_text ? MILL_STRING : MILL_FLOAT64, ROWS, arena);
        columns[f].valid[0] = 0x7f;
        for (uint32_t i = 0; i < ROWS; i++) {
            if (is_text) {
                columns[f].at.s[i] = mill_slice_of(i % 2 == 0 ? "a" : "");
            } else {
                columns[f].at.f[i] = values[i];
            }
        }
        pointers[f] = &columns[f];
        if (f < profile->feature_count) {
            fields[f] = (struct mill_field){profile->features[f].name, columns[f].type};
        }
    }
}

static void evaluate(const struct mill_drift_window *window, const struct mill_profile *profile,
                     struct mill_arena *arena)
{
    struct mill_buffer json = {0};

    for (unsigned kind = MILL_RULE_DEFAULT; kind <= MILL_RULE_CALIBRATED; kind++) {
        struct mill_drift_rule rule;
        struct mill_drift_report report;
        mill_drift_rule_init(&rule, (enum mill_rule_kind)kind);
        rule.samples_min = 1;
        mill_drift_evaluate(window, profile, &rule, false, arena, &report);
        report.monitor = report.model = report.model_version = "";
        mill_drift_report_write_json(&report, "p", INT64_MIN, &json);
    }
    mill_buffer_clear(&json);
}

static void count(const struct mill_profile *profile)
{
    struct mill_field fields[FEATURES_MAX];
    struct mill_column columns[FEATURES_MAX + 1];
    const struct mill_column *pointers[FEATURES_MAX + 1];
    struct mill_profile_spec spec = {.fields = fields, .field_count = profile->feature_count};
    struct mill_drift_counter_options options = {.profile = profile, .spec = &spec, .pane_us = 10};
    int64_t times[ROWS] = {0, 1, 2, 3, 4, 5, 6, 7};
    struct mill_arena arena;

    mill_arena_init(&arena, 0);
    fill(columns, pointers, profile, fields, &arena);
    struct mill_drift_counter *counter = mill_drift_counter_new(&options);
    struct mill_drift_window *window = mill_drift_window_new(profile);
    mill_drift_counter_add(counter, pointers, &columns[profile->feature_count], times, NULL, 0, ROWS);
    mill_drift_counter_take(counter, INT64_MAX, apply, window);
    for (uint32_t f = 0; f < profile->feature_count; f++) {
        mill_assert(mill_drift_window_counts(window, UINT32_MAX, f)->row_count == ROWS);
    }
    evaluate(window, profile, &arena);
    mill_drift_window_free(window);
    mill_drift_counter_free(counter);
    mill_arena_clear(&arena);
}

static void make_file(const uint8_t *data, size_t size, struct mill_buffer *file)
{
    if (size > 0 && data[0] == 0xff) {
        mill_buffer_add(file, data + 1, size - 1);
        return;
    }
    mill_buffer_add(file, MILL__PROFILE_MAGIC, MILL__PROFILE_MAGIC_SIZE);
    mill_buffer_add_u32(file, MILL__PROFILE_VERSION);
    mill_buffer_add(file, data, size);
    mill_buffer_add_u64(file, mill_hash64(file->p, file->n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mill_buffer file = {0}, again = {0};
    struct mill_profile *profile;

    make_file(data, size, &file);
    if (mill_profile_read(mill_buffer_slice(&file), &profile, NULL) == MILL_OK) {
        mill_assert(profile->arena.total <= 16 * file.n);
        mill_profile_write(profile, &again);
        mill_assert(mill_slice_equal(mill_buffer_slice(&file), mill_buffer_slice(&again)));
        if (profile->feature_count <= FEATURES_MAX && profile->feature_count > 0) {
            count(profile);
        }
        mill_profile_free(profile);
    }
    mill_buffer_clear(&file);
    mill_buffer_clear(&again);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parts of drift counts and states of counters from hostile bytes. The first byte says what the rest is: 0 a body of
 * counts of our profile, 1 a body of rows, 2 a counter's state without its checksum, 3 a part, 4 a state. A part that
 * is added can be taken back and leaves nothing; a state that is loaded is saved and loaded again as the same parts.
 */
#include "base/hash.h"
#include "drift/count_internal.h"

static const struct mill_field fields[] = {{"x", MILL_FLOAT64}, {"n", MILL_INT64}, {"c", MILL_STRING}};
static const struct mill_profile_spec spec = {
    .fields = fields, .field_count = 3, .breaks_max = 20, .levels_max = 3, .segment_by = "site", .segments_max = 2};
static struct mill_profile *profile;

static void set_up(void)
{
    static const char *const texts[] = {"a", "b", "c", "d", "e"};
    struct mill_profile_builder *builder = mill_profile_builder_new(&spec);
    struct mill_column columns[4];
    const struct mill_column *pointers[3] = {&columns[0], &columns[1], &columns[2]};
    struct mill_arena arena;

    mill_arena_init(&arena, 0);
    for (uint32_t c = 0; c < 4; c++) {
        mill_column_init(&columns[c], c < 3 ? fields[c].type : MILL_STRING, 64, &arena);
        columns[c].valid[0] = UINT64_MAX;
    }
    for (uint32_t i = 0; i < 64; i++) {
        columns[0].at.f[i] = i * 0.37;
        columns[1].at.i[i] = i % 7;
        columns[2].at.s[i] = mill_slice_of(texts[i % 5]);
        columns[3].at.s[i] = mill_slice_of(texts[i % 3]);
    }
    mill_profile_builder_add(builder, pointers, &columns[3], NULL, NULL, 0, 64);
    mill_assert(mill_profile_builder_finish(builder, &profile, NULL) == MILL_OK);
    mill_profile_builder_free(builder);
    mill_arena_clear(&arena);
}

static void check_empty(const struct mill_drift_window *window)
{
    for (uint32_t f = 0; f < 3; f++) {
        for (uint32_t s = 0; s <= profile->segment_count + 1; s++) {
            const struct mill_drift_counts *counts =
                mill_drift_window_counts(window, s > profile->segment_count ? UINT32_MAX : s, f);
            mill_assert(counts->row_count == 0 && counts->null_count == 0 && counts->moments.square[1] == 0 &&
                        counts->moments.sum[0] == 0);
            for (uint32_t i = 0; i < profile->features[f].slot_count; i++) {
                mill_assert(counts->slots[i] == 0);
            }
        }
    }
}

static void try_part(struct mill_slice part)
{
    struct mill_drift_window *window = mill_drift_window_new(profile);
    struct mill_profile_builder *builder = mill_profile_builder_new(&spec);
    uint64_t rows;

    if (mill_drift_window_apply(window, part, 1, NULL) == MILL_OK) {
        mill_assert(mill_drift_window_apply(window, part, -1, NULL) == MILL_OK);
    }
    check_empty(window);
    if (mill_drift_part_build(part, &spec, builder, &rows, NULL) == MILL_OK) {
        mill_assert(rows == mill_profile_builder_rows(builder));
    }
    mill_profile_builder_free(builder);
    mill_drift_window_free(window);
}

static void keep(void *context, const struct mill_drift_part *part)
{
    mill_buffer_add_zigzag(context, part->start_us);
    mill_buffer_add_varint(context, part->part);
    mill_buffer_add_slice(context, part->bytes);
}

static void try_state(struct mill_slice bytes, const struct mill_profile *with)
{
    struct mill_drift_counter_options options = {.profile = with, .spec = &spec, .pane_us = 100, .panes_max = 8};
    struct mill_drift_counter *counter = mill_drift_counter_new(&options), *other = mill_drift_counter_new(&options);
    struct mill_buffer saved = {0}, parts = {0}, same = {0};

    if (mill_drift_counter_load(counter, bytes, NULL) == MILL_OK) {
        mill_drift_counter_save(counter, &saved);
        mill_assert(mill_drift_counter_load(other, mill_buffer_slice(&saved), NULL) == MILL_OK);
        mill_drift_counter_take(counter, INT64_MAX, keep, &parts);
        mill_drift_counter_take(other, INT64_MAX, keep, &same);
        mill_assert(mill_slice_equal(mill_buffer_slice(&parts), mill_buffer_slice(&same)));
    }
    mill_drift_counter_free(counter);
    mill_drift_counter_free(other);
    mill_buffer_clear(&saved);
    mill_buffer_clear(&parts);
    mill_buffer_clear(&same);
}

static void make_part(uint8_t form, struct mill_slice body, struct mill_buffer *out)
{
    mill_buffer_add_byte(out, MILL__PART_VERSION);
    mill_buffer_add_byte(out, form);
    mill_buffer_add_u64(out, form == MILL__PART_COUNTS ? mill__profile_id(profile) : 0);
    mill_buffer_add_slice(out, body);
    mill__part_finish(0, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mill_buffer bytes = {0};

    if (profile == NULL) {
        set_up();
    }
    if (size == 0) {
        return 0;
    }
    struct mill_slice rest = {(const char *)data + 1, size - 1};
    if (data[0] <= 1) {
        make_part((uint8_t)(data[0] + MILL__PART_COUNTS), rest, &bytes);
    } else {
        mill_buffer_reserve(&bytes, 1); /* a place, even for nothing */
        mill_buffer_add_slice(&bytes, rest);
        if (data[0] == 2) {
            mill__part_finish(0, &bytes);
        }
    }
    if (data[0] <= 1 || data[0] == 3) {
        try_part(mill_buffer_slice(&bytes));
    } else {
        try_state(mill_buffer_slice(&bytes), profile);
        try_state(mill_buffer_slice(&bytes), NULL);
    }
    mill_buffer_clear(&bytes);
    return 0;
}

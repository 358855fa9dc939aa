/* SPDX-License-Identifier: Apache-2.0 */
/* Windows: sums over parts. A part that is refused leaves no trace. */
#include <stdlib.h>

#include "drift/count_internal.h"

struct mill_drift_window {
    const struct mill_profile *profile;
    struct mill_drift_counts *counts; /* [vector][feature] */
    uint32_t vector_count;            /* segments, all others, all; only all where there are no segments */
    uint64_t id;
    int sign;
    uint64_t step, step_max; /* of the walk through a part: done, and to be done */
    struct mill_arena arena;
};

static struct mill_drift_counts *counts_at(const struct mill_drift_window *window, uint32_t vector, uint32_t feature)
{
    return &window->counts[(size_t)vector * window->profile->feature_count + feature];
}

struct mill_drift_window *mill_drift_window_new(const struct mill_profile *profile)
{
    struct mill_drift_window *window = mill_calloc(1, sizeof(*window));

    *window = (struct mill_drift_window){.profile = profile, .id = mill__profile_id(profile)};
    window->vector_count = profile->segment_count > 0 ? profile->segment_count + 2 : 1;
    mill_arena_init(&window->arena, 0);
    window->counts = mill_arena_zarray(&window->arena, struct mill_drift_counts,
                                       (size_t)window->vector_count * profile->feature_count);
    for (uint32_t v = 0; v < window->vector_count; v++) {
        for (uint32_t f = 0; f < profile->feature_count; f++) {
            counts_at(window, v, f)->slots =
                mill_arena_zarray(&window->arena, uint64_t, profile->features[f].slot_count);
        }
    }
    return window;
}

void mill_drift_window_free(struct mill_drift_window *window)
{
    if (window != NULL) {
        mill_arena_clear(&window->arena);
        free(window);
    }
}

const struct mill_drift_counts *mill_drift_window_counts(const struct mill_drift_window *window, uint32_t segment,
                                                         uint32_t feature)
{
    mill_assert(feature < window->profile->feature_count);
    mill_assert(segment == UINT32_MAX || segment <= window->profile->segment_count);
    return counts_at(window, segment < window->vector_count ? segment : window->vector_count - 1, feature);
}

/* What belongs to a segment is counted there and in the vector of all rows. */
static uint32_t vectors_of(const struct mill_drift_window *window, uint32_t segment, uint32_t vectors[2])
{
    vectors[0] = window->vector_count - 1;
    vectors[1] = segment;
    return window->vector_count > 1 ? 2 : 1;
}

/* False where the walk has come to the step that failed. */
static bool next_step(struct mill_drift_window *window)
{
    return window->step < window->step_max && ++window->step > 0;
}

static bool apply_rows(void *context, uint32_t segment, uint64_t row_count)
{
    struct mill_drift_window *window = context;
    uint64_t change = window->sign < 0 ? -row_count : row_count;
    uint32_t vectors[2];

    for (uint32_t v = vectors_of(window, segment, vectors); v-- > 0 && window->profile->feature_count > 0;) {
        if (window->sign < 0 && counts_at(window, vectors[v], 0)->row_count < row_count) {
            return false;
        }
    }
    if (!next_step(window)) {
        return false;
    }
    for (uint32_t v = vectors_of(window, segment, vectors); v-- > 0;) {
        for (uint32_t f = 0; f < window->profile->feature_count; f++) {
            struct mill_drift_counts *at = counts_at(window, vectors[v], f);
            at->row_count += change;
            at->null_count += change; /* those with a value are taken off as they are counted */
        }
    }
    return true;
}

/* Whether there is as much as is to be taken back. */
static bool has_counts(const struct mill_drift_counts *at, const uint32_t *slots, const uint64_t *counts, uint32_t n)
{
    bool is_less = false;

    for (uint32_t i = 0; i < n; i++) {
        is_less |= at->slots[slots[i]] < counts[i];
    }
    return !is_less;
}

static void change_counts(struct mill_drift_counts *at, const uint32_t *slots, const uint64_t *counts, uint32_t n,
                          int sign)
{
    uint64_t flip = sign < 0 ? UINT64_MAX : 0; /* x ^ flip - flip is x or -x */
    uint64_t sum = 0;

    for (uint32_t i = 0; i < n; i++) {
        uint64_t change = (counts[i] ^ flip) - flip;
        at->slots[slots[i]] += change;
        sum += change;
    }
    at->null_count -= sum;
}

static bool apply_counts(void *context, uint32_t segment, uint32_t feature, const uint32_t *slots,
                         const uint64_t *counts, uint32_t n)
{
    struct mill_drift_window *window = context;
    uint32_t vectors[2], vector_count = vectors_of(window, segment, vectors);

    for (uint32_t v = 0; v < vector_count && window->sign < 0; v++) {
        if (!has_counts(counts_at(window, vectors[v], feature), slots, counts, n)) {
            return false;
        }
    }
    if (!next_step(window)) {
        return false;
    }
    for (uint32_t v = 0; v < vector_count; v++) {
        change_counts(counts_at(window, vectors[v], feature), slots, counts, n, window->sign);
    }
    return true;
}

static void add_wide(int64_t words[2], const int64_t change[2], int sign)
{
    mill__u128 a = (mill__u128)mill__wide_of(words), b = (mill__u128)mill__wide_of(change);
    mill__wide_set(words, (mill__i128)(sign < 0 ? a - b : a + b));
}

static bool apply_moments(void *context, uint32_t segment, uint32_t feature, const struct mill_drift_moments *moments)
{
    struct mill_drift_window *window = context;
    uint32_t vectors[2];

    if (!next_step(window)) {
        return false;
    }
    for (uint32_t v = vectors_of(window, segment, vectors); v-- > 0;) {
        struct mill_drift_counts *at = counts_at(window, vectors[v], feature);
        add_wide(at->moments.sum, moments->sum, window->sign);
        add_wide(at->moments.square, moments->square, window->sign);
    }
    return true;
}

/* Adds as it reads. What turns out to be damaged, or to take back more than there is, is undone by the same walk the
 * other way up to there. */
static int apply_body(struct mill_drift_window *window, struct mill_slice body, struct mill_error *err)
{
    const struct mill__part_visitor apply = {window, apply_rows, apply_counts, apply_moments};

    window->step = 0;
    window->step_max = UINT64_MAX;
    int rc = mill__part_walk(window->profile, body, &apply, err);
    if (rc != MILL_OK) {
        window->step_max = window->step;
        window->step = 0;
        window->sign = -window->sign;
        int undone = mill__part_walk(window->profile, body, &apply, NULL);
        mill_assert(undone != MILL_OK && window->step == window->step_max);
    }
    return rc;
}

int mill_drift_window_apply(struct mill_drift_window *window, struct mill_slice part, int sign, struct mill_error *err)
{
    struct mill_buffer counted = {0};
    struct mill_slice body;
    uint64_t id;

    mill_assert(sign == 1 || sign == -1);
    window->sign = sign;
    int form = mill__part_open(part, &id, &body, err);
    MILL_TRY(form);
    if (form == MILL__PART_COUNTS) {
        if (id != window->id) {
            return mill_fail(err, MILL_EDATA, "a part of drift counts of another profile");
        }
        return apply_body(window, body, err);
    }
    int rc = mill__rows_to_counts(window->profile, body, &counted, err);
    if (rc == MILL_OK) {
        rc = mill__part_open(mill_buffer_slice(&counted), &id, &body, err);
        rc = rc < 0 ? rc : apply_body(window, body, err);
    }
    mill_buffer_clear(&counted);
    return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/drift/drift_rows.h"

#include <math.h>
#include <stdlib.h>

static const struct mill_field fields[] = {
    {"x", MILL_FLOAT64},
    {"color", MILL_STRING},
    {"score", MILL_FLOAT64},
};

const struct mill_profile_spec drift_rows_spec = {
    .model = "churn",
    .model_version = "3",
    .fields = fields,
    .field_count = 3,
    .binning = {.kind = MILL_BINS_QUANTILE, .count = 10, .atoms = true},
};

uint64_t drift_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

double drift_uniform(uint64_t *state)
{
    return (double)(drift_random(state) >> 11) * 0x1p-53;
}

double drift_normal(uint64_t *state)
{
    double radius = sqrt(-2 * log(1 - drift_uniform(state)));
    return radius * cos(2 * 3.14159265358979323846 * drift_uniform(state));
}

struct drift_row drift_row_make(uint64_t *state, int64_t time_us, double shift)
{
    static const char *const colors[] = {"amber", "blue", "cyan", "drab", "new"};
    static const char *const sites[] = {"north", "south", "west"};
    struct drift_row row = {.time_us = time_us};

    row.x = drift_uniform(state) < 0.02 ? (double)NAN : drift_normal(state) + shift;
    row.color = colors[shift >= 0.5 && drift_uniform(state) < 0.3 ? 4 : drift_random(state) % 4];
    row.color = drift_uniform(state) < 0.01 ? NULL : row.color;
    row.score = 1 / (1 + exp(-drift_normal(state) - shift));
    row.site = sites[drift_random(state) % 3];
    row.label = (drift_uniform(state) < row.score) != (shift > 1);
    row.label = drift_uniform(state) < 0.2 ? -1 : row.label;
    return row;
}

/* Columns x, color, score, site of at most a batch of rows. */
struct columns {
    struct mill_column column[4];
    const struct mill_column *pointer[3];
    int64_t times[MILL_BATCH_ROWS_MAX];
    uint64_t live[MILL_BATCH_WORDS_MAX];
};

static void set_double(struct mill_column *column, uint32_t i, double value)
{
    if (isnan(value)) {
        mill_bit_clear(column->valid, i);
        return;
    }
    mill_bit_set(column->valid, i);
    column->at.f[i] = value;
}

static void set_text(struct mill_column *column, uint32_t i, const char *value)
{
    if (value == NULL) {
        mill_bit_clear(column->valid, i);
        return;
    }
    mill_bit_set(column->valid, i);
    column->at.s[i] = mill_slice_of(value);
}

static struct columns *load(struct mill_arena *arena, const struct drift_row *rows, uint32_t count)
{
    static const enum mill_type types[] = {MILL_FLOAT64, MILL_STRING, MILL_FLOAT64, MILL_STRING};
    struct columns *c = mill_arena_alloc(arena, sizeof(*c));

    memset(c->live, 0xff, sizeof(c->live));
    for (uint32_t i = 0; i < 4; i++) {
        mill_column_init(&c->column[i], types[i], MILL_BATCH_ROWS_MAX, arena);
    }
    for (uint32_t i = 0; i < 3; i++) {
        c->pointer[i] = &c->column[i];
    }
    for (uint32_t i = 0; i < count; i++) {
        set_double(&c->column[0], i, rows[i].x);
        set_text(&c->column[1], i, rows[i].color);
        set_double(&c->column[2], i, rows[i].score);
        set_text(&c->column[3], i, rows[i].site);
        c->times[i] = rows[i].time_us;
    }
    return c;
}

static uint32_t batch_of(uint32_t left)
{
    return left < MILL_BATCH_ROWS_MAX ? left : (uint32_t)MILL_BATCH_ROWS_MAX;
}

struct mill_profile *drift_rows_profile(const struct mill_profile_spec *spec, const struct drift_row *rows,
                                        uint32_t count)
{
    struct mill_profile_builder *builder = mill_profile_builder_new(spec);
    struct mill_profile *profile = NULL;
    struct mill_error err = {0};

    for (uint32_t at = 0, n; at < count; at += n) {
        struct mill_arena arena;
        mill_arena_init(&arena, 0);
        n = batch_of(count - at);
        struct columns *c = load(&arena, rows + at, n);
        mill_profile_builder_add(builder, c->pointer, &c->column[3], c->times, c->live, 0, n);
        mill_arena_clear(&arena);
    }
    int rc = mill_profile_builder_finish(builder, &profile, &err);
    mill_assert(rc == MILL_OK);
    mill_profile_builder_free(builder);
    return profile;
}

void drift_rows_count(struct mill_drift_counter *counter, const struct drift_row *rows, uint32_t count)
{
    for (uint32_t at = 0, n; at < count; at += n) {
        struct mill_arena arena;
        mill_arena_init(&arena, 0);
        n = batch_of(count - at);
        struct columns *c = load(&arena, rows + at, n);
        mill_drift_counter_add(counter, c->pointer, &c->column[3], c->times, c->live, 0, n);
        mill_arena_clear(&arena);
    }
}

static void apply(void *context, const struct mill_drift_part *part)
{
    int rc = mill_drift_window_apply(context, part->bytes, 1, NULL);
    mill_assert(rc == MILL_OK);
}

struct mill_drift_window *drift_rows_window(const struct mill_profile_spec *spec, const struct mill_profile *profile,
                                            const struct drift_row *rows, uint32_t count)
{
    struct mill_drift_counter_options options = {.profile = profile, .spec = spec, .pane_us = INT64_C(1) << 50};
    struct mill_drift_counter *counter = mill_drift_counter_new(&options);
    struct mill_drift_window *window = mill_drift_window_new(profile);

    drift_rows_count(counter, rows, count);
    mill_drift_counter_take(counter, INT64_C(1) << 60, apply, window);
    mill_drift_counter_free(counter);
    return window;
}

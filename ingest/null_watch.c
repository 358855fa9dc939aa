/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches the share of nulls per column over windows of event time. Called once per batch.
 *
 * Two windows are open at a time, the newest and the one before it, so that events a little out of order are counted
 * where they belong; older ones are not counted. A window is judged when it holds enough rows to say something, and
 * once more, whatever it holds, when it is closed; it warns of a column once.
 */
#include <stdlib.h>

#include "base/timestamp.h"
#include "ingest/decode_internal.h"

enum { ROWS_MIN = 100, OPEN_WINDOWS = 2 };

struct window {
    bool is_open;
    int64_t start_us;
    uint64_t rows;
    uint64_t *nulls; /* per column */
    bool *warned;
};

struct mill_null_watch {
    const struct mill_source_spec *spec;
    struct window windows[OPEN_WINDOWS]; /* the newest first */
};

struct warnings {
    struct mill_null_warning *at;
    uint32_t count, capacity;
};

struct mill_null_watch *mill_null_watch_new(const struct mill_source_spec *spec)
{
    struct mill_null_watch *watch = mill_calloc(1, sizeof(*watch));

    watch->spec = spec;
    for (int i = 0; i < OPEN_WINDOWS; i++) {
        watch->windows[i].nulls = mill_calloc(spec->schema.field_count, sizeof(uint64_t));
        watch->windows[i].warned = mill_calloc(spec->schema.field_count, sizeof(bool));
    }
    return watch;
}

void mill_null_watch_free(struct mill_null_watch *watch)
{
    if (watch == NULL) {
        return;
    }
    for (int i = 0; i < OPEN_WINDOWS; i++) {
        free(watch->windows[i].nulls);
        free(watch->windows[i].warned);
    }
    free(watch);
}

/* One warning a column and call: of several windows the one with the larger share of nulls. */
static void add_warning(struct warnings *warnings, const struct window *window, uint32_t column)
{
    struct mill_null_warning warning = {column, window->start_us, window->rows, window->nulls[column]};

    for (uint32_t i = 0; i < warnings->count; i++) {
        struct mill_null_warning *other = &warnings->at[i];
        if (other->column == column) {
            bool worse = (double)warning.nulls * (double)other->rows > (double)other->nulls * (double)warning.rows;
            *other = worse ? warning : *other;
            return;
        }
    }
    if (warnings->count < warnings->capacity) {
        warnings->at[warnings->count++] = warning;
    }
}

static void judge(const struct mill_null_watch *watch, struct window *window, struct warnings *warnings)
{
    for (uint32_t c = 0; c < watch->spec->schema.field_count; c++) {
        double limit = watch->spec->max_null_fraction * (double)window->rows;
        if (!window->warned[c] && (double)window->nulls[c] > limit) {
            window->warned[c] = true;
            add_warning(warnings, window, c);
        }
    }
}

static void open_window(struct mill_null_watch *watch, struct window *window, int64_t start_us)
{
    uint32_t count = watch->spec->schema.field_count;

    window->is_open = true;
    window->start_us = start_us;
    window->rows = 0;
    memset(window->nulls, 0, count * sizeof(*window->nulls));
    memset(window->warned, 0, count * sizeof(*window->warned));
}

/* The window of that start, or NULL where it was closed long ago. */
static struct window *find_window(struct mill_null_watch *watch, int64_t start_us, struct warnings *warnings)
{
    struct window *newest = &watch->windows[0], *previous = &watch->windows[1], swap = *previous;

    if (newest->is_open && newest->start_us == start_us) {
        return newest;
    }
    if (previous->is_open && previous->start_us == start_us) {
        return previous;
    }
    if (newest->is_open && start_us < newest->start_us) {
        if (previous->is_open) {
            return NULL;
        }
        open_window(watch, previous, start_us);
        return previous;
    }
    if (previous->is_open) {
        judge(watch, previous, warnings);
    }
    *previous = *newest;
    *newest = swap;
    open_window(watch, newest, start_us);
    return newest;
}

/* Counts the rows of one 64-row word that fall into one window. */
static void count_rows(const struct mill_source_spec *spec, const struct mill_batch *batch, uint32_t w, uint64_t rows,
                       struct window *window)
{
    window->rows += (uint64_t)__builtin_popcountll(rows);
    for (uint32_t c = 0; c < spec->schema.field_count; c++) {
        window->nulls[c] += (uint64_t)__builtin_popcountll(rows & ~batch->columns[c].valid[w]);
    }
}

/* Takes from *rows the first row and all others of its window. */
static uint64_t take_one_window(const struct mill_batch *batch, uint32_t w, int64_t size_us, uint64_t *rows,
                                int64_t *ret_start_us)
{
    uint64_t taken = 0;
    uint32_t first = w * 64 + (uint32_t)__builtin_ctzll(*rows);

    *ret_start_us = mill_timestamp_floor(batch->event_time_us[first], size_us);
    for (uint64_t bits = *rows; bits != 0; bits &= bits - 1) {
        int64_t since = batch->event_time_us[w * 64 + (uint32_t)__builtin_ctzll(bits)] - *ret_start_us;
        if (since >= 0 && since < size_us) {
            taken |= bits & -bits;
        }
    }
    *rows &= ~taken;
    return taken;
}

uint32_t mill_null_watch_add(struct mill_null_watch *watch, const struct mill_batch *batch,
                             struct mill_null_warning *ret_warnings, uint32_t capacity)
{
    struct warnings warnings = {ret_warnings, 0, capacity};
    int64_t start_us = 0;

    if (watch->spec->max_null_fraction >= 1 || watch->spec->null_window_us <= 0) {
        return 0;
    }
    for (uint32_t w = 0; w < mill_bit_words(batch->row_count); w++) {
        uint64_t rows = batch->live[w];
        while (rows != 0) {
            uint64_t taken = take_one_window(batch, w, watch->spec->null_window_us, &rows, &start_us);
            struct window *window = find_window(watch, start_us, &warnings);
            if (window != NULL) {
                count_rows(watch->spec, batch, w, taken, window);
            }
        }
    }
    for (int i = 0; i < OPEN_WINDOWS; i++) {
        if (watch->windows[i].is_open && watch->windows[i].rows >= ROWS_MIN) {
            judge(watch, &watch->windows[i], &warnings);
        }
    }
    return warnings.count;
}

uint32_t mill_null_watch_finish(struct mill_null_watch *watch, struct mill_null_warning *ret_warnings,
                                uint32_t capacity)
{
    struct warnings warnings = {ret_warnings, 0, capacity};

    for (int i = OPEN_WINDOWS - 1; i >= 0; i--) {
        if (watch->windows[i].is_open) {
            judge(watch, &watch->windows[i], &warnings);
            watch->windows[i].is_open = false;
        }
    }
    return warnings.count;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The counter: rows to panes by their event time, panes out as parts. What is open, and what each pane's next part is
 * called, is its whole state (counter_state.c saves it). */
#include "drift/counter_internal.h"

#include <stdlib.h>

enum { PANES_DEFAULT = 64 };

struct mill_drift_counter *mill_drift_counter_new(const struct mill_drift_counter_options *options)
{
    struct mill_drift_counter *counter = mill_calloc(1, sizeof(*counter));

    mill_assert(options->pane_us > 0 && options->pane_us < MILL__TIME_MAX_US && options->keep_us >= 0);
    counter->options = *options;
    counter->options.profile = NULL;
    counter->options.panes_max = options->panes_max == 0 ? PANES_DEFAULT : options->panes_max;
    counter->panes = mill_calloc(counter->options.panes_max, sizeof(*counter->panes));
    counter->horizon_us = INT64_MIN;
    counter->pane_rows_max = UINT32_MAX; /* what a counter of a slot holds */
    counter->wait_breaks = MILL__WAIT_BREAKS;
    if (options->profile != NULL) {
        mill_drift_counter_set_profile(counter, options->profile);
    }
    counter->is_dirty = false;
    return counter;
}

void mill_drift_counter_free(struct mill_drift_counter *counter)
{
    if (counter == NULL) {
        return;
    }
    for (uint32_t p = 0; p < counter->options.panes_max; p++) {
        if (counter->panes[p].tallies != NULL) {
            mill__pane_release(counter->panes[p].tallies, &counter->pool);
        }
        free(counter->panes[p].tallies);
        mill_buffer_clear(&counter->panes[p].rows);
    }
    if (counter->has_profile) {
        mill__block_clear(&counter->block);
        mill__tally_pool_clear(&counter->pool);
        mill__slotter_clear(&counter->slotter);
    }
    mill_buffer_clear(&counter->driven_bytes);
    mill_buffer_clear(&counter->scratch);
    free(counter->panes);
    free(counter->driven);
    free(counter->handed);
    free(counter);
}

void mill_drift_counter_set_profile(struct mill_drift_counter *counter, const struct mill_profile *profile)
{
    const struct mill_profile_spec *spec = counter->options.spec;
    struct mill_buffer rows = {0};

    mill_assert(!counter->has_profile);
    counter->options.profile = profile;
    counter->has_profile = true;
    counter->is_dirty = true;
    mill__slotter_init(&counter->slotter, profile, spec->fields, spec->field_count);
    mill__tally_pool_init(&counter->pool, &counter->slotter);
    mill__block_init(&counter->block, &counter->pool, counter->wait_breaks);
    for (uint32_t p = 0; p < counter->options.panes_max; p++) {
        struct mill__pane *pane = &counter->panes[p];
        pane->tallies = mill_calloc(profile->segment_count + (size_t)1, sizeof(*pane->tallies));
        if (p < counter->pane_count) {
            mill_buffer_reset(&rows);
            mill__rows_write(spec->fields, spec->field_count, &pane->rows, &rows);
            int rc = mill__pane_read(counter, pane, mill_buffer_slice(&rows), NULL);
            mill_assert(rc == MILL_OK); /* our own bytes */
        }
        mill_buffer_clear(&pane->rows);
    }
    mill_buffer_clear(&rows);
}

/* Of a part of rows that were gathered: parts travel as records of a topic. */
static const size_t gathered_bytes_max = 512 << 10;

static int64_t pane_of(const struct mill_drift_counter *counter, int64_t time_us)
{
    int64_t width = counter->options.pane_us, past = time_us % width;
    return time_us - past - (past < 0 ? width : 0);
}

static uint32_t oldest_pane(const struct mill_drift_counter *counter)
{
    uint32_t oldest = 0;

    for (uint32_t p = 1; p < counter->pane_count; p++) {
        oldest = counter->panes[p].start_us < counter->panes[oldest].start_us ? p : oldest;
    }
    return oldest;
}

struct mill__pane *mill__counter_find_pane(struct mill_drift_counter *counter, int64_t start_us)
{
    if (counter->last < counter->pane_count && counter->panes[counter->last].start_us == start_us) {
        return &counter->panes[counter->last];
    }
    for (uint32_t p = 0; p < counter->pane_count; p++) {
        if (counter->panes[p].start_us == start_us) {
            counter->last = p;
            return &counter->panes[p];
        }
    }
    return NULL;
}

void mill__counter_keep_driven(struct mill_drift_counter *counter, int64_t start_us, uint32_t part,
                               struct mill_slice bytes)
{
    if (counter->driven_count == counter->driven_capacity) {
        counter->driven_capacity = counter->driven_capacity == 0 ? 16 : 2 * counter->driven_capacity;
        counter->driven = mill_realloc(counter->driven, counter->driven_capacity * sizeof(*counter->driven));
    }
    counter->driven[counter->driven_count++] = (struct mill__driven){start_us, part, counter->driven_bytes.n, bytes.n};
    mill_buffer_add_slice(&counter->driven_bytes, bytes);
}

/* Closes an open pane; its bytes are in scratch until the next. */
static void close_pane(struct mill_drift_counter *counter, uint32_t index)
{
    struct mill__pane *pane = &counter->panes[index], closed = *pane;

    mill_buffer_reset(&counter->scratch);
    mill__pane_write(counter, pane, &counter->scratch);
    if (counter->has_profile) {
        mill__pane_release(pane->tallies, &counter->pool);
    }
    mill_buffer_reset(&closed.rows);
    mill__counter_set_handed(counter, pane->start_us, pane->part + 1);
    *pane = counter->panes[--counter->pane_count];
    counter->panes[counter->pane_count] = closed; /* its memory is used again */
}

static void drive_out(struct mill_drift_counter *counter, uint32_t index)
{
    int64_t start_us = counter->panes[index].start_us;
    uint32_t part = counter->panes[index].part;

    close_pane(counter, index);
    mill__counter_keep_driven(counter, start_us, part, mill_buffer_slice(&counter->scratch));
}

struct mill__pane *mill__counter_pane_open(struct mill_drift_counter *counter, int64_t start_us)
{
    if (counter->pane_count == counter->options.panes_max) {
        drive_out(counter, oldest_pane(counter));
    }
    struct mill__pane *pane = &counter->panes[counter->pane_count];
    counter->last = counter->pane_count++;
    pane->start_us = start_us;
    pane->part = mill__counter_next_part(counter, start_us);
    pane->row_count = 0;
    pane->last_us = 0;
    return pane;
}

/* An open pane with room for another row. What has been gathered is counted before a pane is closed. */
static struct mill__pane *pane_for_row(struct mill_drift_counter *counter, const struct mill_column *const *columns,
                                       int64_t time_us)
{
    int64_t start_us = pane_of(counter, time_us);
    struct mill__pane *pane = mill__counter_find_pane(counter, start_us);

    if (pane != NULL && pane->row_count < counter->pane_rows_max && pane->rows.n < gathered_bytes_max) {
        return pane;
    }
    if (counter->has_profile) {
        mill__block_flush(&counter->block, columns);
    }
    if (pane != NULL) {
        drive_out(counter, (uint32_t)(pane - counter->panes));
    }
    return mill__counter_pane_open(counter, start_us);
}

static void add_row(struct mill_drift_counter *counter, const struct mill_column *const *columns,
                    const struct mill_column *segment, int64_t time_us, uint32_t row)
{
    const struct mill_profile_spec *spec = counter->options.spec;
    struct mill__pane *pane = pane_for_row(counter, columns, time_us);

    pane->row_count++;
    if (!counter->has_profile) {
        mill__rows_add(spec->fields, spec->field_count, columns, segment, time_us - pane->last_us, row, &pane->rows);
        pane->last_us = time_us;
        return;
    }
    uint32_t at = mill__slotter_segment(&counter->slotter, segment, row);
    mill__block_add(&counter->block, mill__pane_tally(pane->tallies, at, &counter->pool), row);
    if (mill__block_is_full(&counter->block)) {
        mill__block_flush(&counter->block, columns);
    }
}

void mill_drift_counter_add(struct mill_drift_counter *counter, const struct mill_column *const *columns,
                            const struct mill_column *segment, const int64_t *event_time_us, const uint64_t *live,
                            uint32_t from, uint32_t to)
{
    mill_assert(from <= to);
    for (uint32_t row = from; row < to; row++) {
        int64_t t = event_time_us[row];
        if (live != NULL && !mill_bit_get(live, row)) {
            continue;
        }
        if (t < counter->horizon_us || !mill__is_time(t)) {
            counter->ignored++;
        } else {
            add_row(counter, columns, segment, t, row);
        }
        counter->is_dirty = true;
    }
    if (counter->has_profile) {
        mill__block_flush(&counter->block, columns);
    }
}

static void hand_out_driven(struct mill_drift_counter *counter,
                            void (*each)(void *context, const struct mill_drift_part *part), void *context)
{
    for (uint32_t d = 0; d < counter->driven_count; d++) {
        const struct mill__driven *driven = &counter->driven[d];
        struct mill_slice bytes = {counter->driven_bytes.p + driven->begin, driven->size};
        each(context, &(struct mill_drift_part){driven->start_us, driven->part, bytes});
    }
    counter->is_dirty |= counter->driven_count > 0;
    counter->driven_count = 0;
    mill_buffer_reset(&counter->driven_bytes);
}

void mill_drift_counter_take(struct mill_drift_counter *counter, int64_t watermark_us,
                             void (*each)(void *context, const struct mill_drift_part *part), void *context)
{
    int64_t width = counter->options.pane_us, start_max_us = INT64_MAX; /* the last pane that is over */

    if (watermark_us < MILL__TIME_MAX_US) {
        start_max_us = (watermark_us < -MILL__TIME_MAX_US ? -MILL__TIME_MAX_US : watermark_us) - width;
    }
    hand_out_driven(counter, each, context);
    while (counter->pane_count > 0) {
        uint32_t oldest = oldest_pane(counter);
        struct mill__pane *pane = &counter->panes[oldest];
        struct mill_drift_part part = {.start_us = pane->start_us, .part = pane->part};
        if (pane->start_us > start_max_us) {
            break;
        }
        close_pane(counter, oldest);
        part.bytes = mill_buffer_slice(&counter->scratch);
        each(context, &part);
        counter->is_dirty = true;
    }
    if (counter->options.keep_us > 0 && watermark_us < MILL__TIME_MAX_US) {
        int64_t from_us =
            start_max_us < INT64_MIN + counter->options.keep_us ? INT64_MIN : start_max_us - counter->options.keep_us;
        mill__counter_forget(counter, from_us);
    }
}

bool mill_drift_counter_is_dirty(const struct mill_drift_counter *counter)
{
    return counter->is_dirty;
}

uint64_t mill_drift_counter_rows_ignored(const struct mill_drift_counter *counter)
{
    return counter->ignored;
}

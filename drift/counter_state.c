/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The counter's state as bytes, saved with the applied offset so that each event is counted once:
 *
 *   byte version; varint pane_us; zigzag horizon; varint rows ignored
 *   varint how many parts; of each: byte (1: driven out, 0: open), zigzag start, varint part, varint size, the part's
 *   bytes (part.c)
 *   varint runs of panes that were handed out: zigzag start less the end of the run before, in panes; varint panes;
 *   varint number of the next part
 *   u32 low half of XXH3 of all that
 */
#include <stdlib.h>

#include "base/hash.h"
#include "drift/counter_internal.h"

enum { STATE_VERSION = 1, HANDED_MAX = 1 << 20 /* more is damage */ };

static uint32_t find_handed(const struct mill_drift_counter *counter, int64_t start_us)
{
    uint32_t low = 0, high = counter->handed_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (counter->handed[middle].start_us < start_us) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

uint32_t mill__counter_next_part(const struct mill_drift_counter *counter, int64_t start_us)
{
    uint32_t at = find_handed(counter, start_us);
    bool is_there = at < counter->handed_count && counter->handed[at].start_us == start_us;
    return is_there ? counter->handed[at].next_part : 0;
}

void mill__counter_set_handed(struct mill_drift_counter *counter, int64_t start_us, uint32_t next_part)
{
    uint32_t at = find_handed(counter, start_us);

    if (at < counter->handed_count && counter->handed[at].start_us == start_us) {
        counter->handed[at].next_part = next_part;
        return;
    }
    if (counter->handed_count == counter->handed_capacity) {
        counter->handed_capacity = counter->handed_capacity == 0 ? 64 : 2 * counter->handed_capacity;
        counter->handed = mill_realloc(counter->handed, counter->handed_capacity * sizeof(*counter->handed));
    }
    memmove(counter->handed + at + 1, counter->handed + at, (counter->handed_count - at) * sizeof(*counter->handed));
    counter->handed[at] = (struct mill__handed){start_us, next_part};
    counter->handed_count++;
}

void mill__counter_forget(struct mill_drift_counter *counter, int64_t from_us)
{
    uint32_t old;

    if (from_us <= counter->horizon_us) {
        return;
    }
    counter->horizon_us = from_us;
    counter->is_dirty = true;
    old = find_handed(counter, from_us);
    if (old == 0) {
        return;
    }
    counter->handed_count -= old;
    memmove(counter->handed, counter->handed + old, counter->handed_count * sizeof(*counter->handed));
}

void mill__pane_write(struct mill_drift_counter *counter, const struct mill__pane *pane, struct mill_buffer *out)
{
    if (counter->has_profile) {
        mill__block_settle(&counter->block);
        mill__part_write(&counter->pool, pane->tallies, out);
    } else {
        mill__rows_write(counter->options.spec->fields, counter->options.spec->field_count, &pane->rows, out);
    }
}

struct loading {
    struct mill_drift_counter *counter;
    struct mill__pane *pane;
    struct mill__tally *tally;
};

static bool load_rows(void *context, uint32_t segment, uint64_t row_count)
{
    struct loading *loading = context;

    if (row_count > loading->counter->pane_rows_max - loading->pane->row_count) {
        return false;
    }
    loading->pane->row_count += row_count;
    loading->tally = mill__pane_tally(loading->pane->tallies, segment, &loading->counter->pool);
    mill__tally_rows(&loading->counter->pool, loading->tally, row_count);
    return true;
}

static bool load_counts(void *context, uint32_t segment, uint32_t feature, const uint32_t *slots,
                        const uint64_t *counts, uint32_t n)
{
    struct loading *loading = context;

    (void)segment;
    mill__tally_add_counts(&loading->counter->pool, loading->tally, feature, slots, counts, n);
    return true;
}

static void add_wide(int64_t words[2], const int64_t more[2])
{
    mill__wide_set(words, (mill__i128)((mill__u128)mill__wide_of(words) + (mill__u128)mill__wide_of(more)));
}

static bool load_moments(void *context, uint32_t segment, uint32_t feature, const struct mill_drift_moments *moments)
{
    struct loading *loading = context;

    (void)segment;
    add_wide(loading->tally->moments[feature].sum, moments->sum);
    add_wide(loading->tally->moments[feature].square, moments->square);
    return true;
}

/* Rows that a counter without profile kept, back into one. */
static int read_rows(struct mill_drift_counter *counter, struct mill__pane *pane, struct mill_slice body,
                     struct mill_error *err)
{
    const struct mill_profile_spec *spec = counter->options.spec;
    struct mill__rows_reader reader;
    uint32_t n = 0;
    int rc;

    MILL_TRY(mill__rows_open(&reader, body, err));
    if (!mill__rows_have(&reader, spec)) {
        mill__rows_close(&reader);
        return mill_fail(err, MILL_EDATA, "drift rows of other columns");
    }
    while ((rc = mill__rows_next(&reader, &n, err)) == MILL_OK && n > 0) {
        for (uint32_t row = 0; row < n; row++) {
            mill__rows_add(spec->fields, spec->field_count, reader.pointers, reader.pointers[reader.field_count],
                           reader.times[row] - pane->last_us, row, &pane->rows);
            pane->last_us = reader.times[row];
        }
        pane->row_count += n;
    }
    mill__rows_close(&reader);
    return rc;
}

int mill__pane_read(struct mill_drift_counter *counter, struct mill__pane *pane, struct mill_slice part,
                    struct mill_error *err)
{
    struct loading loading = {counter, pane, NULL};
    const struct mill__part_visitor visitor = {&loading, load_rows, load_counts, load_moments};
    struct mill_buffer counted = {0};
    struct mill_slice body;
    uint64_t id;
    int form = mill__part_open(part, &id, &body, err), rc = MILL_OK;

    MILL_TRY(form);
    if (!counter->has_profile) {
        return form == MILL__PART_ROWS ? read_rows(counter, pane, body, err)
                                       : mill_fail(err, MILL_EDATA, "drift counts, but no profile yet");
    }
    if (form == MILL__PART_ROWS) {
        rc = mill__rows_to_counts(counter->options.profile, body, &counted, err);
        rc = rc < 0 ? rc : mill__part_open(mill_buffer_slice(&counted), &id, &body, err);
    }
    if (rc >= 0 && id != mill__profile_id(counter->options.profile)) {
        rc = mill_fail(err, MILL_EDATA, "drift counts of another profile");
    }
    if (rc >= 0) {
        rc = mill__part_walk(counter->options.profile, body, &visitor, err);
    }
    mill_buffer_clear(&counted);
    return rc;
}

static void save_part(struct mill_buffer *out, bool is_driven, int64_t start_us, uint32_t part, struct mill_slice bytes)
{
    mill_buffer_add_byte(out, is_driven);
    mill_buffer_add_zigzag(out, start_us);
    mill_buffer_add_varint(out, part);
    mill_buffer_add_varint(out, bytes.n);
    mill_buffer_add_slice(out, bytes);
}

/* How many panes from i on follow one another and have the same next part. */
static uint32_t run_of(const struct mill_drift_counter *counter, uint32_t i)
{
    uint32_t end = i + 1;

    while (end < counter->handed_count && counter->handed[end].next_part == counter->handed[i].next_part &&
           counter->handed[end].start_us - counter->handed[end - 1].start_us == counter->options.pane_us) {
        end++;
    }
    return end - i;
}

static void save_handed(const struct mill_drift_counter *counter, struct mill_buffer *out)
{
    uint32_t runs = 0;
    int64_t end = 0;

    for (uint32_t i = 0; i < counter->handed_count; i += run_of(counter, i)) {
        runs++;
    }
    mill_buffer_add_varint(out, runs);
    for (uint32_t i = 0, n; i < counter->handed_count; i += n) {
        int64_t begin = counter->handed[i].start_us / counter->options.pane_us;
        n = run_of(counter, i);
        mill_buffer_add_zigzag(out, begin - end);
        mill_buffer_add_varint(out, n);
        mill_buffer_add_varint(out, counter->handed[i].next_part);
        end = begin + n;
    }
}

void mill_drift_counter_save(struct mill_drift_counter *counter, struct mill_buffer *out)
{
    size_t begin = out->n;

    mill_buffer_add_byte(out, STATE_VERSION);
    mill_buffer_add_varint(out, (uint64_t)counter->options.pane_us);
    mill_buffer_add_zigzag(out, counter->horizon_us);
    mill_buffer_add_varint(out, counter->ignored);
    mill_buffer_add_varint(out, counter->driven_count + (uint64_t)counter->pane_count);
    for (uint32_t d = 0; d < counter->driven_count; d++) {
        const struct mill__driven *driven = &counter->driven[d];
        struct mill_slice bytes = {counter->driven_bytes.p + driven->begin, driven->size};
        save_part(out, true, driven->start_us, driven->part, bytes);
    }
    for (uint32_t p = 0; p < counter->pane_count; p++) {
        const struct mill__pane *pane = &counter->panes[p];
        mill_buffer_reset(&counter->scratch);
        mill__pane_write(counter, pane, &counter->scratch);
        save_part(out, false, pane->start_us, pane->part, mill_buffer_slice(&counter->scratch));
    }
    save_handed(counter, out);
    mill_buffer_add_u32(out, (uint32_t)mill_hash64(out->p + begin, out->n - begin));
    counter->is_dirty = false;
}

static bool is_pane_start(const struct mill_drift_counter *counter, int64_t start_us)
{
    return start_us % counter->options.pane_us == 0 && start_us >= -MILL__TIME_MAX_US - counter->options.pane_us &&
           start_us <= MILL__TIME_MAX_US;
}

static int load_part(struct mill_drift_counter *counter, struct mill_cursor *cursor, struct mill_error *err)
{
    uint8_t is_driven = mill_cursor_byte(cursor);
    int64_t start_us = mill_cursor_zigzag(cursor);
    uint64_t part = mill_cursor_varint(cursor), size = mill_cursor_varint(cursor), id;
    const char *p = mill_cursor_take(cursor, size);
    struct mill_slice bytes = {p, size}, body;

    if (p == NULL || is_driven > 1 || part >= UINT32_MAX || !is_pane_start(counter, start_us)) {
        return mill_fail(err, MILL_EDATA, "drift counter state with a damaged pane");
    }
    if (is_driven) {
        int form = mill__part_open(bytes, &id, &body, err);
        MILL_TRY(form);
        mill__counter_keep_driven(counter, start_us, (uint32_t)part, bytes);
        return MILL_OK;
    }
    if (counter->pane_count == counter->options.panes_max || mill__counter_find_pane(counter, start_us) != NULL) {
        return mill_fail(err, MILL_EDATA, "drift counter state with more panes than %u, or one twice",
                         counter->options.panes_max);
    }
    struct mill__pane *pane = mill__counter_pane_open(counter, start_us);
    pane->part = (uint32_t)part;
    return mill__pane_read(counter, pane, bytes, err);
}

static int load_handed(struct mill_drift_counter *counter, struct mill_cursor *cursor, struct mill_error *err)
{
    /* Numbers of panes: ascending, all below the limit. */
    int64_t width = counter->options.pane_us, limit = MILL__TIME_MAX_US / width + 1, at = 0;

    for (uint64_t runs = mill_cursor_varint(cursor); runs > 0 && !cursor->bad; runs--) {
        int64_t gap = mill_cursor_zigzag(cursor);
        uint64_t count = mill_cursor_varint(cursor), next_part = mill_cursor_varint(cursor);
        bool is_damaged = (gap < 0 && counter->handed_count > 0) || __builtin_add_overflow(at, gap, &at) ||
                          at < -limit || at > limit || count == 0 || count > (uint64_t)(limit - at) ||
                          count > HANDED_MAX - counter->handed_count || next_part == 0 || next_part > UINT32_MAX;
        if (cursor->bad || is_damaged) {
            return mill_fail(err, MILL_EDATA, "drift counter state with damaged part numbers");
        }
        for (uint64_t i = 0; i < count; i++) {
            mill__counter_set_handed(counter, at++ * width, (uint32_t)next_part);
        }
    }
    return MILL_OK;
}

static int load_body(struct mill_drift_counter *counter, struct mill_cursor *cursor, struct mill_error *err)
{
    if (mill_cursor_byte(cursor) != STATE_VERSION) {
        return mill_fail(err, MILL_EDATA, "drift counter state of another version than %d", STATE_VERSION);
    }
    uint64_t pane_us = mill_cursor_varint(cursor);
    if (pane_us != (uint64_t)counter->options.pane_us) {
        return mill_fail(err, MILL_EDATA, "drift counter state with panes of %llu us; expected %lld",
                         (unsigned long long)pane_us, (long long)counter->options.pane_us);
    }
    counter->horizon_us = mill_cursor_zigzag(cursor);
    counter->ignored = mill_cursor_varint(cursor);
    for (uint64_t parts = mill_cursor_varint(cursor); parts > 0; parts--) {
        MILL_TRY(load_part(counter, cursor, err));
    }
    MILL_TRY(load_handed(counter, cursor, err));
    return cursor->bad || cursor->p != cursor->end ? mill_fail(err, MILL_EDATA, "damaged drift counter state")
                                                   : MILL_OK;
}

int mill_drift_counter_load(struct mill_drift_counter *counter, struct mill_slice bytes, struct mill_error *err)
{
    uint32_t checksum;

    mill_assert(counter->pane_count == 0 && counter->handed_count == 0 && counter->driven_count == 0);
    if (bytes.n < sizeof(checksum)) {
        return mill_fail(err, MILL_EDATA, "damaged drift counter state");
    }
    bytes.n -= sizeof(checksum);
    memcpy(&checksum, bytes.p + bytes.n, sizeof(checksum));
    if (checksum != (uint32_t)mill_hash64(bytes.p, bytes.n)) {
        return mill_fail(err, MILL_EDATA, "damaged drift counter state: its checksum does not match");
    }
    struct mill_cursor cursor = mill_cursor_of(bytes);
    MILL_TRY(load_body(counter, &cursor, err));
    counter->is_dirty = false;
    return MILL_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Outcomes as bytes, for panes that travel. All numbers are LEB128 but for the checksum:
 *
 *   version (1 byte)
 *   how many cells are not empty; of each: cells skipped since the last one, positives, negatives, unlabelled, offset
 *   counts; sums, of each the low, then the high 64 bits
 *   checksum (4 bytes): low half of XXH3 of all before
 *
 * Bytes are read twice: once to see that they are sound, that there is so much (taken back) or room for it, then to
 * add, so that damaged ones change nothing. Equal outcomes write equal bytes.
 */
#include "base/hash.h"
#include "drift/outcomes_internal.h"

enum { VERSION = 1, CHECKSUM_SIZE = 4 };

/* Far above what there can be, far below what could overflow. */
static const uint64_t rows_max = (uint64_t)1 << (64 - MILL__OFFSET_BITS);

static void write_cells(const struct mill_outcomes *outcomes, struct mill_buffer *out)
{
    uint32_t count = 0, next = 0;
    for (uint32_t i = 0; i < MILL_OUTCOME_CELLS; i++) {
        count += mill__outcome_cell_rows(&outcomes->cells[i]) > 0;
    }
    mill_buffer_add_varint(out, count);
    for (uint32_t i = 0; i < MILL_OUTCOME_CELLS; i++) {
        const struct mill__outcome_cell *cell = &outcomes->cells[i];
        if (mill__outcome_cell_rows(cell) > 0) {
            mill_buffer_add_varint(out, i - next);
            mill_buffer_add_varint(out, cell->positives);
            mill_buffer_add_varint(out, cell->negatives);
            mill_buffer_add_varint(out, cell->unlabelled);
            mill_buffer_add_varint(out, cell->offset);
            next = i + 1;
        }
    }
}

void mill_outcomes_write(const struct mill_outcomes *outcomes, struct mill_buffer *out)
{
    size_t start = out->n;
    mill_buffer_add_byte(out, VERSION);
    write_cells(outcomes, out);
    for (unsigned i = 0; i < MILL__COUNT_COUNT; i++) {
        mill_buffer_add_varint(out, outcomes->counts[i]);
    }
    for (unsigned i = 0; i < MILL__SUM_COUNT; i++) {
        mill_buffer_add_varint(out, (uint64_t)outcomes->sums[i]);
        mill_buffer_add_varint(out, (uint64_t)(outcomes->sums[i] >> 64));
    }
    mill_buffer_add_u32(out, (uint32_t)mill_hash64(out->p + start, out->n - start));
}

/* Index of the next cell, or MILL_OUTCOME_CELLS where the bytes are bad. */
static uint32_t read_cell(struct mill_cursor *c, uint32_t next, struct mill__outcome_cell *cell)
{
    uint64_t skipped = mill_cursor_varint(c);
    cell->positives = mill_cursor_varint(c);
    cell->negatives = mill_cursor_varint(c);
    cell->unlabelled = mill_cursor_varint(c);
    cell->offset = mill_cursor_varint(c);
    if (c->bad || skipped >= MILL_OUTCOME_CELLS - next || cell->positives > rows_max || cell->negatives > rows_max ||
        cell->unlabelled > rows_max) {
        return MILL_OUTCOME_CELLS;
    }
    uint64_t rows = mill__outcome_cell_rows(cell);
    bool is_sound = rows > 0 && rows <= rows_max && (mill__u128)cell->offset <= (mill__u128)rows << MILL__OFFSET_BITS;
    return is_sound ? next + (uint32_t)skipped : MILL_OUTCOME_CELLS;
}

struct totals {
    uint64_t scored, labelled, positives;
};

/* Whether there is so much to take back (sign -1), or room for as much more. */
static bool fits(const struct mill__outcome_cell *have, const struct mill__outcome_cell *cell, int sign)
{
    if (sign < 0) {
        return have->positives >= cell->positives && have->negatives >= cell->negatives &&
               have->unlabelled >= cell->unlabelled && have->offset >= cell->offset;
    }
    return mill__outcome_cell_rows(have) <= rows_max - mill__outcome_cell_rows(cell) &&
           have->offset <= UINT64_MAX - cell->offset;
}

static bool cells_are_sound(const struct mill_outcomes *outcomes, struct mill_cursor *c, int sign,
                            struct totals *ret_totals)
{
    struct mill__outcome_cell cell;
    uint64_t count = mill_cursor_varint(c);
    uint32_t next = 0;
    *ret_totals = (struct totals){0};
    for (uint64_t k = 0; k < count; k++) {
        uint32_t i = next < MILL_OUTCOME_CELLS ? read_cell(c, next, &cell) : MILL_OUTCOME_CELLS;
        if (i == MILL_OUTCOME_CELLS || !fits(&outcomes->cells[i], &cell, sign)) {
            return false;
        }
        ret_totals->scored += mill__outcome_cell_rows(&cell);
        ret_totals->labelled += cell.positives + cell.negatives;
        ret_totals->positives += cell.positives;
        next = i + 1;
    }
    return !c->bad && ret_totals->scored <= rows_max;
}

static bool counts_are_sound(const struct mill_outcomes *outcomes, struct mill_cursor *c, int sign,
                             const struct totals *totals)
{
    uint64_t counts[MILL__COUNT_COUNT], labelled = 0, positives = 0;
    for (unsigned i = 0; i < MILL__COUNT_COUNT; i++) {
        counts[i] = mill_cursor_varint(c);
        if (counts[i] > totals->labelled || (sign < 0 && counts[i] > outcomes->counts[i])) {
            return false;
        }
    }
    for (unsigned bin = 0; bin < MILL__CALIBRATION_BINS; bin++) {
        if (counts[MILL__COUNT_BIN_POSITIVES + bin] > counts[MILL__COUNT_BIN + bin]) {
            return false;
        }
        labelled += counts[MILL__COUNT_BIN + bin];
        positives += counts[MILL__COUNT_BIN_POSITIVES + bin];
    }
    return labelled == totals->labelled && positives == totals->positives;
}

static mill__u128 read_sum(struct mill_cursor *c)
{
    mill__u128 low = mill_cursor_varint(c);
    return low | (mill__u128)mill_cursor_varint(c) << 64;
}

static bool sums_are_sound(const struct mill_outcomes *outcomes, struct mill_cursor *c, int sign,
                           const struct totals *totals)
{
    for (unsigned i = 0; i < MILL__SUM_COUNT; i++) {
        mill__u128 sum = read_sum(c), most = (mill__u128)totals->scored * 37 << MILL__SUM_BITS;
        if (sum > most || (sign < 0 && sum > outcomes->sums[i])) {
            return false;
        }
    }
    return !c->bad && c->p == c->end;
}

static bool is_sound(const struct mill_outcomes *outcomes, struct mill_slice body, int sign)
{
    struct mill_cursor c = mill_cursor_of(body);
    struct totals totals;
    return mill_cursor_byte(&c) == VERSION && cells_are_sound(outcomes, &c, sign, &totals) &&
           counts_are_sound(outcomes, &c, sign, &totals) && sums_are_sound(outcomes, &c, sign, &totals);
}

/* Unsigned arithmetic wraps, so taking back is adding the complement. */
static void apply(struct mill_outcomes *outcomes, struct mill_slice body, int sign)
{
    struct mill_cursor c = mill_cursor_of(body);
    struct mill__outcome_cell cell;
    uint64_t factor = sign < 0 ? UINT64_MAX : 1;
    uint32_t next = 0;
    mill_cursor_byte(&c);
    for (uint64_t left = mill_cursor_varint(&c); left > 0; left--) {
        uint32_t i = read_cell(&c, next, &cell);
        struct mill__outcome_cell *to = &outcomes->cells[i];
        to->positives += factor * cell.positives;
        to->negatives += factor * cell.negatives;
        to->unlabelled += factor * cell.unlabelled;
        to->offset += factor * cell.offset;
        next = i + 1;
    }
    for (unsigned i = 0; i < MILL__COUNT_COUNT; i++) {
        outcomes->counts[i] += factor * mill_cursor_varint(&c);
    }
    for (unsigned i = 0; i < MILL__SUM_COUNT; i++) {
        mill__u128 sum = read_sum(&c);
        outcomes->sums[i] += sign < 0 ? -sum : sum;
    }
}

int mill_outcomes_merge(struct mill_outcomes *outcomes, struct mill_slice bytes, int sign, struct mill_error *err)
{
    mill_assert(sign == 1 || sign == -1);
    if (bytes.n < 1 + CHECKSUM_SIZE) {
        return mill_fail(err, MILL_EDATA, "outcomes of %zu bytes: expected at least %d", bytes.n, 1 + CHECKSUM_SIZE);
    }
    struct mill_slice body = {bytes.p, bytes.n - CHECKSUM_SIZE};
    struct mill_cursor tail = {bytes.p + body.n, bytes.p + bytes.n, false};
    if (mill_cursor_u32(&tail) != (uint32_t)mill_hash64(body.p, body.n)) {
        return mill_fail(err, MILL_EDATA, "outcomes are damaged: expected the checksum of the bytes before it");
    }
    if (!is_sound(outcomes, body, sign)) {
        return mill_fail(err, MILL_EDATA, "outcomes are not sound: expected version %d%s", VERSION,
                         sign < 0 ? ", of rows that had been added" : "");
    }
    apply(outcomes, body, sign);
    return MILL_OK;
}

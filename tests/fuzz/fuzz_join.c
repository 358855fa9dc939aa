/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records of a stored join from hostile bytes: (u8 size of the id | id | u8 size | bytes) until the input ends.
 * What is accepted must be saved and loaded again as the same records, and must bear further records and the watermark.
 */
#include <stdlib.h>

#include "base/timestamp.h"
#include "drift/drift.h"

enum { RECORDS_MAX = 256 };

struct records {
    struct mill_buffer id[RECORDS_MAX], bytes[RECORDS_MAX];
    uint32_t count;
};

static struct mill_join *new_join(void)
{
    const struct mill_join_options options = {.horizon_us = 2 * MILL_US_PER_DAY,
                                              .pane_us = MILL_US_PER_HOUR,
                                              .threshold = 0.5,
                                              .pending_max = 100,
                                              .is_stored = true};
    return mill_join_new(&options);
}

static void on_put(void *context, struct mill_slice id, struct mill_slice bytes)
{
    struct records *records = context;

    if (records->count < RECORDS_MAX) {
        mill_buffer_add_slice(&records->id[records->count], id);
        mill_buffer_add_slice(&records->bytes[records->count++], bytes);
    }
}

static void on_remove(void *context, struct mill_slice id)
{
    (void)context;
    mill_assert(id.n > 0);
}

static void on_matched(void *context, const struct mill_join_match *match)
{
    (void)context;
    mill_assert(match->label_us >= match->score_us && match->label_us - match->score_us <= 2 * MILL_US_PER_DAY);
}

static void on_part(void *context, enum mill_part_kind kind, const struct mill_drift_part *part)
{
    struct mill_outcomes *outcomes = context;
    mill_assert(kind == MILL_PART_SCORES || kind == MILL_PART_OUTCOMES);
    mill_assert(mill_outcomes_merge(outcomes, part->bytes, 1, NULL) == MILL_OK);
    mill_outcomes_reset(outcomes);
}

static struct mill_slice next(struct mill_cursor *c)
{
    size_t n = mill_cursor_byte(c);
    return (struct mill_slice){mill_cursor_take(c, n), n};
}

static void load_all(struct mill_join *join, struct mill_slice input)
{
    struct mill_cursor c = mill_cursor_of(input);

    while (c.p != c.end && !c.bad) {
        struct mill_slice id = next(&c), bytes = next(&c);
        if (!c.bad) {
            (void)!mill_join_load(join, id, bytes, NULL);
        }
    }
}

/* What a save puts is loaded, and nothing of it is new then. */
static void save_and_load(struct mill_join *join)
{
    struct records *records = mill_calloc(1, sizeof(*records)), *again = mill_calloc(1, sizeof(*again));
    struct mill_join *other = new_join();

    mill_join_save(join, &(struct mill_join_store){records, on_put, on_remove});
    for (uint32_t i = 0; i < records->count; i++) {
        mill_assert(mill_join_load(other, mill_buffer_slice(&records->id[i]), mill_buffer_slice(&records->bytes[i]),
                                   NULL) == MILL_OK);
        mill_buffer_clear(&records->id[i]);
        mill_buffer_clear(&records->bytes[i]);
    }
    mill_join_save(other, &(struct mill_join_store){again, on_put, on_remove});
    mill_assert(again->count == 0);
    mill_join_free(other);
    free(records);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mill_join *join = new_join();
    struct mill_outcomes *outcomes = mill_outcomes_new();
    const struct mill_join_sink sink = {outcomes, on_matched, on_part};
    const struct mill_join_origin origin = {0, 1};

    load_all(join, (struct mill_slice){(const char *)data, size});
    mill_join_score(join, mill_slice_of("a"), MILL_US_PER_DAY, 0.5, &origin);
    mill_join_label(join, mill_slice_of("a"), MILL_US_PER_DAY + 1, 1, &origin);
    mill_join_advance(join, MILL_US_PER_DAY + 1, &sink);
    save_and_load(join);
    mill_join_advance(join, 100 * MILL_US_PER_DAY, &sink);
    mill_join_advance(join, MILL_TIMESTAMP_MAX, &sink);
    save_and_load(join);
    mill_outcomes_free(outcomes);
    mill_join_free(join);
    return 0;
}

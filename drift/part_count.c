/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of rows, once there is a profile: counted against it, or gathered to make it. */
#include <stdlib.h>

#include "drift/count_internal.h"

/* The tallies' own slotter has the types of the counter's columns; these rows bring their own. */
static void count_rows(struct mill__rows_reader *reader, uint32_t n, const struct mill__slotter *slotter,
                       struct mill__block *block, struct mill__tally **tallies)
{
    for (uint32_t row = 0; row < n; row++) {
        uint32_t segment = mill__slotter_segment(slotter, reader->pointers[reader->field_count], row);
        mill__block_add(block, mill__pane_tally(tallies, segment, block->pool), row);
    }
    mill__block_flush(block, reader->pointers);
}

int mill__rows_to_counts(const struct mill_profile *profile, struct mill_slice body, struct mill_buffer *out,
                         struct mill_error *err)
{
    struct mill__rows_reader reader;
    struct mill__slotter slotter;
    struct mill__tally_pool pool;
    uint32_t n = 0;
    int rc;

    MILL_TRY(mill__rows_open(&reader, body, err));
    struct mill__block *block = mill_malloc(sizeof(*block));
    struct mill__tally **tallies = mill_calloc(profile->segment_count + (size_t)1, sizeof(struct mill__tally *));
    mill__slotter_init(&slotter, profile, reader.fields, reader.field_count);
    mill__tally_pool_init(&pool, &slotter);
    mill__block_init(block, &pool, MILL__WAIT_BREAKS);
    while ((rc = mill__rows_next(&reader, &n, err)) == MILL_OK && n > 0) {
        count_rows(&reader, n, &slotter, block, tallies);
    }
    mill__block_settle(block);
    if (rc == MILL_OK) {
        mill__part_write(&pool, tallies, out);
    }
    mill__block_clear(block);
    mill__pane_release(tallies, &pool);
    mill__tally_pool_clear(&pool);
    mill__slotter_clear(&slotter);
    mill__rows_close(&reader);
    free(tallies);
    free(block);
    return rc;
}

bool mill__rows_have(const struct mill__rows_reader *reader, const struct mill_profile_spec *spec)
{
    bool is_same = reader->field_count == spec->field_count;

    for (uint32_t f = 0; is_same && f < spec->field_count; f++) {
        is_same =
            reader->fields[f].type == spec->fields[f].type && strcmp(reader->fields[f].name, spec->fields[f].name) == 0;
    }
    return is_same;
}

int mill_drift_part_build(struct mill_slice part, const struct mill_profile_spec *spec,
                          struct mill_profile_builder *builder, uint64_t *ret_rows, struct mill_error *err)
{
    struct mill__rows_reader reader;
    struct mill_slice body;
    uint64_t id, rows = 0;
    uint32_t n = 0;
    int form = mill__part_open(part, &id, &body, err);

    MILL_TRY(form);
    if (form != MILL__PART_ROWS) {
        *ret_rows = 0;
        return MILL_OK;
    }
    MILL_TRY(mill__rows_open(&reader, body, err));
    int rc =
        mill__rows_have(&reader, spec) ? MILL_OK : mill_fail(err, MILL_EDATA, "a part of drift rows of other columns");
    while (rc == MILL_OK && (rc = mill__rows_next(&reader, &n, err)) == MILL_OK && n > 0) {
        mill_profile_builder_add(builder, reader.pointers, reader.pointers[reader.field_count], reader.times, NULL, 0,
                                 n);
        rows += n;
    }
    mill__rows_close(&reader);
    if (rc == MILL_OK) {
        *ret_rows = rows;
    }
    return rc;
}

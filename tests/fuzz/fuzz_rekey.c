/* SPDX-License-Identifier: Apache-2.0 */
/* Re-keyed records from anywhere: no crash, and what is accepted encodes to the same bytes or is written anew with the
 * same values. */
#include <stdlib.h>

#include "engine/rekey_internal.h"

static struct mill_field fields[] = {
    {"flag", MILL_BOOL}, {"count", MILL_INT64}, {"delay", MILL_FLOAT64}, {"name", MILL_STRING}, {"at", MILL_TIMESTAMP},
};
static const struct mill_schema schema = {fields, 5};
static uint32_t carried[] = {0, 1, 2, 3, 4};

static bool is_same(const struct mill__rekey_origin *a, const struct mill__rekey_origin *b)
{
    return a->kind == b->kind && a->upstream_stage == b->upstream_stage &&
           a->upstream_partition == b->upstream_partition && a->source_partition == b->source_partition &&
           a->source_offset == b->source_offset && a->upstream_offset == b->upstream_offset &&
           a->newest_us == b->newest_us && a->is_idle == b->is_idle;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* A hash of zeros, which mutations keep. */
    struct mill__stage stage = {.topic = "t", .upstream_count = 3, .carried = carried, .carried_count = 5};
    struct mill_buffer head = {0}, again = {0};
    struct mill_arena arena;
    struct mill_batch batch, second;
    struct mill__rekey_origin origin, back;

    mill_arena_init(&arena, 0);
    mill_batch_init(&batch, &schema, 1, &arena);
    mill_batch_init(&second, &schema, 1, &arena);
    mill_buffer_add_byte(&head, 2); /* the version, so that the rest is reached */
    mill_buffer_add(&head, data, size);
    if (mill__rekey_decode(&stage, mill_buffer_slice(&head), &batch, 0, &origin) == MILL_OK) {
        if (origin.kind == MILL__REKEY_EVENT) {
            mill__rekey_encode(&stage, &batch, 0, &origin, &again);
        } else {
            mill__rekey_announce(&origin, &again);
        }
        mill_assert(mill__rekey_decode(&stage, mill_buffer_slice(&again), &second, 0, &back) == MILL_OK);
        mill_assert(is_same(&origin, &back));
        for (uint32_t c = 0; c < 5; c++) {
            mill_assert(batch.columns[c].valid[0] == second.columns[c].valid[0]);
        }
    }
    mill_buffer_clear(&head);
    mill_buffer_clear(&again);
    mill_arena_clear(&arena);
    return 0;
}

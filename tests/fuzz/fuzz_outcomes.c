/* SPDX-License-Identifier: Apache-2.0 */
/* Outcomes of a pane from hostile bytes. The input is a body, which gets a valid checksum, or, if its first byte is 0,
 * whole bytes. What is accepted can be evaluated, is written as bytes that read back the same, and can be taken back.
 */
#include "base/hash.h"
#include "drift/drift.h"

static void round_trip(struct mill_slice bytes)
{
    struct mill_outcomes *outcomes = mill_outcomes_new(), *copy = mill_outcomes_new();
    struct mill_error err;
    struct mill_buffer first = {0}, second = {0}, empty = {0};
    struct mill_performance performance;
    mill_outcomes_write(copy, &empty);
    if (mill_outcomes_merge(outcomes, bytes, 1, &err) == MILL_OK) {
        mill_outcomes_evaluate(outcomes, &performance);
        mill_assert(performance.positives <= performance.labelled && performance.labelled <= performance.scored);
        mill_assert(!(performance.auc < 0) && !(performance.auc > 1 + 1e-12));
        mill_outcomes_write(outcomes, &first);
        mill_assert(mill_outcomes_merge(copy, mill_buffer_slice(&first), 1, &err) == MILL_OK);
        mill_outcomes_write(copy, &second);
        mill_assert(mill_slice_equal(mill_buffer_slice(&first), mill_buffer_slice(&second)));
        mill_assert(mill_outcomes_merge(outcomes, bytes, -1, &err) == MILL_OK);
    }
    mill_buffer_reset(&first);
    mill_outcomes_write(outcomes, &first);
    mill_assert(mill_slice_equal(mill_buffer_slice(&first), mill_buffer_slice(&empty)));
    mill_buffer_clear(&first);
    mill_buffer_clear(&second);
    mill_buffer_clear(&empty);
    mill_outcomes_free(outcomes);
    mill_outcomes_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct mill_buffer bytes = {0};
    if (n > 0 && data[0] == 0) {
        mill_buffer_add(&bytes, data + 1, n - 1);
    } else {
        mill_buffer_add(&bytes, data, n);
        mill_buffer_add_u32(&bytes, (uint32_t)mill_hash64(bytes.p, bytes.n));
    }
    round_trip(mill_buffer_slice(&bytes));
    mill_buffer_clear(&bytes);
    return 0;
}

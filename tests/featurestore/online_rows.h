/* SPDX-License-Identifier: Apache-2.0 */
/* Rows for the tests of the online store: random batches of every type, and rows read back compared bit for bit. */
#ifndef MILL_TESTS_ONLINE_ROWS_H
#define MILL_TESTS_ONLINE_ROWS_H

#include "featurestore/featurestore.h"

uint64_t test_seed(void); /* MILL_TEST_SEED or the clock; printed */
uint32_t test_random(uint64_t *rng, uint32_t below);

/* Rows of the schema: nulls, NaN of any payload, -0, infinities, empty and long strings with NUL and quotes. Offsets
 * run on from first_offset, event times rise by one second from first_time_us. */
void test_fill_batch(struct mill_batch *batch, const struct mill_schema *schema, uint32_t row_count, uint64_t *rng,
                     int64_t first_offset, int64_t first_time_us, struct mill_arena *arena);

/* Does row of the batch (columns from first_column) have exactly these values? is_feast: as far as Feast's layout can
 * hold them (NaN is null, timestamps are in seconds). */
bool test_row_equals(const struct mill_online_row *row, const struct mill_batch *batch, uint32_t i,
                     uint32_t first_column, uint32_t feature_count, bool is_feast);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The table of aggregates; see aggregate_internal.h. */
#include "featurestore/aggregate_internal.h"

#include "featurestore/featurestore.h"

enum { AGGREGATE_COUNT = 8 };

static const struct mill__aggregate *const table[AGGREGATE_COUNT] = {
    &mill__aggregate_count, &mill__aggregate_sum,   &mill__aggregate_mean, &mill__aggregate_min,
    &mill__aggregate_max,   &mill__aggregate_first, &mill__aggregate_last, &mill__aggregate_time_since_last,
};

/* The names of the table, for those who only list or suggest; a test keeps the two the same. */
static const char *const names[AGGREGATE_COUNT] = {
    "count", "sum", "mean", "min", "max", "first", "last", "time_since_last",
};

const struct mill__aggregate *mill__aggregate_find(struct mill_slice name)
{
    for (size_t i = 0; i < AGGREGATE_COUNT; i++) {
        if (mill_slice_is(name, table[i]->name)) {
            return table[i];
        }
    }
    return NULL;
}

const char *const *mill_aggregate_names(size_t *ret_count)
{
    *ret_count = AGGREGATE_COUNT;
    return names;
}

enum mill_type mill__result_same_type(enum mill_type column_type)
{
    return column_type;
}

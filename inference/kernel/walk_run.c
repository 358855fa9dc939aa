/* SPDX-License-Identifier: Apache-2.0 */
/* Walk: the portable kernel, for float cells, float values in a model too large for narrow nodes, and double cells. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "inference/kernel/kernel_internal.h"

enum { WALK_ROWS = 8 };

/* The ends of all trees stand in front of the cells in the scratch. */
static size_t leaf_size(const struct mill__forest *forest)
{
    return ((size_t)forest->trees.n * sizeof(uint32_t) + 63) / 64 * 64;
}

#define NAME(x) x##_narrow
#define VALUE   float
#define CELL    float
#define NODE    struct mill__walk_node32
#define NODES   nodes32
#include "inference/kernel/walk_body.inc"
#undef NAME
#undef CELL
#undef NODE
#undef NODES

#define NAME(x) x##_wide
#define CELL    double
#define NODE    struct mill__walk_node64
#define NODES   nodes64
#include "inference/kernel/walk_body.inc"
#undef NAME
#undef VALUE

#define NAME(x) x##_double
#define VALUE   double
#include "inference/kernel/walk_body.inc"

size_t mill__walk_scratch(const struct mill__tables *tables, const struct mill__forest *forest)
{
    size_t cell_size = tables->walk.wide ? sizeof(double) : sizeof(float);
    return leaf_size(forest) + ((size_t)tables->walk.cell_count + 1) * cell_size * MILL__TILE_ROWS;
}

void mill__walk_rows(const struct mill__tables *tables, const struct mill__forest *forest, const void *values,
                     size_t stride, uint32_t n, double *margins, void *scratch)
{
    mill_assert(n <= MILL__TILE_ROWS);
    mill__start_margins(forest, n, margins);
    if (forest->cells_f64) {
        run_double(tables, forest, values, stride, n, margins, scratch);
    } else if (tables->walk.wide) {
        run_wide(tables, forest, values, stride, n, margins, scratch);
    } else {
        run_narrow(tables, forest, values, stride, n, margins, scratch);
    }
}

static bool always(void)
{
    return true;
}

static bool fits_all(const struct mill__tables *tables, const struct mill__forest *forest)
{
    return tables != NULL && forest != NULL;
}

const struct mill__kernel mill__kernel_walk = {"walk", "portable", always, fits_all, mill__walk_rows, false};

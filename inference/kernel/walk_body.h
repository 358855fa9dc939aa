/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loops of the walk, once for each precision: walk_run.c includes this with
 *   CELL  float or double           NODE  the node that goes with it
 *   NAME(x)  x with a suffix
 * A chain of steps in one tree waits for memory at each; sixteen trees (or eight rows of one tree) at once do not.
 */

/* Cells of one row; cells[cell_count] is the constant that leaves compare. */
static void NAME(fill_cells)(const struct mill__walk *walk, const struct mill__forest *forest, const VALUE *values,
                             CELL *cells)
{
    const uint32_t *begin = walk->cell_begin;
    for (uint32_t c = begin[MILL__CELL_VALUE]; c < begin[MILL__CELL_VALUE + 1]; c++) {
        cells[c] = (CELL)values[walk->cells[c].used];
    }
    for (uint32_t c = begin[MILL__CELL_LEFT]; c < begin[MILL__CELL_LEFT + 1]; c++) {
        CELL x = (CELL)values[walk->cells[c].used];
        cells[c] = isnan(x) ? -(CELL)INFINITY : x;
    }
    for (uint32_t c = begin[MILL__CELL_ZERO_VALUE]; c < begin[MILL__CELL_ZERO_LEFT + 1]; c++) {
        CELL x = (CELL)values[walk->cells[c].used];
        bool missing = isnan(x) || fabs((double)x) <= MILL__ZERO_MAX;
        CELL stand_in = c < begin[MILL__CELL_ZERO_LEFT] ? (CELL)NAN : -(CELL)INFINITY;
        cells[c] = missing ? stand_in : x;
    }
    for (uint32_t c = begin[MILL__CELL_SET]; c < begin[MILL__CELL_SET + 1]; c++) {
        const struct mill__set *set = &forest->sets.at[walk->cells[c].set];
        cells[c] = mill__set_goes_left(forest, set, (double)values[walk->cells[c].used]) ? (CELL)0 : (CELL)1;
    }
    for (uint32_t c = begin[MILL__CELL_MISSING]; c < begin[MILL__CELL_MISSING + 1]; c++) {
        cells[c] = isnan(values[walk->cells[c].used]) ? (CELL)0 : (CELL)1;
    }
    cells[walk->cell_count] = 0;
}

/* Ends of the sixteen trees of a group, as node numbers of the whole table. */
static inline void NAME(walk_group)(const struct mill__walk *walk, const NODE *nodes, uint32_t group, const CELL *cells,
                                    uint32_t *ends)
{
    const uint32_t *roots = walk->roots + (size_t)group * MILL__WALK_TREES;
    const NODE *base[MILL__WALK_TREES];
    uint32_t at[MILL__WALK_TREES];
    for (uint32_t k = 0; k < MILL__WALK_TREES; k++) {
        base[k] = nodes + roots[k];
        at[k] = 0;
    }
    uint32_t left = walk->steps[group];
    while (left > 0) {
        /* Deep trees end early on most paths: look every eight steps whether all have. */
        uint32_t steps = left < 8 ? left : 8;
        left -= steps;
        uint32_t moved = 0;
        while (steps-- > 0) {
            moved = 0;
#pragma GCC unroll 16
            for (uint32_t k = 0; k < MILL__WALK_TREES; k++) {
                const NODE *node = &base[k][at[k]];
                uint32_t next = node->left + !(cells[node->cell] <= node->threshold);
                moved |= next ^ at[k];
                at[k] = next;
            }
        }
        if (moved == 0) {
            break;
        }
    }
    for (uint32_t k = 0; k < MILL__WALK_TREES; k++) {
        ends[k] = roots[k] + at[k];
    }
}

/* Ends of one tree for eight rows; cells of row r start at r * cell_stride. */
static inline void NAME(walk_rows)(const NODE *tree, uint32_t depth, const CELL *cells, size_t cell_stride,
                                   uint32_t *at)
{
    for (uint32_t r = 0; r < WALK_ROWS; r++) {
        at[r] = 0;
    }
    uint32_t left = depth;
    while (left > 0) {
        uint32_t steps = left < 8 ? left : 8;
        left -= steps;
        uint32_t moved = 0;
        while (steps-- > 0) {
            moved = 0;
#pragma GCC unroll 8
            for (uint32_t r = 0; r < WALK_ROWS; r++) {
                const NODE *node = &tree[at[r]];
                uint32_t next = node->left + !(cells[r * cell_stride + node->cell] <= node->threshold);
                moved |= next ^ at[r];
                at[r] = next;
            }
        }
        if (moved == 0) {
            break;
        }
    }
}

static inline void NAME(add_value)(const struct mill__forest *forest, const void *values, uint32_t end, double *margin)
{
    if (forest->sums_f64) {
        *margin += ((const double *)values)[end];
    } else {
        *margin = (double)((float)*margin + ((const float *)values)[end]);
    }
}

/* One row: groups of sixteen trees. */
static void NAME(run_row)(const struct mill__tables *tables, const struct mill__forest *forest, const VALUE *values,
                          double *margins, CELL *cells, uint32_t *leaf)
{
    const struct mill__walk *walk = &tables->walk;
    const NODE *nodes = walk->NODES;
    NAME(fill_cells)(walk, forest, values, cells);
    uint32_t tree_count = forest->trees.n;
    bool single = forest->margin_count == 1 && !forest->sums_f64 && walk->leaf_of == NULL;
    float sum = (float)margins[0];
    for (uint32_t group = 0; group < walk->group_count; group++) {
        uint32_t ends[MILL__WALK_TREES], first = group * MILL__WALK_TREES;
        uint32_t n = tree_count - first < MILL__WALK_TREES ? tree_count - first : MILL__WALK_TREES;
        NAME(walk_group)(walk, nodes, group, cells, ends);
        if (single) {
            for (uint32_t k = 0; k < n; k++) {
                sum += ((const float *)walk->values)[ends[k]];
            }
            continue;
        }
        for (uint32_t k = 0; k < n; k++) {
            if (walk->leaf_of != NULL) {
                leaf[first + k] = walk->leaf_of[ends[k]];
            } else {
                NAME(add_value)(forest, walk->values, ends[k], &margins[forest->trees.at[first + k].output]);
            }
        }
    }
    if (single) {
        margins[0] = (double)sum;
    }
    if (walk->leaf_of != NULL) {
        mill__sum_leaves(tables, forest, leaf, values, margins);
    }
}

/* Many rows, a multiple of WALK_ROWS: each tree over all of them while it is in the nearest cache. */
static void NAME(run_tile)(const struct mill__tables *tables, const struct mill__forest *forest, const VALUE *values,
                           size_t stride, uint32_t n, double *margins, CELL *cells)
{
    const struct mill__walk *walk = &tables->walk;
    size_t cell_stride = (size_t)walk->cell_count + 1;
    for (uint32_t r = 0; r < n; r++) {
        NAME(fill_cells)(walk, forest, values + r * stride, cells + r * cell_stride);
    }
    for (uint32_t t = 0; t < forest->trees.n; t++) {
        const struct mill__tree *tree = &forest->trees.at[t];
        double *margin = margins + tree->output;
        for (uint32_t r = 0; r < n; r += WALK_ROWS) {
            uint32_t at[WALK_ROWS];
            NAME(walk_rows)(walk->NODES + walk->roots[t], tree->depth, cells + r * cell_stride, cell_stride, at);
            for (uint32_t k = 0; k < WALK_ROWS; k++) {
                NAME(add_value)
                (forest, walk->values, walk->roots[t] + at[k], margin + (size_t)(r + k) * forest->margin_count);
            }
        }
    }
}

static void NAME(run)(const struct mill__tables *tables, const struct mill__forest *forest, const VALUE *values,
                      size_t stride, uint32_t n, double *margins, void *scratch)
{
    uint32_t *leaf = scratch;
    CELL *cells = (CELL *)(void *)((char *)scratch + leaf_size(forest));
    uint32_t tiled = tables->walk.leaf_of != NULL ? 0 : n / WALK_ROWS * WALK_ROWS;
    if (tiled > 0) {
        NAME(run_tile)(tables, forest, values, stride, tiled, margins, cells);
    }
    for (uint32_t r = tiled; r < n; r++) {
        NAME(run_row)(tables, forest, values + r * stride, margins + (size_t)r * forest->margin_count, cells, leaf);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From values to slots, and to fixed-point moments: the two loops that touch every monitored value.
 *
 * A locator finds a value's rank among the break-points in a few loads whatever their distribution: values are compared
 * as keys (mill__key_of), which is nearly their logarithm, so heavy tails take no more cells than a normal body. The
 * root cell is the key's top bits; each root has a grid of its own over the break-points that it holds, twice as many
 * cells as those (cells of equal width, so about equal mass); a cell says at which break-point it starts, and the eight
 * break-points from there are compared at once. A cell with many more (break-points that cluster) has a grid of its own
 * within it, and so on for a few levels; what is left then is searched by halves.
 */
#ifndef MILL_DRIFT_LOCATE_INTERNAL_H
#define MILL_DRIFT_LOCATE_INTERNAL_H

#include "drift/profile_internal.h"

enum { MILL__BLOCK_ROWS = 1024, MILL__LOCATE_WIDTH = 8, MILL__LOCATE_PARTS = 64 };

struct mill__locator_root {
    int64_t key_first;
    uint32_t cell_first, cell_last, shift;
};

struct mill__locator {
    double *breaks; /* MILL__LOCATE_WIDTH NaNs behind */
    uint32_t break_count;
    int64_t key_first, key_last;
    uint32_t shift;
    struct mill__locator_root *roots;
    uint32_t *starts; /* per cell and one more: index of its first break-point, and of the first behind it */
    uint32_t *inner;  /* per cell: the root of the grid within it, or 0 */
    /* cell >> part_shift is less than MILL__LOCATE_PARTS and rises with the value; parts have about equal numbers of
     * break-points, as far as cells do. */
    uint32_t part_shift;
};

/* Takes memory: 8 bytes a break-point for a copy, about 16 for cells (more where break-points cluster: at
 * most four times that), and up to 100 KiB for roots. */
void mill__locator_init(struct mill__locator *locator, const double *breaks, uint32_t break_count);
void mill__locator_clear(struct mill__locator *locator);

struct mill__count_kernel {
    const char *name;
    bool (*supported)(void);
    /* n values (at most MILL__BLOCK_ROWS; no NaN, no -0.0) to cells, and from there to slots. */
    void (*cells)(const struct mill__locator *locator, const double *values, uint32_t n, uint32_t *cells);
    void (*slots)(const struct mill__locator *locator, const double *values, const uint32_t *cells, uint32_t n,
                  uint32_t *slots);
    /* q of each value (struct mill_drift_moments); returns all q ^ (q >> 63) or-ed together. factor: 2^40 / scale. */
    uint64_t (*quantize)(double center, double factor, const double *values, uint32_t n, int64_t *q);
};
/* Best first; the last needs nothing. All give the same bits. */
extern const struct mill__count_kernel *const mill__count_kernels[];
extern const uint32_t mill__count_kernel_count;
const struct mill__count_kernel *mill__count_kernel_best(void);

/* Both steps. */
static inline void mill__locate(const struct mill__count_kernel *kernel, const struct mill__locator *locator,
                                const double *values, uint32_t n, uint32_t *slots)
{
    uint32_t cells[MILL__BLOCK_ROWS];
    kernel->cells(locator, values, n, cells);
    kernel->slots(locator, values, cells, n, slots);
}

/* Adds the moments of n values (at most MILL__BLOCK_ROWS). */
void mill__moments_add(const struct mill__count_kernel *kernel, const struct mill_profile_feature *feature,
                       const double *values, uint32_t n, struct mill_drift_moments *moments);

static inline mill__i128 mill__wide_of(const int64_t words[2])
{
    return (mill__i128)words[1] * ((mill__i128)1 << 64) + (uint64_t)words[0];
}

static inline void mill__wide_set(int64_t words[2], mill__i128 value)
{
    words[0] = (int64_t)(uint64_t)value;
    words[1] = (int64_t)(value >> 64);
}

static inline uint32_t mill__locate_in_root(const struct mill__locator_root *root, int64_t key)
{
    int64_t d = key - root->key_first;
    uint64_t cell = (uint64_t)(d < 0 ? 0 : d) >> root->shift;
    uint64_t last = root->cell_last - root->cell_first;
    return root->cell_first + (uint32_t)(cell < last ? cell : last);
}

/* The cell in which the rank is to be looked for: an index into starts. */
static inline uint32_t mill__locate_cell(const struct mill__locator *locator, int64_t key)
{
    uint64_t root = ((uint64_t)key - (uint64_t)locator->key_first) >> locator->shift;
    return mill__locate_in_root(&locator->roots[root], key);
}

/* The loads of one value depend on one another and miss the cache: each step asks for what the next needs. */
static inline void mill__locate_starts(const struct mill__locator *locator, const uint32_t *cells, uint32_t n,
                                       uint32_t *starts)
{
    for (uint32_t i = 0; i < n; i++) {
        starts[i] = locator->starts[cells[i]];
        __builtin_prefetch(&locator->breaks[starts[i]]);
        __builtin_prefetch(&locator->breaks[starts[i] + MILL__LOCATE_WIDTH - 1]);
    }
}

static inline int64_t mill__locate_key(const struct mill__locator *locator, double x)
{
    int64_t key = mill__key_of(x);
    key = key < locator->key_first ? locator->key_first : key;
    return key > locator->key_last ? locator->key_last : key;
}

/* The slot of a value that lies in this cell, behind at least its first MILL__LOCATE_WIDTH break-points. */
uint32_t mill__locate_slow(const struct mill__locator *locator, double x, uint32_t cell);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels: how a forest is evaluated, one table entry each.
 *
 * All of them read the values of the features that are used (`used`), in the precision of the model, and add the same
 * leaves in the same order, so which one ran cannot be seen in the bits. What differs is the layout: "walk" tables hold
 * each tree as nodes and need nothing of the CPU; "rank" tables replace values by their rank among the thresholds, one
 * byte each, and are streamed through vector registers.
 */
#ifndef MILL_INFERENCE_KERNEL_KERNEL_INTERNAL_H
#define MILL_INFERENCE_KERNEL_KERNEL_INTERNAL_H

#include "inference/forest_internal.h"

enum { MILL__TILE_ROWS = 64 };

/* Rows as they come from the caller. */
struct mill__rows {
    const float *f32; /* one of the two */
    const double *f64;
    size_t stride, column_count;
    bool only_used; /* column u is the feature used[u], not feature u */
};

/* How a cell of the walk is made from the value of a feature. */
enum mill__cell_kind {
    MILL__CELL_VALUE,      /* missing goes right: NaN fails every test */
    MILL__CELL_LEFT,       /* missing goes left: NaN becomes -inf, which passes every test */
    MILL__CELL_ZERO_VALUE, /* the same two where |x| <= 1e-35 is missing */
    MILL__CELL_ZERO_LEFT,
    MILL__CELL_SET,     /* 0 where the set says left, else 1 */
    MILL__CELL_MISSING, /* 0 where missing, else 1 */
};
enum { MILL__CELL_KINDS = 6 };

struct mill__cell {
    uint32_t used; /* index into used[] */
    uint32_t set;
};

struct mill__walk_node32 {
    float threshold;
    uint16_t cell, left; /* right = left + 1; leaf: left = itself, cell = the constant one */
};
struct mill__walk_node64 {
    double threshold;
    uint32_t cell, left;
};

enum { MILL__WALK_TREES = 16 }; /* trees walked at once */

struct mill__walk {
    bool wide; /* node64 */
    uint32_t cell_count;
    uint32_t cell_begin[MILL__CELL_KINDS + 1]; /* cells of each kind stand together */
    struct mill__cell *cells;
    struct mill__walk_node32 *nodes32;
    struct mill__walk_node64 *nodes64;
    void *values;      /* per node: the leaf's value, float or double as sums are; single leaves only */
    uint32_t *leaf_of; /* per node: the leaf's number in the forest; vector and linear leaves only */
    uint32_t *roots;   /* per tree, padded with an empty tree to a multiple of MILL__WALK_TREES */
    uint32_t *steps;   /* per group of MILL__WALK_TREES: depth of the deepest */
    uint32_t group_count;
};

struct mill__tables;
struct mill__ranks;

/* What the CPU can do; false where it is no x86-64. */
bool mill__has_avx2(void);
bool mill__has_avx512bw(void); /* with VL, DQ and POPCNT */
bool mill__has_avx512vbmi(void);

/* A way to evaluate a forest. All give the same bits; the tuner picks by time. */
struct mill__kernel {
    const char *name;
    const char *level; /* what the CPU must have: "portable", "avx2", "avx512bw", "avx512vbmi" */
    bool (*supported)(void);
    bool (*fits)(const struct mill__tables *tables, const struct mill__forest *forest);
    /* Margins of n (1 to MILL__TILE_ROWS) rows, margin_count doubles each, before mill__finish_margins(). */
    void (*run)(const struct mill__tables *tables, const struct mill__forest *forest, const void *values, size_t stride,
                uint32_t n, double *margins, void *scratch);
    bool by_block; /* a call takes as long for one row as for a tile */
};
extern const struct mill__kernel *const mill__kernels[];
enum { MILL__KERNELS = 13 };
extern const struct mill__kernel mill__kernel_walk, mill__kernel_heap, mill__kernel_hop, mill__kernel_heap_avx2,
    mill__kernel_hop_avx2, mill__kernel_scan_avx2, mill__kernel_block_avx2, mill__kernel_heap_avx512,
    mill__kernel_hop_avx512, mill__kernel_block_avx512, mill__kernel_gather_avx512, mill__kernel_scan_vbmi,
    mill__kernel_perfect_vbmi;

struct mill__tables {
    uint32_t used_count;
    uint32_t *used;   /* features that some node tests or some linear leaf reads, ascending */
    bool used_is_all; /* used[i] == i */
    float *base32;    /* margin_count */
    struct mill__walk walk;
    struct mill__ranks *ranks; /* NULL where the forest has none */
    uint64_t bytes;
    size_t scratch;                      /* of the largest kernel that fits */
    uint8_t choice[MILL__TILE_ROWS + 1]; /* by row count: which of mill__kernels */
    float row_ns[MILL__KERNELS];         /* what the tuner measured: per row in a full tile, and of one row alone */
    float single_ns[MILL__KERNELS];
};

/* Where a feature that is used stands in used[]. */
uint32_t mill__used_index(const struct mill__tables *tables, uint32_t feature);
int mill__tables_build(struct mill__tables *tables, const struct mill__forest *forest, struct mill_error *err);
void mill__tables_clear(struct mill__tables *tables);

/* Values of the used features of rows first .. first + n, one after the other in the model's precision, into scratch
 * or, where they already are just that, nowhere. Returns where they are and sets the distance between rows. */
const void *mill__load_values(const struct mill__tables *tables, const struct mill__forest *forest,
                              const struct mill__rows *rows, size_t first, uint32_t n, void *scratch,
                              size_t *ret_stride);
size_t mill__values_size(const struct mill__tables *tables, const struct mill__forest *forest, uint32_t n);

void mill__walk_build(struct mill__tables *tables, const struct mill__forest *forest);
void mill__walk_clear(struct mill__walk *walk);
size_t mill__walk_scratch(const struct mill__tables *tables, const struct mill__forest *forest);
/* Margins of n rows, margin_count doubles each. */
void mill__walk_rows(const struct mill__tables *tables, const struct mill__forest *forest, const void *values,
                     size_t stride, uint32_t n, double *margins, void *scratch);

/* Margins at the start: base scores, or zeros where they come last. */
void mill__start_margins(const struct mill__forest *forest, uint32_t n, double *margins);
/* Chooses a kernel for every row count, within the limits of the environment variable MILL_KERNEL. MILL_ECONFIG where
 * that names nothing known. */
int mill__tune(struct mill__tables *tables, const struct mill__forest *forest, struct mill_error *err);

/* Margins from leaves: leaf[t] is the number in the forest of the leaf that tree t ended in; values: of the used
 * features, for linear leaves. Any forest. */
void mill__sum_leaves(const struct mill__tables *tables, const struct mill__forest *forest, const uint32_t *leaf,
                      const void *values, double *margins);
/* What follows the sum: averages, CatBoost's scale, base scores that come last. In place. */
void mill__finish_margins(const struct mill__tables *tables, const struct mill__forest *forest, double *margins);

/* The value of a cell of that kind from a float. */
static inline float mill__cell_value(const struct mill__forest *forest, enum mill__cell_kind kind, uint32_t set,
                                     float x)
{
    bool nan = x != x;
    bool zero = x <= 1e-35f && x >= -1e-35f;
    switch (kind) {
    case MILL__CELL_VALUE:
        break;
    case MILL__CELL_LEFT:
        return nan ? -__builtin_inff() : x;
    case MILL__CELL_ZERO_VALUE:
        return zero ? __builtin_nanf("") : x;
    case MILL__CELL_ZERO_LEFT:
        return nan || zero ? -__builtin_inff() : x;
    case MILL__CELL_SET:
        return mill__set_goes_left(forest, &forest->sets.at[set], (double)x) ? 0.0f : 1.0f;
    case MILL__CELL_MISSING:
        return nan ? 0.0f : 1.0f;
    }
    return x;
}

#endif

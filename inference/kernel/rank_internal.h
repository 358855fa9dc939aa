/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ranks: values replaced by one byte each, without loss.
 *
 * A column is a feature with the thresholds (at most 254) that it is compared with, ascending. The code of x is how
 * many of them are below x, so "x <= thresholds[j]" is "code <= j". 255 stands for a missing value: it fails every
 * test; where a missing value goes left, the test reads the code plus one, in which 255 has become 0, against j + 1. A
 * feature with more thresholds becomes several columns. A membership test is a column of its own whose code is 0 for
 * left and 1 for right.
 */
#ifndef MILL_INFERENCE_KERNEL_RANK_INTERNAL_H
#define MILL_INFERENCE_KERNEL_RANK_INTERNAL_H

#include "inference/kernel/kernel_internal.h"

enum {
    MILL__RANK_THRESHOLDS_MAX = 254,
    MILL__RANK_MISSING = 255,
    MILL__RANK_BLOCK = 16,
    MILL__RANK_COLUMNS_MAX = 4096,
    MILL__SCAN_COLUMNS_MAX = 128, /* columns that one group of trees may test in the scanning kernels */
    MILL__SCAN_LEAVES_MAX = 256,
    MILL__SCAN_LANES = 64
};

/* Codes of all membership tests of one categorical feature, a row of `count` bytes for each category: then a value is
 * looked up once, however many sets test it. Behind the categories: what lies beyond them, below 0, and missing. */
struct mill__category_table {
    uint8_t *codes;
    uint32_t category_count, count;
    bool truncates_first; /* LightGBM: -0.5 is category 0 */
};

struct mill__rank_column {
    uint32_t used;
    uint8_t kind;       /* enum mill__cell_kind: VALUE, ZERO_VALUE, SET or MISSING */
    uint16_t table, at; /* SET: number of its table, from 1, and its place in the table's rows; 0: none */
    uint32_t set;
    uint32_t n;     /* thresholds */
    uint32_t begin; /* of its 16 pivots (the last of each block), then its blocks of 16, filled up with +inf */
};

/* A node as a test of codes: goes left where (code + bump) mod 256 <= rank. */
struct mill__rank_test {
    uint16_t column;
    uint8_t rank, bump;
};

/* 64 trees side by side: byte k of each of the four vectors of a slot belongs to tree k. */
struct mill__scan_group {
    uint32_t slot_begin, slot_count;
    uint32_t pick_begin, pick_count; /* which columns; none where column c is byte c */
};

/* A node for a block of rows: blends the outcomes of its children, whose numbers are 0 to 255 for leaves and 256 + node
 * for inner nodes. */
struct mill__block_node {
    uint16_t row;  /* of the codes: the column, or column_count + column for bumped ones */
    uint16_t rank; /* goes left where code <= rank */
    uint16_t left, right;
};

struct mill__perfect {
    uint32_t depth;  /* 0: not built */
    uint8_t *slots;  /* per group of 64 trees and node, children before parents: column bytes, rank bytes */
    float *values32; /* 2^depth for each tree, in the precision of sums */
    double *values64;
};

struct mill__ranks {
    bool built;
    uint64_t bytes;
    uint32_t column_count;
    struct mill__rank_column *columns;
    float *thresholds32; /* aligned to 64 bytes */
    double *thresholds64;
    bool any_bump;
    struct mill__category_table *tables;
    uint32_t table_count;
    struct mill__rank_test *tests; /* parallel to the forest's nodes */
    float *leaves32;               /* parallel to the forest's leaves, where sums are float */
    /* scan: tree after tree through one pass over slots */
    bool scans, blocks; /* whether each family of kernels can run this forest */
    struct mill__scan_group *groups;
    uint32_t group_count;
    uint8_t *slots; /* column (bit 7: bump), rank, first leaf, first leaf of the right subtree: 64 bytes each */
    uint16_t *picks;
    struct mill__perfect perfect;
    struct mill__block_node *block; /* parallel to the forest's nodes: those of a tree from the last to the root */
};

void mill__ranks_build(struct mill__ranks *ranks, const struct mill__tables *tables, const struct mill__forest *forest);
/* Tables for categorical features whose columns stand side by side. */
void mill__categories_build(struct mill__ranks *ranks, const struct mill__forest *forest);

/* Which row of a table a value belongs to. */
static inline uint32_t mill__category_row(const struct mill__category_table *table, double x)
{
    uint32_t n = table->category_count;
    if (x != x) {
        return n + 2;
    }
    if (x < 0 && !(table->truncates_first && x > -1)) {
        return n + 1;
    }
    return x < (double)n ? (uint32_t)x : n;
}

/* The part of it for scanning kernels. */
void mill__scan_build(struct mill__ranks *ranks, const struct mill__forest *forest);
void mill__ranks_clear(struct mill__ranks *ranks);

/* Scratch of the kernels on ranks: codes of one row, codes of a tile, and what a kernel keeps on the way. */
size_t mill__rank_scratch(const struct mill__tables *tables, const struct mill__forest *forest);

/* Margins of one row from the leaf (within its tree) that each tree ended in. */
void mill__rank_sum(const struct mill__tables *tables, const struct mill__forest *forest, const uint8_t *leaf,
                    double *margins);
/* The same from complete trees. */
void mill__perfect_sum(const struct mill__tables *tables, const struct mill__forest *forest, const uint8_t *leaf,
                       double *margins);

#endif

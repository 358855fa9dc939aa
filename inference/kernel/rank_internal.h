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
    MILL__SCAN_LANES = 64,
    MILL__PERFECT_DEPTH_MAX = 8,
    MILL__HOP_ROW_BYTES = 256, /* of codes: all columns, then all plus one */
    MILL__HOP_TREES = 8,       /* trees, or rows of one tree, that are walked at once */
    MILL__HEAP_TREES = 12
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

/* A column of kind VALUE with what a search needs, and nothing else: most columns, in the order of columns. */
struct mill__rank_plain {
    uint32_t used, begin;
    uint16_t column, n;
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

/* Trees of at most 8 levels, filled up to complete ones. */
struct mill__perfect {
    uint32_t depth;  /* 0: not built */
    uint8_t *slots;  /* per group of 64 trees and node, children before parents: column bytes, rank bytes */
    uint8_t *heap;   /* per tree and node, the root at 1, children at 2i and 2i + 1: place of the code, rank */
    float *values32; /* 2^depth for each tree, in the precision of sums */
    double *values64;
};

/* Trees of any shape, in breadth-first order, so that the right child stands behind the left one. */
struct mill__hop {
    uint8_t *nodes;  /* 4 bytes: place of the code, rank, distance to the left child (0: a leaf; its rank is 255) */
    uint32_t *roots; /* per tree, padded with an empty tree to a multiple of MILL__HOP_TREES */
    float *values32; /* per node, in the precision of sums */
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
    struct mill__rank_plain *plain;
    uint16_t *others; /* columns of other kinds; of those that share a table, the first */
    uint32_t plain_count, other_count;
    struct mill__category_table *tables;
    uint32_t table_count;
    struct mill__rank_test *tests; /* parallel to the forest's nodes */
    float *leaves32;               /* parallel to the forest's leaves, where sums are float */
    /* scan: tree after tree through one pass over slots */
    bool scans, blocks; /* whether each family of kernels can run this forest */
    struct mill__scan_group *groups;
    uint32_t group_count;
    uint32_t bump_bit; /* of a column's byte in slots: 6 where no group tests more than 64 columns, else 7 */
    uint8_t *slots;    /* column with its bump, rank, first leaf, first leaf of the right subtree: 64 bytes each */
    uint16_t *picks;
    struct mill__perfect perfect;
    struct mill__hop hop;           /* where perfect does not fit */
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

/* The parts of it for scanning and block kernels, for complete trees, and for hopping. */
void mill__scan_build(struct mill__ranks *ranks, const struct mill__forest *forest);
void mill__perfect_build(struct mill__ranks *ranks, const struct mill__forest *forest);
void mill__hop_build(struct mill__ranks *ranks, const struct mill__forest *forest);
/* Memory that vector loads may touch in full lines, to be freed with free(). */
void *mill__lines(size_t n);
/* Whether a tree's result is one number that is added to one output. */
bool mill__adds_numbers(const struct mill__forest *forest);
/* Where the code of a node's test stands among a hopping kernel's row of codes: bumped ones behind the plain ones. */
static inline uint32_t mill__code_place(const struct mill__ranks *ranks, const struct mill__rank_test *test)
{
    return test->column + (test->bump ? (ranks->column_count + 15) / 16 * 16 : 0);
}
/* Whether all of them fit in MILL__HOP_ROW_BYTES. */
bool mill__codes_fit_row(const struct mill__ranks *ranks);
void mill__ranks_clear(struct mill__ranks *ranks);

/* Values to codes, in an instruction set. */
struct mill__coder {
    /* Codes of one row: column_count bytes. */
    void (*row)(const struct mill__ranks *ranks, const struct mill__forest *forest, const void *values, uint8_t *codes);
    /* Codes of n rows, 64 bytes a column; rows beyond n are 0. Behind all columns, where some test needs it, plus one.
     */
    void (*tile)(const struct mill__ranks *ranks, const struct mill__forest *forest, const void *values, size_t stride,
                 uint32_t n, uint8_t *codes);
};
extern const struct mill__coder mill__coder_portable, mill__coder_avx2, mill__coder_avx512;
/* bumped[i] = codes[i] + 1, in steps of 16. */
void mill__codes_bump(const uint8_t *codes, uint8_t *bumped, size_t n);

/* What the walks on codes start from: codes of n rows, MILL__HOP_ROW_BYTES each, margins at the start in `margins` and,
 * output by output, in sums of the forest's precision (sum of output k, row r at k * MILL__TILE_ROWS + r). */
struct mill__code_rows {
    uint8_t *codes;
    float *sums32; /* one of the two counts */
    double *sums64;
};
struct mill__code_rows mill__code_rows(const struct mill__tables *tables, const struct mill__forest *forest,
                                       const struct mill__coder *coder, const void *values, size_t stride, uint32_t n,
                                       double *margins, void *scratch);
/* Sums in that order, at the start and to margins. */
void mill__start_sums(const struct mill__forest *forest, float *sums32, double *sums64);
void mill__deliver_sums(const struct mill__forest *forest, uint32_t n, const float *sums32, const double *sums64,
                        double *margins);

/* Margins of n rows by walking complete trees, or trees of any shape, on codes. */
void mill__heap_rows(const struct mill__tables *tables, const struct mill__forest *forest,
                     const struct mill__coder *coder, const void *values, size_t stride, uint32_t n, double *margins,
                     void *scratch);
void mill__hop_rows(const struct mill__tables *tables, const struct mill__forest *forest,
                    const struct mill__coder *coder, const void *values, size_t stride, uint32_t n, double *margins,
                    void *scratch);

/* Scratch of the kernels on ranks: codes of one row, codes of a tile, and what a kernel keeps on the way. */
size_t mill__rank_scratch(const struct mill__tables *tables, const struct mill__forest *forest);

/* Margins of one row from the leaf (within its tree) that each tree ended in. */
void mill__rank_sum(const struct mill__tables *tables, const struct mill__forest *forest, const uint8_t *leaf,
                    double *margins);
/* The same from complete trees. */
void mill__perfect_sum(const struct mill__tables *tables, const struct mill__forest *forest, const uint8_t *leaf,
                       double *margins);

#endif

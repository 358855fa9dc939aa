/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hop: trees of any shape walked on codes, eight at once (or eight rows of one tree). A node is four bytes: place of
 * the code, rank, distance to the left child; a leaf stays where it is. Paths end early in leaf-wise trees, so after
 * some levels it is looked now and then whether anything still moves.
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "inference/kernel/rank_internal.h"

#define INLINE static inline __attribute__((always_inline))

enum { NODE_BYTES = 4, N = MILL__HOP_TREES, STEPS_FIRST = 6, STEPS_NEXT = 2 };

static void put_node(uint8_t *node, uint32_t place, uint32_t rank, uint32_t distance)
{
    uint16_t word = (uint16_t)distance;
    node[0] = (uint8_t)place;
    node[1] = (uint8_t)rank;
    memcpy(node + 2, &word, sizeof(word));
}

/* A tree in breadth-first order from node `begin` on; queue has room for all its nodes and leaves. */
static void put_tree(struct mill__ranks *ranks, const struct mill__forest *forest, const struct mill__tree *tree,
                     uint32_t begin, int32_t *queue)
{
    struct mill__hop *hop = &ranks->hop;
    uint32_t tail = 0;
    queue[tail++] = tree->leaf_count > 1 ? 0 : ~0;
    for (uint32_t i = 0; i < tail; i++) {
        uint8_t *to = hop->nodes + (size_t)(begin + i) * NODE_BYTES;
        if (queue[i] >= 0) {
            const struct mill__node *node = &forest->nodes.at[tree->node_begin + (uint32_t)queue[i]];
            const struct mill__rank_test *test = &ranks->tests[tree->node_begin + (uint32_t)queue[i]];
            put_node(to, mill__code_place(ranks, test), test->rank, tail - i);
            queue[tail++] = node->left;
            queue[tail++] = node->right;
            continue;
        }
        double value = forest->leaves.at[tree->leaf_begin + (uint32_t)~queue[i]];
        put_node(to, 0, 255, 0);
        if (forest->sums_f64) {
            hop->values64[begin + i] = value;
        } else {
            hop->values32[begin + i] = (float)value;
        }
    }
}

/* Nodes of all trees and the empty one in front; 0 where some tree is too large for 16-bit distances. */
static uint32_t count_nodes(const struct mill__forest *forest, uint32_t *ret_largest)
{
    uint64_t total = 1;
    *ret_largest = 1;
    for (uint32_t t = 0; t < forest->trees.n; t++) {
        uint32_t n = 2 * forest->trees.at[t].leaf_count - 1;
        *ret_largest = n > *ret_largest ? n : *ret_largest;
        total += n;
    }
    return *ret_largest > UINT16_MAX || total > UINT32_MAX / 2 ? 0 : (uint32_t)total;
}

void mill__hop_build(struct mill__ranks *ranks, const struct mill__forest *forest)
{
    struct mill__hop *hop = &ranks->hop;
    uint32_t largest = 0, node_count = count_nodes(forest, &largest);
    if (node_count == 0 || !mill__adds_numbers(forest) || !mill__codes_fit_row(ranks)) {
        return;
    }
    size_t value_size = forest->sums_f64 ? sizeof(double) : sizeof(float);
    hop->nodes = mill__lines((size_t)node_count * NODE_BYTES);
    hop->roots = mill_calloc((size_t)forest->trees.n + N, sizeof(*hop->roots));
    void *values = mill__lines(node_count * value_size);
    memset(values, 0, node_count * value_size);
    hop->values64 = forest->sums_f64 ? values : NULL;
    hop->values32 = forest->sums_f64 ? NULL : values;
    int32_t *queue = mill_malloc(((size_t)largest + 2) * sizeof(*queue));
    put_node(hop->nodes, 0, 255, 0);
    uint32_t begin = 1;
    for (uint32_t t = 0; t < forest->trees.n; t++) {
        hop->roots[t] = begin;
        put_tree(ranks, forest, &forest->trees.at[t], begin, queue);
        begin += 2 * forest->trees.at[t].leaf_count - 1;
    }
    free(queue);
    ranks->bytes += node_count * (NODE_BYTES + value_size) + (size_t)forest->trees.n * sizeof(*hop->roots);
}

/* How far a node is left behind; 0 at a leaf. */
INLINE uint32_t distance(const uint8_t *node, const uint8_t *codes)
{
    uint16_t left;
    uint8_t code = codes[node[0]];
    memcpy(&left, node + 2, sizeof(left));
    return left + (uint32_t)(node[1] < code);
}

/* Until no path moves any more. codes of path k start at k * codes_stride. */
INLINE void walk(const uint8_t **at, uint32_t depth, const uint8_t *codes, size_t codes_stride)
{
    uint32_t steps = depth < STEPS_FIRST ? depth : STEPS_FIRST;
    while (depth > 0) {
        uint32_t moved = 0;
        depth -= steps;
        while (--steps > 0) {
#pragma GCC unroll 16
            for (uint32_t k = 0; k < N; k++) {
                at[k] += (size_t)NODE_BYTES * distance(at[k], codes + k * codes_stride);
            }
        }
#pragma GCC unroll 16
        for (uint32_t k = 0; k < N; k++) {
            uint32_t way = distance(at[k], codes + k * codes_stride);
            at[k] += (size_t)NODE_BYTES * way;
            moved |= way;
        }
        if (moved == 0) {
            return;
        }
        steps = depth < STEPS_NEXT ? depth : STEPS_NEXT;
    }
}

static uint32_t deepest(const struct mill__tree *tree, uint32_t n)
{
    uint32_t depth = 0;
    for (uint32_t k = 0; k < n; k++) {
        depth = tree[k].depth > depth ? tree[k].depth : depth;
    }
    return depth;
}

/* Margins of one row whose codes are there. */
static void run_row(const struct mill__hop *hop, const struct mill__forest *forest, const uint8_t *codes,
                    double *margins)
{
    const struct mill__tree *tree = forest->trees.at;
    bool single = forest->margin_count == 1, wide = forest->sums_f64;
    double sum64 = margins[0];
    float sum32 = (float)margins[0];
    for (uint32_t t = 0; t < forest->trees.n; t += N, tree += N) {
        uint32_t n = forest->trees.n - t < N ? forest->trees.n - t : N;
        const uint8_t *at[N];
        for (uint32_t k = 0; k < N; k++) {
            at[k] = hop->nodes + (size_t)hop->roots[t + k] * NODE_BYTES;
        }
        walk(at, deepest(tree, n), codes, 0);
        for (uint32_t k = 0; k < n; k++) {
            size_t leaf = (size_t)(at[k] - hop->nodes) / NODE_BYTES;
            if (single && wide) {
                sum64 += hop->values64[leaf];
            } else if (single) {
                sum32 += hop->values32[leaf];
            } else if (wide) {
                margins[tree[k].output] += hop->values64[leaf];
            } else {
                double *margin = &margins[tree[k].output];
                *margin = (double)((float)*margin + hop->values32[leaf]);
            }
        }
    }
    if (single) {
        margins[0] = wide ? sum64 : (double)sum32;
    }
}

/* Sums of n rows, a multiple of N, whose codes are there: output k of row r at k * 64 + r. */
static void run_tile(const struct mill__hop *hop, const struct mill__forest *forest, const uint8_t *codes, uint32_t n,
                     float *sums32, double *sums64)
{
    for (uint32_t t = 0; t < forest->trees.n; t++) {
        const struct mill__tree *tree = &forest->trees.at[t];
        size_t to = (size_t)tree->output * MILL__TILE_ROWS;
        for (uint32_t r = 0; r < n; r += N) {
            const uint8_t *at[N];
            for (uint32_t k = 0; k < N; k++) {
                at[k] = hop->nodes + (size_t)hop->roots[t] * NODE_BYTES;
            }
            walk(at, tree->depth, codes + (size_t)r * MILL__HOP_ROW_BYTES, MILL__HOP_ROW_BYTES);
            for (uint32_t k = 0; k < N; k++) {
                size_t leaf = (size_t)(at[k] - hop->nodes) / NODE_BYTES;
                if (forest->sums_f64) {
                    sums64[to + r + k] += hop->values64[leaf];
                } else {
                    sums32[to + r + k] += hop->values32[leaf];
                }
            }
        }
    }
}

void mill__hop_rows(const struct mill__tables *tables, const struct mill__forest *forest,
                    const struct mill__coder *coder, const void *values, size_t stride, uint32_t n, double *margins,
                    void *scratch)
{
    const struct mill__hop *hop = &tables->ranks->hop;
    struct mill__code_rows at = mill__code_rows(tables, forest, coder, values, stride, n, margins, scratch);
    uint32_t tiled = n / N * N;
    if (tiled > 0) {
        run_tile(hop, forest, at.codes, tiled, at.sums32, at.sums64);
        mill__deliver_sums(forest, tiled, at.sums32, at.sums64, margins);
    }
    for (uint32_t r = tiled; r < n; r++) {
        run_row(hop, forest, at.codes + (size_t)r * MILL__HOP_ROW_BYTES, margins + (size_t)r * forest->margin_count);
    }
}

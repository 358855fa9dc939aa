/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Complete trees: those of at most 8 levels are filled up where that costs little; below a leaf every test goes left.
 * Then no node names its children. As a heap, one byte for the place of the code and one for the rank, they are
 * walked with one addition a level (heap.c); as slots of 64 trees, children before parents, every node is evaluated
 * and chooses between what its children chose (scan_vbmi.c).
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "inference/kernel/rank_internal.h"

enum { LANES = MILL__SCAN_LANES };

/* Numbers the inner nodes of a complete tree so that children stand before their parent. */
static uint32_t number_nodes(uint32_t heap, uint32_t inner, uint32_t next, uint16_t *number)
{
    if (heap >= inner) {
        return next;
    }
    next = number_nodes(2 * heap + 1, inner, next, number);
    next = number_nodes(2 * heap + 2, inner, next, number);
    number[heap] = (uint16_t)next;
    return next + 1;
}

/* The nodes of one complete tree: which node of the tree stands at each place, ~leaf for a leaf and what is below it.
 */
static void fill_up(const struct mill__forest *forest, const struct mill__tree *tree, uint32_t depth, int32_t *at)
{
    uint32_t inner = (UINT32_C(1) << depth) - 1;
    at[0] = tree->leaf_count > 1 ? 0 : ~0;
    for (uint32_t i = 0; i < inner; i++) {
        const struct mill__node *node = at[i] < 0 ? NULL : &forest->nodes.at[tree->node_begin + (uint32_t)at[i]];
        at[2 * i + 1] = node == NULL ? at[i] : node->left;
        at[2 * i + 2] = node == NULL ? at[i] : node->right;
    }
}

static void put_heap(struct mill__ranks *ranks, const struct mill__tree *tree, const int32_t *at, uint8_t *heap)
{
    for (uint32_t i = 0; i < (UINT32_C(1) << ranks->perfect.depth) - 1; i++) {
        const struct mill__rank_test *test = at[i] < 0 ? NULL : &ranks->tests[tree->node_begin + (uint32_t)at[i]];
        heap[2 * i + 2] = test == NULL ? 0 : (uint8_t)mill__code_place(ranks, test);
        heap[2 * i + 3] = test == NULL ? 255 : test->rank;
    }
}

static void put_slots(struct mill__ranks *ranks, const struct mill__tree *tree, const int32_t *at,
                      const uint16_t *number, uint8_t *slots)
{
    for (uint32_t i = 0; i < (UINT32_C(1) << ranks->perfect.depth) - 1; i++) {
        const struct mill__rank_test *test = at[i] < 0 ? NULL : &ranks->tests[tree->node_begin + (uint32_t)at[i]];
        uint8_t *slot = slots + (size_t)number[i] * 2 * LANES;
        uint32_t bump = test == NULL ? 0 : (uint32_t)test->bump << ranks->bump_bit;
        slot[0] = test == NULL ? 0 : (uint8_t)(test->column | bump);
        slot[LANES] = test == NULL ? 255 : test->rank;
    }
}

static void put_values(struct mill__ranks *ranks, const struct mill__forest *forest, const struct mill__tree *tree,
                       const int32_t *leaf, size_t value_begin)
{
    for (uint32_t l = 0; l < UINT32_C(1) << ranks->perfect.depth; l++) {
        double value = forest->leaves.at[tree->leaf_begin + (uint32_t)~leaf[l]];
        if (forest->sums_f64) {
            ranks->perfect.values64[value_begin + l] = value;
        } else {
            ranks->perfect.values32[value_begin + l] = (float)value;
        }
    }
}

static void allocate(struct mill__ranks *ranks, const struct mill__forest *forest, uint32_t depth, bool has_slots)
{
    struct mill__perfect *perfect = &ranks->perfect;
    size_t trees = (forest->trees.n + MILL__HEAP_TREES - 1) / MILL__HEAP_TREES * MILL__HEAP_TREES;
    size_t leaves = (size_t)forest->trees.n << depth, heap_bytes = trees * 2 << depth;
    size_t slot_bytes = ((size_t)forest->trees.n + LANES - 1) / LANES * 2 * LANES << depth;
    perfect->depth = depth;
    perfect->heap = mill__lines(heap_bytes);
    memset(perfect->heap, 0, heap_bytes);
    if (has_slots) {
        perfect->slots = mill__lines(slot_bytes);
        memset(perfect->slots, 0, slot_bytes);
    }
    if (forest->sums_f64) {
        perfect->values64 = mill__lines(leaves * sizeof(double));
    } else {
        perfect->values32 = mill__lines(leaves * sizeof(float));
    }
    ranks->bytes +=
        heap_bytes + (has_slots ? slot_bytes : 0) + leaves * (forest->sums_f64 ? sizeof(double) : sizeof(float));
}

void mill__perfect_build(struct mill__ranks *ranks, const struct mill__forest *forest)
{
    uint32_t depth = forest->depth_max;
    if (!mill__adds_numbers(forest) || depth < 2 || depth > MILL__PERFECT_DEPTH_MAX || !mill__codes_fit_row(ranks) ||
        ranks->column_count > MILL__SCAN_COLUMNS_MAX) {
        return;
    }
    /* Not where filling up costs more than it can win. */
    if ((size_t)forest->trees.n << depth > 4 * (size_t)forest->leaves.n + 256) {
        return;
    }
    bool has_slots = mill__has_avx512vbmi();
    int32_t at[1 << (MILL__PERFECT_DEPTH_MAX + 1)];
    uint16_t number[1 << MILL__PERFECT_DEPTH_MAX];
    number_nodes(0, (UINT32_C(1) << depth) - 1, 0, number);
    allocate(ranks, forest, depth, has_slots);
    for (uint32_t t = 0; t < forest->trees.n; t++) {
        const struct mill__tree *tree = &forest->trees.at[t];
        fill_up(forest, tree, depth, at);
        put_heap(ranks, tree, at, ranks->perfect.heap + ((size_t)t * 2 << depth));
        if (has_slots) {
            put_slots(ranks, tree, at, number,
                      ranks->perfect.slots + ((size_t)(t / LANES) * 2 * LANES << depth) + t % LANES);
        }
        put_values(ranks, forest, tree, at + ((UINT32_C(1) << depth) - 1), (size_t)t << depth);
    }
}

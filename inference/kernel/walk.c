/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walk: the tables of the portable kernel.
 *
 * Each tree becomes nodes in breadth-first order, so that the right child stands behind the left one and a step is
 * left + !(value <= threshold): no branch. What depends on missing values and sets is decided before, once a row: a
 * node names a cell, and cells are values already turned so that the plain comparison comes out right
 * (kernel_internal.h). A leaf points to itself and compares the constant cell with +inf, so that walking on from it
 * changes nothing.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "inference/kernel/kernel_internal.h"

static enum mill__cell_kind kind_of(const struct mill__node *node)
{
    if (node->flags & MILL__SET) {
        return MILL__CELL_SET;
    }
    if (node->flags & MILL__NEVER) {
        return MILL__CELL_MISSING;
    }
    if (node->flags & MILL__ZERO_MISSING) {
        return node->flags & MILL__NAN_LEFT ? MILL__CELL_ZERO_LEFT : MILL__CELL_ZERO_VALUE;
    }
    return node->flags & MILL__NAN_LEFT ? MILL__CELL_LEFT : MILL__CELL_VALUE;
}

/* Sets, and numbers that never pass, compare a cell of 0 or 1 with this. */
static double threshold_of(const struct mill__node *node)
{
    if (node->flags & MILL__SET) {
        return 0.5;
    }
    if (node->flags & MILL__NEVER) {
        return node->flags & MILL__NAN_LEFT ? 0.5 : -1;
    }
    return node->test.threshold;
}

struct cell_key {
    uint32_t kind, used, set, node;
};

static int compare_keys(const void *a, const void *b)
{
    const struct cell_key *x = a, *y = b;
    if (x->kind != y->kind) {
        return x->kind < y->kind ? -1 : 1;
    }
    if (x->used != y->used) {
        return x->used < y->used ? -1 : 1;
    }
    return (x->set > y->set) - (x->set < y->set);
}

/* Cells by kind; for kinds without sets there are few, so they come from a table of (kind, used feature). cell_of[node]
 * gets the cell of each node. */
static void make_cells(struct mill__tables *tables, const struct mill__forest *forest, uint32_t *cell_of)
{
    struct mill__walk *walk = &tables->walk;
    uint32_t plain_count = tables->used_count * MILL__CELL_KINDS;
    uint32_t *plain = mill_malloc(((size_t)plain_count + 1) * sizeof(*plain));
    memset(plain, 0xff, (size_t)plain_count * sizeof(*plain));
    struct cell_key *keys = mill_malloc(((size_t)forest->nodes.n + 1) * sizeof(*keys));
    uint32_t n = 0;
    for (uint32_t i = 0; i < forest->nodes.n; i++) {
        const struct mill__node *node = &forest->nodes.at[i];
        uint32_t used = mill__used_index(tables, node->feature), kind = kind_of(node);
        uint32_t *known = &plain[used * MILL__CELL_KINDS + kind];
        if (kind == MILL__CELL_SET || *known == UINT32_MAX) {
            *known = n;
            keys[n] = (struct cell_key){kind, used, kind == MILL__CELL_SET ? node->test.set : 0, n};
            n++;
        }
        cell_of[i] = *known;
    }
    /* Sorting moves the cells; place[] says where to. */
    uint32_t *place = mill_malloc(((size_t)n + 1) * sizeof(*place));
    qsort(keys, n, sizeof(*keys), compare_keys);
    walk->cells = mill_malloc(((size_t)n + 1) * sizeof(*walk->cells));
    walk->cell_count = n;
    for (uint32_t c = 0; c < n; c++) {
        place[keys[c].node] = c;
        walk->cells[c] = (struct mill__cell){keys[c].used, keys[c].set};
        walk->cell_begin[keys[c].kind + 1] = c + 1;
    }
    for (uint32_t kind = 0; kind < MILL__CELL_KINDS; kind++) {
        if (walk->cell_begin[kind + 1] < walk->cell_begin[kind]) {
            walk->cell_begin[kind + 1] = walk->cell_begin[kind];
        }
    }
    for (uint32_t i = 0; i < forest->nodes.n; i++) {
        cell_of[i] = place[cell_of[i]];
    }
    free(place);
    free(keys);
    free(plain);
}

static void put_node(struct mill__walk *walk, size_t at, double threshold, uint32_t cell, uint32_t left)
{
    if (walk->wide) {
        walk->nodes64[at] = (struct mill__walk_node64){threshold, cell, left};
    } else {
        walk->nodes32[at] = (struct mill__walk_node32){(float)threshold, (uint16_t)cell, (uint16_t)left};
    }
}

/* A tree in breadth-first order from `begin` on; queue has room for all its nodes and leaves. */
static void put_tree(const struct mill__forest *forest, struct mill__walk *walk, const struct mill__tree *tree,
                     const uint32_t *cell_of, uint32_t begin, int32_t *queue)
{
    uint32_t tail = 0;
    queue[tail++] = tree->leaf_count > 1 ? 0 : ~0;
    for (uint32_t i = 0; i < tail; i++) {
        if (queue[i] >= 0) {
            uint32_t index = tree->node_begin + (uint32_t)queue[i];
            const struct mill__node *node = &forest->nodes.at[index];
            put_node(walk, begin + i, threshold_of(node), cell_of[index], tail);
            queue[tail++] = node->left;
            queue[tail++] = node->right;
            continue;
        }
        uint32_t leaf = tree->leaf_begin + (uint32_t)~queue[i];
        put_node(walk, begin + i, (double)INFINITY, walk->cell_count, i);
        if (walk->leaf_of != NULL) {
            walk->leaf_of[begin + i] = leaf;
        } else if (forest->sums_f64) {
            ((double *)walk->values)[begin + i] = forest->leaves.at[leaf];
        } else {
            ((float *)walk->values)[begin + i] = (float)forest->leaves.at[leaf];
        }
    }
}

/* Narrow nodes count within a tree by 16 bits. */
static bool needs_wide(const struct mill__forest *forest, const struct mill__walk *walk)
{
    bool wide = forest->cells_f64 || walk->cell_count >= UINT16_MAX;
    for (uint32_t t = 0; t < forest->trees.n; t++) {
        wide |= forest->trees.at[t].leaf_count > UINT16_MAX / 2;
    }
    return wide;
}

static size_t padded(size_t n)
{
    return (n + 63) / 64 * 64 + 64;
}

static void allocate(struct mill__tables *tables, const struct mill__forest *forest, size_t node_count)
{
    struct mill__walk *walk = &tables->walk;
    size_t sizes[3] = {node_count * (walk->wide ? sizeof(struct mill__walk_node64) : sizeof(struct mill__walk_node32)),
                       0, 0};
    bool by_leaf = forest->vector_size > 1 || forest->linear_leaves.n > 0 || forest->combine == MILL__MIN ||
                   forest->combine == MILL__MAX;
    if (walk->wide) {
        walk->nodes64 = mill_malloc(padded(sizes[0]));
    } else {
        walk->nodes32 = mill_malloc(padded(sizes[0]));
    }
    if (by_leaf) {
        sizes[1] = node_count * sizeof(uint32_t);
        walk->leaf_of = mill_calloc(1, padded(sizes[1]));
    } else {
        sizes[1] = node_count * (forest->sums_f64 ? sizeof(double) : sizeof(float));
        walk->values = mill_calloc(1, padded(sizes[1]));
    }
    sizes[2] = (size_t)walk->group_count * (MILL__WALK_TREES + 1) * sizeof(uint32_t);
    walk->roots = mill_calloc((size_t)walk->group_count * MILL__WALK_TREES + 1, sizeof(uint32_t));
    walk->steps = mill_calloc((size_t)walk->group_count + 1, sizeof(uint32_t));
    tables->bytes += sizes[0] + sizes[1] + sizes[2];
}

void mill__walk_build(struct mill__tables *tables, const struct mill__forest *forest)
{
    struct mill__walk *walk = &tables->walk;
    uint32_t *cell_of = mill_malloc(((size_t)forest->nodes.n + 1) * sizeof(*cell_of));
    make_cells(tables, forest, cell_of);
    walk->wide = needs_wide(forest, walk);
    walk->group_count = (forest->trees.n + MILL__WALK_TREES - 1) / MILL__WALK_TREES;
    /* Node 0 is the empty tree that fills the last group. */
    size_t node_count = 1;
    uint32_t largest = 1;
    for (uint32_t t = 0; t < forest->trees.n; t++) {
        uint32_t n = 2 * forest->trees.at[t].leaf_count - 1;
        node_count += n;
        largest = n > largest ? n : largest;
    }
    mill_assert(node_count < UINT32_MAX);
    allocate(tables, forest, node_count);
    int32_t *queue = mill_malloc(((size_t)largest + 2) * sizeof(*queue));
    put_node(walk, 0, (double)INFINITY, walk->cell_count, 0);
    uint32_t begin = 1;
    for (uint32_t t = 0; t < forest->trees.n; t++) {
        const struct mill__tree *tree = &forest->trees.at[t];
        uint32_t *steps = &walk->steps[t / MILL__WALK_TREES];
        walk->roots[t] = begin;
        *steps = tree->depth > *steps ? tree->depth : *steps;
        put_tree(forest, walk, tree, cell_of, begin, queue);
        begin += 2 * tree->leaf_count - 1;
    }
    free(queue);
    free(cell_of);
}

void mill__walk_clear(struct mill__walk *walk)
{
    free(walk->cells);
    free(walk->nodes32);
    free(walk->nodes64);
    free(walk->values);
    free(walk->leaf_of);
    free(walk->roots);
    free(walk->steps);
}

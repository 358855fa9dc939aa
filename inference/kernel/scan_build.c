/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scan: 64 trees side by side, one byte lane each.
 *
 * Slot s holds the s-th node in pre-order of every tree of the group. A lane keeps the first leaf of the subtree it is
 * in: a node is on the path exactly where that is the node's own first leaf, and going right moves it to the first leaf
 * of the right subtree; after the last slot it is the leaf the row ends in. Trees of at most 8 levels may also be
 * filled up to complete ones, whose nodes are all evaluated and then chosen from, bottom to top.
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "inference/kernel/rank_internal.h"

enum { LANES = MILL__SCAN_LANES, SLOT_BYTES = 4 * LANES, PERFECT_DEPTH_MAX = 8 };

static void *aligned(size_t n)
{
    void *p = NULL;
    mill_assert(posix_memalign(&p, 64, (n + 127) / 64 * 64) == 0);
    return p;
}

/* The columns that the group's trees test, ascending, as marks in place[]: UINT8_MAX stays for those not used. */
static uint32_t pick_columns(const struct mill__ranks *ranks, const struct mill__forest *forest, uint32_t first,
                             uint32_t count, uint8_t *place, uint16_t *picks)
{
    uint32_t n = 0;
    memset(place, 0, ranks->column_count);
    for (uint32_t t = first; t < first + count; t++) {
        const struct mill__tree *tree = &forest->trees.at[t];
        for (uint32_t i = 0; i + 1 < tree->leaf_count; i++) {
            place[ranks->tests[tree->node_begin + i].column] = 1;
        }
    }
    for (uint32_t c = 0; c < ranks->column_count; c++) {
        if (place[c] != 0) {
            if (n < MILL__SCAN_COLUMNS_MAX) {
                picks[n] = (uint16_t)c;
                place[c] = (uint8_t)n;
            }
            n++;
        }
    }
    return n;
}

/* first[i]: the first leaf below node i. Children stand behind their parents. */
static void first_leaves(const struct mill__forest *forest, const struct mill__tree *tree, uint8_t *first)
{
    for (uint32_t i = tree->leaf_count - 1; i-- > 0;) {
        int32_t left = forest->nodes.at[tree->node_begin + i].left;
        first[i] = left < 0 ? (uint8_t)~left : first[left];
    }
}

static void put_scan_tree(struct mill__ranks *ranks, const struct mill__forest *forest, const struct mill__tree *tree,
                          uint8_t *slots, uint32_t lane, const uint8_t *place)
{
    uint8_t first[MILL__SCAN_LEAVES_MAX];
    first_leaves(forest, tree, first);
    for (uint32_t i = 0; i + 1 < tree->leaf_count; i++) {
        const struct mill__node *node = &forest->nodes.at[tree->node_begin + i];
        const struct mill__rank_test *test = &ranks->tests[tree->node_begin + i];
        uint8_t *slot = slots + (size_t)i * SLOT_BYTES + lane;
        slot[0] = (uint8_t)(place[test->column] | test->bump << 7);
        slot[LANES] = test->rank;
        slot[2 * LANES] = first[i];
        slot[3 * LANES] = node->right < 0 ? (uint8_t)~node->right : first[node->right];
    }
}

static bool all_small(const struct mill__forest *forest)
{
    for (uint32_t t = 0; t < forest->trees.n; t++) {
        if (forest->trees.at[t].leaf_count > MILL__SCAN_LEAVES_MAX) {
            return false;
        }
    }
    return forest->vector_size == 1 && forest->linear_leaves.n == 0 &&
           (forest->combine == MILL__SUM || forest->combine == MILL__AVERAGE);
}

/* Slots of each group; false where the tables would outgrow the trees by far (one large tree among small ones). */
static bool size_groups(struct mill__ranks *ranks, const struct mill__forest *forest, size_t *ret_slots)
{
    size_t total = 0;
    ranks->group_count = (forest->trees.n + LANES - 1) / LANES;
    ranks->groups = mill_calloc(ranks->group_count, sizeof(*ranks->groups));
    for (uint32_t t = 0; t < forest->trees.n; t++) {
        struct mill__scan_group *group = &ranks->groups[t / LANES];
        uint32_t n = forest->trees.at[t].leaf_count - 1;
        group->slot_count = n > group->slot_count ? n : group->slot_count;
    }
    for (uint32_t g = 0; g < ranks->group_count; g++) {
        ranks->groups[g].slot_begin = (uint32_t)total;
        total += ranks->groups[g].slot_count;
    }
    *ret_slots = total;
    return total * SLOT_BYTES <= (size_t)forest->nodes.n * 16 + 65536;
}

static bool build_scan(struct mill__ranks *ranks, const struct mill__forest *forest)
{
    size_t slot_total = 0;
    if (!size_groups(ranks, forest, &slot_total)) {
        return false;
    }
    bool whole = ranks->column_count <= MILL__SCAN_COLUMNS_MAX;
    uint8_t *place = mill_malloc(ranks->column_count);
    uint16_t picks[MILL__SCAN_COLUMNS_MAX];
    MILL__VECTOR(uint16_t) all_picks = {0};
    ranks->slots = aligned(slot_total * SLOT_BYTES);
    bool fits = true;
    for (uint32_t g = 0; g < ranks->group_count && fits; g++) {
        struct mill__scan_group *group = &ranks->groups[g];
        uint8_t *slots = ranks->slots + (size_t)group->slot_begin * SLOT_BYTES;
        uint32_t first = g * LANES, count = forest->trees.n - first < LANES ? forest->trees.n - first : LANES;
        /* Slots that a tree does not fill: rank 255 lets nothing go right. */
        for (uint32_t s = 0; s < group->slot_count; s++) {
            memset(slots + (size_t)s * SLOT_BYTES, 0, SLOT_BYTES);
            memset(slots + (size_t)s * SLOT_BYTES + LANES, 255, LANES);
        }
        if (whole) {
            for (uint32_t c = 0; c < ranks->column_count; c++) {
                place[c] = (uint8_t)c;
            }
        } else {
            uint32_t n = pick_columns(ranks, forest, first, count, place, picks);
            fits = n <= MILL__SCAN_COLUMNS_MAX;
            group->pick_begin = all_picks.n;
            group->pick_count = fits ? n : 0;
            for (uint32_t i = 0; i < group->pick_count; i++) {
                mill__push(&all_picks, picks[i]);
            }
        }
        for (uint32_t k = 0; k < count && fits; k++) {
            put_scan_tree(ranks, forest, &forest->trees.at[first + k], slots, k, place);
        }
    }
    ranks->picks = all_picks.at;
    free(place);
    return fits;
}

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

/* Node `heap` of the complete tree is canonical node `at`, or what lies below a leaf (~at), where every test goes left.
 */
static void put_perfect(struct mill__ranks *ranks, const struct mill__forest *forest, const struct mill__tree *tree,
                        uint8_t *slots, uint32_t lane, size_t value_begin, const uint16_t *number)
{
    int32_t at[1 << (PERFECT_DEPTH_MAX + 1)];
    uint32_t inner = (UINT32_C(1) << ranks->perfect.depth) - 1;
    at[0] = tree->leaf_count > 1 ? 0 : ~0;
    for (uint32_t heap = 0; heap < inner; heap++) {
        uint8_t *slot = slots + (size_t)number[heap] * 2 * LANES + lane;
        if (at[heap] < 0) {
            slot[0] = 0;
            slot[LANES] = 255;
            at[2 * heap + 1] = at[2 * heap + 2] = at[heap];
            continue;
        }
        const struct mill__node *node = &forest->nodes.at[tree->node_begin + (uint32_t)at[heap]];
        const struct mill__rank_test *test = &ranks->tests[tree->node_begin + (uint32_t)at[heap]];
        slot[0] = (uint8_t)(test->column | test->bump << 7);
        slot[LANES] = test->rank;
        at[2 * heap + 1] = node->left;
        at[2 * heap + 2] = node->right;
    }
    for (uint32_t l = 0; l <= inner; l++) {
        double value = forest->leaves.at[tree->leaf_begin + (uint32_t)~at[inner + l]];
        if (forest->sums_f64) {
            ranks->perfect.values64[value_begin + l] = value;
        } else {
            ranks->perfect.values32[value_begin + l] = (float)value;
        }
    }
}

static void build_perfect(struct mill__ranks *ranks, const struct mill__forest *forest)
{
    uint32_t depth = forest->depth_max;
    if (depth < 2 || depth > PERFECT_DEPTH_MAX || ranks->column_count > MILL__SCAN_COLUMNS_MAX) {
        return;
    }
    size_t group_bytes = ((size_t)2 * LANES) << depth, leaves = (size_t)forest->trees.n << depth;
    /* Not where filling up costs more than it can win. */
    if (leaves > 4 * (size_t)forest->leaves.n + 256 ||
        ranks->group_count * group_bytes > (size_t)forest->nodes.n * 16 + 65536) {
        return;
    }
    struct mill__perfect *perfect = &ranks->perfect;
    uint16_t number[1 << PERFECT_DEPTH_MAX];
    number_nodes(0, (UINT32_C(1) << depth) - 1, 0, number);
    perfect->depth = depth;
    perfect->slots = aligned(ranks->group_count * group_bytes);
    memset(perfect->slots, 0, ranks->group_count * group_bytes);
    if (forest->sums_f64) {
        perfect->values64 = aligned(leaves * sizeof(double));
    } else {
        perfect->values32 = aligned(leaves * sizeof(float));
    }
    for (uint32_t t = 0; t < forest->trees.n; t++) {
        put_perfect(ranks, forest, &forest->trees.at[t], perfect->slots + (t / LANES) * group_bytes, t % LANES,
                    (size_t)t << depth, number);
    }
}

static uint16_t block_child(int32_t child)
{
    return child < 0 ? (uint16_t)~child : (uint16_t)(256 + child);
}

static void build_block(struct mill__ranks *ranks, const struct mill__forest *forest)
{
    ranks->block = mill_malloc(((size_t)forest->nodes.n + 1) * sizeof(*ranks->block));
    for (uint32_t t = 0; t < forest->trees.n; t++) {
        const struct mill__tree *tree = &forest->trees.at[t];
        uint32_t inner = tree->leaf_count - 1;
        for (uint32_t i = 0; i < inner; i++) {
            const struct mill__node *node = &forest->nodes.at[tree->node_begin + i];
            const struct mill__rank_test *test = &ranks->tests[tree->node_begin + i];
            ranks->block[tree->node_begin + inner - 1 - i] =
                (struct mill__block_node){(uint16_t)(test->column + (test->bump ? ranks->column_count : 0)), test->rank,
                                          block_child(node->left), block_child(node->right)};
        }
    }
}

void mill__scan_build(struct mill__ranks *ranks, const struct mill__forest *forest)
{
    ranks->blocks = all_small(forest);
    ranks->scans = ranks->blocks && build_scan(ranks, forest);
    if (ranks->blocks) {
        build_block(ranks, forest);
    }
    if (!forest->sums_f64) {
        ranks->leaves32 = aligned(((size_t)forest->leaves.n + 256) * sizeof(float));
        for (uint32_t l = 0; l < forest->leaves.n + 256; l++) {
            ranks->leaves32[l] = l < forest->leaves.n ? (float)forest->leaves.at[l] : 0;
        }
    }
    if (ranks->scans) {
        build_perfect(ranks, forest);
    }
    size_t slots = 0;
    for (uint32_t g = 0; ranks->scans && g < ranks->group_count; g++) {
        slots += ranks->groups[g].slot_count;
    }
    size_t perfect = (size_t)(ranks->perfect.depth > 0) << ranks->perfect.depth;
    ranks->bytes = slots * SLOT_BYTES + (uint64_t)forest->nodes.n * (sizeof(*ranks->tests) + sizeof(*ranks->block)) +
                   (uint64_t)forest->leaves.n * sizeof(float) +
                   perfect * (ranks->group_count * 2 * LANES +
                              forest->trees.n * (forest->sums_f64 ? sizeof(double) : sizeof(float)));
}

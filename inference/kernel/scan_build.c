/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scan: 64 trees side by side, one byte lane each.
 *
 * Slot s holds the s-th node in pre-order of every tree of the group. A lane keeps the first leaf of the subtree it is
 * in: a node is on the path exactly where that is the node's own first leaf, and going right moves it to the first leaf
 * of the right subtree; after the last slot it is the leaf the row ends in.
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "inference/kernel/rank_internal.h"

enum { LANES = MILL__SCAN_LANES, SLOT_BYTES = 4 * LANES };

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
        slot[0] = (uint8_t)(place[test->column] | test->bump << ranks->bump_bit);
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
    return mill__adds_numbers(forest);
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
    ranks->slots = mill__lines(slot_total * SLOT_BYTES);
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
    ranks->bump_bit = ranks->column_count <= 64 ? 6 : 7;
    ranks->blocks = mill__has_avx2() && all_small(forest);
    ranks->scans = ranks->blocks && build_scan(ranks, forest);
    if (ranks->blocks) {
        build_block(ranks, forest);
    }
    if (!forest->sums_f64) {
        ranks->leaves32 = mill__lines(((size_t)forest->leaves.n + 256) * sizeof(float));
        for (uint32_t l = 0; l < forest->leaves.n + 256; l++) {
            ranks->leaves32[l] = l < forest->leaves.n ? (float)forest->leaves.at[l] : 0;
        }
    }
    size_t slots = 0;
    for (uint32_t g = 0; ranks->scans && g < ranks->group_count; g++) {
        slots += ranks->groups[g].slot_count;
    }
    ranks->bytes += slots * SLOT_BYTES + (uint64_t)forest->nodes.n * (sizeof(*ranks->tests) + sizeof(*ranks->block)) +
                    (uint64_t)forest->leaves.n * sizeof(float);
}

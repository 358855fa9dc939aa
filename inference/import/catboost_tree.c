/* SPDX-License-Identifier: Apache-2.0 */
/* Trees of CatBoost models: oblivious ones become complete trees whose leaves stand in the file's order, nested ones
 * are taken as they are. */
#include <math.h>

#include "inference/import/catboost_internal.h"

enum { OBLIVIOUS_DEPTH_MAX = 24 };

/* {"split_type": "FloatFeature", "float_feature_index": i, "border": b} */
static int read_split(struct mill__cat *x, struct mill__raw_node *node)
{
    struct mill_slice key, text;
    int64_t feature = -1;
    double border = (double)NAN;
    int more = 0;
    MILL_TRY(mill__document_enter_object(&x->d));
    while ((more = mill__document_next_key(&x->d, &key)) > 0) {
        if (mill_slice_is(key, "split_type")) {
            MILL_TRY(mill__document_string(&x->d, &text));
            if (!mill_slice_is(text, "FloatFeature")) {
                return mill_fail(x->d.err, MILL_EDATA, "a split of type '%.*s', only FloatFeature is supported",
                                 (int)(text.n < 40 ? text.n : 40), text.p);
            }
        } else if (mill_slice_is(key, "float_feature_index")) {
            MILL_TRY(mill__document_int(&x->d, &feature));
        } else if (mill_slice_is(key, "border")) {
            MILL_TRY(mill__document_double(&x->d, &border));
        } else {
            MILL_TRY(mill__document_skip(&x->d));
        }
    }
    MILL_TRY(more);
    if (feature < 0 || feature >= x->features.n) {
        return mill_fail(x->d.err, MILL_EDATA, "a split on float feature %lld of %u", (long long)feature,
                         x->features.n);
    }
    node->is_leaf = false;
    node->feature = (uint32_t)x->features.at[feature].flat;
    node->value = (double)(float)border; /* borders are floats; the file writes their digits as doubles */
    node->flags = x->features.at[feature].nan_left ? MILL__NAN_LEFT : 0;
    return 0;
}

static int add_tree(struct mill__cat *x, uint32_t root, bool has_covers)
{
    struct mill__raw_tree raw = {
        .nodes = x->raw.at, .node_count = x->raw.n, .root = root, .vectors = x->values.at, .has_covers = has_covers};
    x->covers_missing |= !has_covers;
    return mill__forest_add_tree(x->forest, &x->builder, &raw, x->d.err);
}

/* The splits of an oblivious tree to one raw node each, in the file's order. */
static int read_splits(struct mill__cat *x)
{
    int more = 0;
    MILL_TRY(mill__document_enter_array(&x->d));
    while ((more = mill__document_next_element(&x->d)) > 0) {
        struct mill__raw_node node = {0};
        if (x->raw.n == OBLIVIOUS_DEPTH_MAX) {
            return mill_fail(x->d.err, MILL_EDATA, "more than %d splits", OBLIVIOUS_DEPTH_MAX);
        }
        MILL_TRY(read_split(x, &node));
        mill__push(&x->raw, node);
    }
    return more;
}

/* Raw nodes of a complete tree in heap order: the test of level l is split depth - 1 - l, so that the last split is the
 * highest bit of a leaf's number and leaves come out in order. */
static void expand(struct mill__cat *x, uint32_t depth, bool has_covers)
{
    struct mill__raw_node splits[OBLIVIOUS_DEPTH_MAX];
    uint32_t inner = (UINT32_C(1) << depth) - 1;
    for (uint32_t i = 0; i < depth; i++) {
        splits[i] = x->raw.at[i];
    }
    x->raw.n = 0;
    for (uint32_t level = 0; level < depth; level++) {
        for (uint32_t i = 0; i < UINT32_C(1) << level; i++) {
            struct mill__raw_node node = splits[depth - 1 - level];
            node.left = 2 * x->raw.n + 1;
            node.right = 2 * x->raw.n + 2;
            mill__push(&x->raw, node);
        }
    }
    for (uint32_t l = 0; l <= inner; l++) {
        struct mill__raw_node leaf = {.is_leaf = true, .leaf_row = l};
        leaf.value = x->values.at[x->forest->vector_size == 1 ? l : 0];
        leaf.cover = has_covers ? (float)x->weights.at[l] : 0;
        mill__push(&x->raw, leaf);
    }
    for (uint32_t i = inner; has_covers && i-- > 0;) {
        x->raw.at[i].cover = x->raw.at[x->raw.at[i].left].cover + x->raw.at[x->raw.at[i].right].cover;
    }
}

int mill__cat_oblivious_tree(struct mill__cat *x)
{
    struct mill_slice key;
    int more = 0;
    x->raw.n = x->values.n = x->weights.n = 0;
    MILL_TRY(mill__document_enter_object(&x->d));
    while ((more = mill__document_next_key(&x->d, &key)) > 0) {
        if (mill_slice_is(key, "splits") && x->raw.n == 0) {
            MILL_TRY(mill__document_peek(&x->d) == MILL__VALUE_NULL ? mill__document_skip(&x->d) : read_splits(x));
        } else if (mill_slice_is(key, "leaf_values") && x->values.n > 0) {
            return mill_fail(x->d.err, MILL_EDATA, "'leaf_values' stands twice");
        } else if (mill_slice_is(key, "leaf_values")) {
            MILL_TRY(mill__document_doubles(&x->d, &x->values));
        } else if (mill_slice_is(key, "leaf_weights")) {
            MILL_TRY(mill__document_doubles(&x->d, &x->weights));
        } else {
            MILL_TRY(mill__document_skip(&x->d));
        }
    }
    MILL_TRY(more);
    uint32_t depth = x->raw.n;
    uint64_t expected = (UINT64_C(1) << depth) * x->forest->vector_size;
    if (x->values.n != expected) {
        return mill_fail(x->d.err, MILL_EDATA, "%u leaf values for %u splits, expected %llu", x->values.n, depth,
                         (unsigned long long)expected);
    }
    /* Leaves of a complete tree are cheap to write and dear to hold: no more than eight times the file. */
    size_t bytes = (size_t)(x->d.json.end - x->d.json.begin);
    uint64_t leaves = x->forest->leaves.n / x->forest->vector_size + (UINT64_C(1) << depth);
    if (leaves > 8192 + bytes / 15) {
        return mill_fail(x->d.err, MILL_EDATA, "%llu leaves in %zu bytes, expected at least 15 bytes a leaf",
                         (unsigned long long)leaves, bytes);
    }
    bool has_covers = x->weights.n == UINT32_C(1) << depth;
    expand(x, depth, has_covers);
    return add_tree(x, 0, has_covers);
}

/* A leaf's "value": a number, or one for each dimension. */
static int read_value(struct mill__cat *x, struct mill__raw_node *node)
{
    uint32_t size = x->forest->vector_size;
    node->leaf_row = x->values.n / size;
    node->is_leaf = true;
    if (mill__document_peek(&x->d) != MILL__VALUE_ARRAY) {
        MILL_TRY(mill__document_double(&x->d, &node->value));
        mill__push(&x->values, node->value);
    } else {
        int more = 0;
        MILL_TRY(mill__document_enter_array(&x->d));
        while ((more = mill__document_next_element(&x->d)) > 0) {
            MILL_TRY(mill__document_double(&x->d, &node->value));
            mill__push(&x->values, node->value);
        }
        MILL_TRY(more);
    }
    if (x->values.n != (node->leaf_row + 1) * size) {
        return mill_fail(x->d.err, MILL_EDATA, "a leaf has %u values, expected %u", x->values.n - node->leaf_row * size,
                         size);
    }
    return 0;
}

/* What a nested node was found to have; it stands on a stack until its object ends. */
struct open_node {
    uint32_t index;
    bool has_left, has_right, has_split, has_value;
};

static int close_node(struct mill__cat *x, const struct open_node *open)
{
    struct mill__raw_node *node = &x->raw.at[open->index];
    bool inner = open->has_left && open->has_right && open->has_split && !open->has_value;
    bool leaf = open->has_value && !open->has_left && !open->has_right && !open->has_split;
    if (!inner && !leaf) {
        return mill_fail(x->d.err, MILL_EDATA, "node %u has neither split, left and right nor a value alone",
                         open->index);
    }
    if (inner) {
        node->is_leaf = false;
        node->cover = x->raw.at[node->left].cover + x->raw.at[node->right].cover;
    }
    return 0;
}

/* One member of the innermost open node; a child is opened on the stack. */
static int read_member(struct mill__cat *x, struct mill_slice key, struct open_node *stack, uint32_t *depth)
{
    struct open_node *open = &stack[*depth - 1];
    bool left = mill_slice_is(key, "left");
    if (left || mill_slice_is(key, "right")) {
        if ((left ? open->has_left : open->has_right) || *depth == MILL_JSON_DEPTH_MAX) {
            return mill_fail(x->d.err, MILL_EDATA, "node %u: a child stands twice or too deep", open->index);
        }
        MILL_TRY(mill__document_enter_object(&x->d));
        struct mill__raw_node child = {.is_leaf = true};
        *(left ? &open->has_left : &open->has_right) = true;
        *(left ? &x->raw.at[open->index].left : &x->raw.at[open->index].right) = x->raw.n;
        stack[(*depth)++] = (struct open_node){.index = x->raw.n};
        mill__push(&x->raw, child);
        return 0;
    }
    if (mill_slice_is(key, "split")) {
        open->has_split = true;
        return read_split(x, &x->raw.at[open->index]);
    }
    if (mill_slice_is(key, "value")) {
        if (open->has_value) {
            return mill_fail(x->d.err, MILL_EDATA, "node %u: 'value' stands twice", open->index);
        }
        open->has_value = true;
        return read_value(x, &x->raw.at[open->index]);
    }
    if (mill_slice_is(key, "weight")) {
        double weight = 0;
        MILL_TRY(mill__document_double(&x->d, &weight));
        x->raw.at[open->index].cover = (float)weight;
        return 0;
    }
    return mill__document_skip(&x->d);
}

int mill__cat_nested_tree(struct mill__cat *x)
{
    struct open_node stack[MILL_JSON_DEPTH_MAX] = {{0}};
    struct mill_slice key;
    uint32_t depth = 1;
    x->raw.n = x->values.n = 0;
    mill__push(&x->raw, (struct mill__raw_node){.is_leaf = true});
    MILL_TRY(mill__document_enter_object(&x->d));
    while (depth > 0) {
        int more = mill__document_next_key(&x->d, &key);
        MILL_TRY(more);
        if (more == 0) {
            MILL_TRY(close_node(x, &stack[--depth]));
        } else {
            MILL_TRY(read_member(x, key, stack, &depth));
        }
    }
    return add_tree(x, 0, true);
}

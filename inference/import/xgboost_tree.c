/* SPDX-License-Identifier: Apache-2.0 */
/* One tree of an XGBoost document: its parallel arrays into raw nodes. */
#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/number.h"
#include "inference/import/xgboost_internal.h"

void mill__xgb_tree_clear(struct mill__xgb_tree *tree)
{
    free(tree->left.at);
    free(tree->right.at);
    free(tree->feature.at);
    free(tree->default_left.at);
    free(tree->split_type.at);
    free(tree->categories.at);
    free(tree->category_nodes.at);
    free(tree->category_begins.at);
    free(tree->category_sizes.at);
    free(tree->condition.at);
    free(tree->hessian.at);
    free(tree->weights.at);
}

static void reset_tree(struct mill__xgb_tree *t, size_t byte_begin)
{
    t->left.n = t->right.n = t->feature.n = t->default_left.n = t->split_type.n = 0;
    t->categories.n = t->category_nodes.n = t->category_begins.n = t->category_sizes.n = 0;
    t->condition.n = t->hessian.n = t->weights.n = 0;
    t->node_count = -1;
    t->seen = 0;
    t->vector_size = 1;
    t->has_leaf_weights = t->has_base_weights = false;
    t->byte_begin = byte_begin;
}

static int read_tree_param(struct mill__xgb *x)
{
    struct mill_slice key, text;
    int more = 0;
    MILL_TRY(mill__document_enter_object(&x->d));
    while ((more = mill__document_next_key(&x->d, &key)) > 0) {
        int64_t *to = mill_slice_is(key, "num_nodes")          ? &x->tree.node_count
                      : mill_slice_is(key, "size_leaf_vector") ? &x->tree.vector_size
                                                               : NULL;
        if (to == NULL) {
            MILL_TRY(mill__document_skip(&x->d));
            continue;
        }
        MILL_TRY(mill__document_string(&x->d, &text));
        const char *end = text.p + text.n;
        if (mill_number_parse_int64(text.p, end, to) != end || *to < 0 || *to > INT32_MAX) {
            return mill_fail(x->d.err, MILL_EDATA, "tree_param has the count '%.*s'", (int)(text.n < 40 ? text.n : 40),
                             text.p);
        }
    }
    return more;
}

static int read_member(struct mill__xgb *x, struct mill_slice key)
{
    struct mill__xgb_tree *t = &x->tree;
    const struct {
        const char *name;
        mill__ints *ints;
        mill__floats *floats;
    } arrays[] = {
        {"left_children", &t->left, NULL},
        {"right_children", &t->right, NULL},
        {"split_indices", &t->feature, NULL},
        {"split_conditions", NULL, &t->condition},
        {"default_left", &t->default_left, NULL},
        {"split_type", &t->split_type, NULL},
        {"sum_hessian", NULL, &t->hessian},
        {"categories", &t->categories, NULL},
        {"categories_nodes", &t->category_nodes, NULL},
        {"categories_segments", &t->category_begins, NULL},
        {"categories_sizes", &t->category_sizes, NULL},
        {"leaf_weights", NULL, &t->weights},
    };
    for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
        if (mill_slice_is(key, arrays[i].name)) {
            if (t->seen >> i & 1) {
                return mill_fail(x->d.err, MILL_EDATA, "'%s' stands twice", arrays[i].name);
            }
            t->seen |= UINT32_C(1) << i;
            t->has_leaf_weights |= arrays[i].floats == &t->weights;
            return arrays[i].ints != NULL ? mill__document_ints(&x->d, arrays[i].ints)
                                          : mill__document_floats(&x->d, arrays[i].floats);
        }
    }
    if (mill_slice_is(key, "tree_param")) {
        return read_tree_param(x);
    }
    if (mill_slice_is(key, "base_weights")) {
        t->has_base_weights = true;
        t->weights_at = x->d;
    }
    return mill__document_skip(&x->d);
}

static int check_lengths(struct mill__xgb *x)
{
    const struct mill__xgb_tree *t = &x->tree;
    const struct {
        const char *name;
        uint32_t n;
        bool optional;
    } lengths[] = {
        {"left_children", t->left.n, false},        {"right_children", t->right.n, false},
        {"split_indices", t->feature.n, false},     {"split_conditions", t->condition.n, false},
        {"default_left", t->default_left.n, false}, {"split_type", t->split_type.n, true},
        {"sum_hessian", t->hessian.n, true},
    };
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        if (lengths[i].n != t->node_count && !(lengths[i].optional && lengths[i].n == 0)) {
            return mill_fail(x->d.err, MILL_EDATA, "%s has %u entries, expected num_nodes, %lld", lengths[i].name,
                             lengths[i].n, (long long)t->node_count);
        }
    }
    /* Three arrays of at least a byte each bound the nodes by the file already; this keeps the memory that reading a
     * tree takes within eight times its bytes. Real trees have 17 bytes a node or more. */
    size_t bytes = mill__document_offset(&x->d) - t->byte_begin;
    if (t->node_count > 4096 && bytes / 12 < (size_t)t->node_count) {
        return mill_fail(x->d.err, MILL_EDATA, "%lld nodes in %zu bytes, expected at least 12 bytes a node",
                         (long long)t->node_count, bytes);
    }
    return 0;
}

/* Bits where they are dense, else the members one by one: a few bytes may name category 16777215, whose bitmap would
 * take 2 MiB. */
static void store_members(struct mill__forest *forest, struct mill__set *set, int32_t *members, uint32_t n)
{
    uint32_t word_count = n == 0 ? 0 : (uint32_t)members[n - 1] / 32 + 1;
    set->listed = word_count > 2 * n + 8;
    if (set->listed) {
        set->begin = forest->set_numbers.n;
        set->count = n;
        for (uint32_t i = 0; i < n; i++) {
            mill__push(&forest->set_numbers, members[i]);
        }
        return;
    }
    set->begin = forest->set_words.n;
    set->count = word_count;
    for (uint32_t i = 0; i < word_count; i++) {
        mill__push(&forest->set_words, 0);
    }
    for (uint32_t i = 0; i < n; i++) {
        forest->set_words.at[set->begin + (uint32_t)members[i] / 32] |= UINT32_C(1) << (members[i] % 32);
    }
}

static int compare_ints(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* The set of a categorical node: entry k of the category arrays. */
static int add_set(struct mill__xgb *x, uint32_t k, uint32_t *ret_set)
{
    struct mill__xgb_tree *t = &x->tree;
    int64_t begin = t->category_begins.at[k], size = t->category_sizes.at[k];
    if (begin < 0 || size < 0 || begin + size > t->categories.n) {
        return mill_fail(x->d.err, MILL_EDATA, "node %d has categories %lld to %lld of %u", t->category_nodes.at[k],
                         (long long)begin, (long long)(begin + size), t->categories.n);
    }
    int32_t none = 0, *members = size == 0 ? &none : t->categories.at + begin;
    for (int64_t i = 0; i < size; i++) {
        if (members[i] < 0 || members[i] >= 16777216) {
            return mill_fail(x->d.err, MILL_EDATA, "node %d has the category %d, expected 0 to 16777215",
                             t->category_nodes.at[k], members[i]);
        }
    }
    if (size > 1) {
        qsort(members, (size_t)size, sizeof(*members), compare_ints);
    }
    struct mill__set set = {.kind = MILL__SET_XGBOOST};
    store_members(x->forest, &set, members, (uint32_t)size);
    *ret_set = x->forest->sets.n;
    mill__push(&x->forest->sets, set);
    return 0;
}

static int fill_sets(struct mill__xgb *x)
{
    struct mill__xgb_tree *t = &x->tree;
    if (t->category_nodes.n != t->category_begins.n || t->category_nodes.n != t->category_sizes.n) {
        return mill_fail(x->d.err, MILL_EDATA, "the arrays of categorical nodes have different lengths");
    }
    for (uint32_t k = 0; k < t->category_nodes.n; k++) {
        int32_t node = t->category_nodes.at[k];
        if (node < 0 || node >= t->node_count || x->raw.at[node].is_leaf || (x->raw.at[node].flags & MILL__SET) == 0 ||
            x->raw.at[node].set != UINT32_MAX) {
            return mill_fail(x->d.err, MILL_EDATA, "categories are given for node %d, which is not categorical", node);
        }
        MILL_TRY(add_set(x, k, &x->raw.at[node].set));
        x->forest->sets.at[x->raw.at[node].set].nan_left = (x->raw.at[node].flags & MILL__NAN_LEFT) != 0;
    }
    for (uint32_t i = 0; i < t->node_count; i++) {
        if (!x->raw.at[i].is_leaf && (x->raw.at[i].flags & MILL__SET) && x->raw.at[i].set == UINT32_MAX) {
            return mill_fail(x->d.err, MILL_EDATA, "node %u is categorical but has no categories", i);
        }
    }
    return 0;
}

static int fill_inner(struct mill__xgb *x, uint32_t i, struct mill__raw_node *node)
{
    const struct mill__xgb_tree *t = &x->tree;
    /* The trainer never looks at right children: it goes to left + 1. */
    if (t->right.at[i] != (int64_t)t->left.at[i] + 1) {
        return mill_fail(x->d.err, MILL_EDATA, "node %u has the children %d and %d, expected neighbours", i,
                         t->left.at[i], t->right.at[i]);
    }
    if (t->feature.at[i] < 0) {
        return mill_fail(x->d.err, MILL_EDATA, "node %u tests feature %d", i, t->feature.at[i]);
    }
    node->feature = (uint32_t)t->feature.at[i];
    node->flags = t->default_left.at[i] != 0 ? MILL__NAN_LEFT : 0;
    if (t->split_type.n > 0 && t->split_type.at[i] > 1) {
        return mill_fail(x->d.err, MILL_EDATA, "node %u has the split type %d, expected 0 or 1", i,
                         t->split_type.at[i]);
    }
    if (t->split_type.n > 0 && t->split_type.at[i] == 1) {
        node->flags |= MILL__SET;
        node->set = UINT32_MAX;
        return 0;
    }
    /* x < t is x <= the float before t. */
    float threshold = t->condition.at[i];
    node->value = (double)nextafterf(threshold, -INFINITY);
    if (threshold == -INFINITY) {
        node->flags |= MILL__NEVER;
    }
    return 0;
}

/* Weights of vector leaves: a row per leaf number (3.2 and later) or per node. */
static int fill_vectors(struct mill__xgb *x)
{
    struct mill__xgb_tree *t = &x->tree;
    uint32_t size = x->forest->vector_size;
    if (!t->has_leaf_weights) {
        if (!t->has_base_weights) {
            return mill_fail(x->d.err, MILL_EDATA, "vector leaves without leaf_weights or base_weights");
        }
        struct mill__document here = x->d;
        x->d = t->weights_at;
        int rc = mill__document_floats(&x->d, &t->weights);
        x->d = here;
        MILL_TRY(rc);
    }
    x->vectors.n = 0;
    for (uint32_t i = 0; i < t->weights.n; i++) {
        mill__push(&x->vectors, (double)t->weights.at[i]);
    }
    for (uint32_t i = 0; i < t->node_count; i++) {
        struct mill__raw_node *node = &x->raw.at[i];
        if (!node->is_leaf) {
            continue;
        }
        node->leaf_row = t->has_leaf_weights ? (uint32_t)t->right.at[i] : i;
        if (node->leaf_row >= t->weights.n / size) {
            return mill_fail(x->d.err, MILL_EDATA, "node %u is leaf %d of %u", i, (int)node->leaf_row,
                             t->weights.n / size);
        }
    }
    return 0;
}

/* A tree with the leaf weight w of dart: each leaf value times w, in float as the trainer multiplies. */
static void weigh(struct mill__xgb *x, uint32_t index)
{
    float w = index < x->weight_drop.n ? x->weight_drop.at[index] : 1.0f;
    if (w == 1.0f) {
        return;
    }
    for (uint32_t i = 0; i < x->raw.n; i++) {
        if (x->raw.at[i].is_leaf) {
            x->raw.at[i].value = (double)((float)x->raw.at[i].value * w);
        }
    }
    for (uint32_t i = 0; i < x->vectors.n; i++) {
        x->vectors.at[i] = (double)((float)x->vectors.at[i] * w);
    }
}

static int fill_raw(struct mill__xgb *x)
{
    const struct mill__xgb_tree *t = &x->tree;
    x->raw.n = 0;
    for (uint32_t i = 0; i < t->node_count; i++) {
        struct mill__raw_node node = {
            .is_leaf = t->left.at[i] == -1, .left = (uint32_t)t->left.at[i], .right = (uint32_t)t->right.at[i]};
        node.cover = t->hessian.n > 0 ? t->hessian.at[i] : 0;
        if (node.is_leaf) {
            node.value = (double)t->condition.at[i];
        } else {
            MILL_TRY(fill_inner(x, i, &node));
        }
        mill__push(&x->raw, node);
    }
    return 0;
}

/* size_leaf_vector is 0 or 1 for single leaves; all trees of a model agree. */
static int check_vector_size(struct mill__xgb *x, uint32_t index)
{
    struct mill__forest *forest = x->forest;
    uint32_t size = x->tree.vector_size < 2 ? 1 : (uint32_t)x->tree.vector_size;
    if (index == 0 && size == forest->margin_count) {
        forest->vector_size = size;
    }
    if (size != forest->vector_size) {
        return mill_fail(x->d.err, MILL_EDATA, "leaves of %u values in a model of %u outputs, expected %u", size,
                         forest->margin_count, forest->vector_size);
    }
    return 0;
}

int mill__xgb_read_tree(struct mill__xgb *x, uint32_t index)
{
    struct mill_slice key;
    int more = 0;
    reset_tree(&x->tree, mill__document_offset(&x->d));
    MILL_TRY(mill__document_enter_object(&x->d));
    while ((more = mill__document_next_key(&x->d, &key)) > 0) {
        MILL_TRY(read_member(x, key));
    }
    MILL_TRY(more);
    if (x->tree.node_count < 1) {
        return mill_fail(x->d.err, MILL_EDATA, "tree_param.num_nodes is missing or 0");
    }
    MILL_TRY(check_lengths(x));
    MILL_TRY(check_vector_size(x, index));
    MILL_TRY(fill_raw(x));
    MILL_TRY(fill_sets(x));
    x->vectors.n = 0;
    if (x->forest->vector_size > 1) {
        MILL_TRY(fill_vectors(x));
    }
    weigh(x, index);
    int32_t output = index < x->tree_info.n ? x->tree_info.at[index] : 0;
    if (x->forest->vector_size > 1) {
        output = 0;
    }
    struct mill__raw_tree raw = {.nodes = x->raw.at,
                                 .node_count = x->raw.n,
                                 .output = (uint32_t)output,
                                 .vectors = x->vectors.at,
                                 .has_covers = x->tree.hessian.n > 0};
    x->covers_missing += !raw.has_covers;
    return mill__forest_add_tree(x->forest, &x->builder, &raw, x->d.err);
}

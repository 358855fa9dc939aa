/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ONNX: TreeEnsembleClassifier and TreeEnsembleRegressor, versions 1 and 3: parallel arrays of nodes named by (tree,
 * node), weights of leaves named the same way. All trees stand in one array of raw nodes.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "inference/import/onnx_internal.h"

struct ensemble {
    struct mill__onnx *x;
    mill__ints tree, node, feature, if_true, if_false, nan_true;
    mill__ints weight_tree, weight_node, weight_target;
    MILL__VECTOR(uint8_t) mode;
    uint32_t *order; /* of the nodes, by (tree, node) */
    uint32_t *leaf_of_weight;
    uint32_t leaf_count, target_count;
};

static void clear(struct ensemble *e)
{
    free(e->tree.at);
    free(e->node.at);
    free(e->feature.at);
    free(e->if_true.at);
    free(e->if_false.at);
    free(e->nan_true.at);
    free(e->weight_tree.at);
    free(e->weight_node.at);
    free(e->weight_target.at);
    free(e->mode.at);
    free(e->order);
    free(e->leaf_of_weight);
}

static int read_modes(struct ensemble *e)
{
    static const char *const modes[] = {"BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE",
                                        "BRANCH_GT",  "BRANCH_EQ", "BRANCH_NEQ"};
    struct mill_slice message;
    if (!mill__onnx_find(e->x->ensemble, "nodes_modes", &message)) {
        return mill_fail(e->x->err, MILL_EDATA, "'nodes_modes' is missing");
    }
    struct mill__pb pb = mill__pb_open(message);
    while (mill__pb_next(&pb)) {
        if (pb.field != 9 || pb.wire != 2) {
            continue;
        }
        uint8_t mode = mill_slice_is(pb.bytes, "LEAF") ? 255 : 254;
        for (uint8_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
            mode = mill_slice_is(pb.bytes, modes[i]) ? i : mode;
        }
        if (mode == 254) {
            return mill_fail(e->x->err, MILL_EDATA, "node %u has the mode '%.*s', which is not known", e->mode.n,
                             (int)(pb.bytes.n < 40 ? pb.bytes.n : 40), pb.bytes.p);
        }
        mill__push(&e->mode, mode);
    }
    return pb.at.bad ? mill_fail(e->x->err, MILL_EDATA, "'nodes_modes' is malformed") : 0;
}

static int read_arrays(struct ensemble *e)
{
    struct mill__onnx *x = e->x;
    const char *prefix = x->is_classifier ? "class" : "target";
    char name[32];
    const struct {
        const char *name;
        mill__ints *to;
    } ints[] = {
        {"nodes_treeids", &e->tree},          {"nodes_nodeids", &e->node},
        {"nodes_featureids", &e->feature},    {"nodes_truenodeids", &e->if_true},
        {"nodes_falsenodeids", &e->if_false}, {"nodes_missing_value_tracks_true", &e->nan_true},
    };
    for (size_t i = 0; i < sizeof(ints) / sizeof(ints[0]); i++) {
        MILL_TRY(mill__onnx_ints(x, x->ensemble, ints[i].name, ints[i].to));
    }
    snprintf(name, sizeof(name), "%s_treeids", prefix);
    MILL_TRY(mill__onnx_ints(x, x->ensemble, name, &e->weight_tree));
    snprintf(name, sizeof(name), "%s_nodeids", prefix);
    MILL_TRY(mill__onnx_ints(x, x->ensemble, name, &e->weight_node));
    snprintf(name, sizeof(name), "%s_ids", prefix);
    MILL_TRY(mill__onnx_ints(x, x->ensemble, name, &e->weight_target));
    snprintf(name, sizeof(name), "%s_weights", prefix);
    MILL_TRY(mill__onnx_floats(x, x->ensemble, name, &x->weights, &x->forest->sums_f64));
    MILL_TRY(mill__onnx_floats(x, x->ensemble, "nodes_values", &x->splits, &x->forest->cells_f64));
    MILL_TRY(mill__onnx_floats(x, x->ensemble, "base_values", &x->base, NULL));
    MILL_TRY(read_modes(e));
    uint32_t n = e->tree.n;
    if (n == 0 || e->node.n != n || e->feature.n != n || e->if_true.n != n || e->if_false.n != n || x->splits.n != n ||
        e->mode.n != n || (e->nan_true.n != n && e->nan_true.n != 0)) {
        return mill_fail(x->err, MILL_EDATA, "the arrays of nodes have different lengths");
    }
    n = x->weights.n;
    if (e->weight_tree.n != n || e->weight_node.n != n || e->weight_target.n != n) {
        return mill_fail(x->err, MILL_EDATA, "the arrays of weights have different lengths");
    }
    return 0;
}

static int compare_order(const void *a, const void *b, void *context)
{
    const struct ensemble *e = context;
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    if (e->tree.at[i] != e->tree.at[j]) {
        return e->tree.at[i] < e->tree.at[j] ? -1 : 1;
    }
    return (e->node.at[i] > e->node.at[j]) - (e->node.at[i] < e->node.at[j]);
}

/* The index of node (tree, node), or UINT32_MAX. */
static uint32_t find_node(const struct ensemble *e, int32_t tree, int32_t node)
{
    uint32_t low = 0, high = e->tree.n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2, i = e->order[middle];
        if (e->tree.at[i] < tree || (e->tree.at[i] == tree && e->node.at[i] < node)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == e->tree.n || e->tree.at[e->order[low]] != tree || e->node.at[e->order[low]] != node) {
        return UINT32_MAX;
    }
    return e->order[low];
}

static int sort_nodes(struct ensemble *e)
{
    e->order = mill_malloc((size_t)e->tree.n * sizeof(*e->order));
    bool sorted = true;
    for (uint32_t i = 0; i < e->tree.n; i++) {
        e->order[i] = i;
        sorted &= i == 0 || compare_order(&e->order[i - 1], &e->order[i], e) < 0;
    }
    if (!sorted) {
        qsort_r(e->order, e->tree.n, sizeof(*e->order), compare_order, e);
    }
    for (uint32_t i = 1; i < e->tree.n; i++) {
        if (compare_order(&e->order[i - 1], &e->order[i], e) == 0) {
            return mill_fail(e->x->err, MILL_EDATA, "tree %d has node %d twice", e->tree.at[e->order[i]],
                             e->node.at[e->order[i]]);
        }
    }
    return 0;
}

static int fill_node(struct ensemble *e, uint32_t i, struct mill__raw_node *node)
{
    struct mill__onnx *x = e->x;
    int32_t tree = e->tree.at[i];
    node->is_leaf = e->mode.at[i] == 255;
    if (node->is_leaf) {
        node->leaf_row = e->leaf_count++;
        return 0;
    }
    if (e->feature.at[i] < 0) {
        return mill_fail(x->err, MILL_EDATA, "tree %d, node %d tests feature %d", tree, e->node.at[i],
                         e->feature.at[i]);
    }
    node->feature = (uint32_t)e->feature.at[i];
    uint32_t if_true = find_node(e, tree, e->if_true.at[i]), if_false = find_node(e, tree, e->if_false.at[i]);
    if (if_true == UINT32_MAX || if_false == UINT32_MAX) {
        return mill_fail(x->err, MILL_EDATA, "tree %d, node %d has the children %d and %d, which are not there", tree,
                         e->node.at[i], e->if_true.at[i], e->if_false.at[i]);
    }
    return mill__onnx_test(x, e->mode.at[i], &x->splits.at[i], 1, e->nan_true.n > 0 && e->nan_true.at[i] != 0, if_true,
                           if_false, node);
}

/* Which leaf each weight belongs to; whether weights are all positive and all of one class. */
static int match_weights(struct ensemble *e)
{
    struct mill__onnx *x = e->x;
    e->leaf_of_weight = mill_malloc(((size_t)x->weights.n + 1) * sizeof(uint32_t));
    x->positive = true;
    x->has_target = mill_calloc(e->target_count, sizeof(*x->has_target));
    bool one = true;
    for (uint32_t i = 0; i < x->weights.n; i++) {
        uint32_t at = find_node(e, e->weight_tree.at[i], e->weight_node.at[i]);
        int32_t target = e->weight_target.at[i];
        if (at == UINT32_MAX || !x->raw.at[at].is_leaf) {
            return mill_fail(x->err, MILL_EDATA, "a weight is given for tree %d, node %d, which is no leaf",
                             e->weight_tree.at[i], e->weight_node.at[i]);
        }
        if (target < 0 || (uint32_t)target >= e->target_count) {
            return mill_fail(x->err, MILL_EDATA, "a weight of output %d, expected one below %u", target,
                             e->target_count);
        }
        one &= target == e->weight_target.at[0];
        x->has_target[target] = true;
        x->positive &= x->weights.at[i] >= 0;
        e->leaf_of_weight[i] = at;
    }
    x->one_id = x->is_classifier && e->target_count == 2 && one && x->weights.n > 0;
    x->one_class = x->one_id && e->weight_target.at[0] == 0;
    return 0;
}

/* Outputs for which some tree has a weight in every leaf, and whether all trees have weights of all outputs. `seen`:
 * per leaf and output where leaves are vectors, per leaf where each tree has one output (output_of_root). */
static void find_scored(struct ensemble *e, const uint8_t *seen, bool vectors, const int32_t *output_of_root)
{
    struct mill__onnx *x = e->x;
    uint32_t n = e->tree.n, outputs = vectors ? e->target_count : 1;
    for (uint32_t begin = 0, end = 0; begin < n; begin = end) {
        int32_t output = -1;
        for (end = begin; end < n && e->tree.at[e->order[end]] == e->tree.at[e->order[begin]]; end++) {
            output = output_of_root[e->order[end]] >= 0 ? output_of_root[e->order[end]] : output;
        }
        for (uint32_t k = 0; k < outputs; k++) {
            bool all = true;
            for (uint32_t i = begin; all && i < end; i++) {
                const struct mill__raw_node *node = &x->raw.at[e->order[i]];
                all = !node->is_leaf || seen[(size_t)node->leaf_row * outputs + k] != 0;
            }
            x->dense &= all && (vectors || e->target_count == 1);
            x->is_scored[vectors ? k : (uint32_t)output] |= all;
        }
    }
}

/* onnxruntime treats an output for which a row met no weight in ways of its own; whether that can happen. */
static int look_for_gaps(struct ensemble *e, bool vectors, const int32_t *output_of_root)
{
    struct mill__onnx *x = e->x;
    uint32_t outputs = vectors ? e->target_count : 1;
    if ((uint64_t)e->leaf_count * outputs > 4 * (uint64_t)x->weights.n + 4096) {
        return mill_fail(x->err, MILL_EDATA, "%u weights for %u leaves of %u outputs: too few to be stored densely",
                         x->weights.n, e->leaf_count, outputs);
    }
    uint8_t *seen = mill_calloc((size_t)e->leaf_count * outputs + 1, 1);
    for (uint32_t i = 0; i < x->weights.n; i++) {
        uint32_t row = x->raw.at[e->leaf_of_weight[i]].leaf_row;
        seen[(size_t)row * outputs + (vectors ? (uint32_t)e->weight_target.at[i] : 0)] = 1;
    }
    x->is_scored = mill_calloc(e->target_count, sizeof(*x->is_scored));
    x->dense = true;
    find_scored(e, seen, vectors, output_of_root);
    free(seen);
    return 0;
}

static void add_weight(const struct mill__forest *forest, double *to, double weight)
{
    *to = forest->sums_f64 ? *to + weight : (double)((float)*to + (float)weight);
}

static int place_weights(struct ensemble *e, bool vectors)
{
    struct mill__onnx *x = e->x;
    uint32_t size = x->forest->margin_count;
    if (vectors) {
        for (uint32_t i = 0; i < e->leaf_count * size; i++) {
            mill__push(&x->vectors, 0.0);
        }
    }
    for (uint32_t i = 0; i < x->weights.n; i++) {
        struct mill__raw_node *leaf = &x->raw.at[e->leaf_of_weight[i]];
        uint32_t target = x->one_class ? 0 : (uint32_t)e->weight_target.at[i];
        double *to = vectors ? &x->vectors.at[(size_t)leaf->leaf_row * size + target] : &leaf->value;
        add_weight(x->forest, to, x->weights.at[i]);
    }
    return 0;
}

/* Trees in the order in which their first nodes are listed; that node is the root. */
static int add_trees(struct ensemble *e, const int32_t *output_of_root)
{
    struct mill__onnx *x = e->x;
    for (uint32_t i = 0; i < e->tree.n; i++) {
        if (output_of_root[i] < 0) {
            continue;
        }
        struct mill__raw_tree raw = {.nodes = x->raw.at,
                                     .node_count = x->raw.n,
                                     .root = i,
                                     .output = x->forest->vector_size > 1 ? 0 : (uint32_t)output_of_root[i],
                                     .vectors = x->vectors.at,
                                     .shares_nodes = true};
        if (mill__forest_add_tree(x->forest, &x->builder, &raw, x->err) < 0) {
            mill_error_prefix(x->err, "tree %d", e->tree.at[i]);
            return MILL_EDATA;
        }
    }
    return 0;
}

/* For the first listed node of each tree the output of its weights (0 where it has none), for all others -1.
 * *ret_vectors where some tree has weights of several outputs. */
static int32_t *find_roots(struct ensemble *e, bool *ret_vectors)
{
    uint32_t n = e->tree.n;
    int32_t *output = mill_malloc((size_t)n * sizeof(*output));
    uint32_t *root_of = mill_malloc((size_t)n * sizeof(*root_of));
    for (uint32_t i = 0; i < n; i++) {
        output[i] = -1;
    }
    for (uint32_t begin = 0; begin < n;) {
        uint32_t end = begin, first = e->order[begin];
        while (end < n && e->tree.at[e->order[end]] == e->tree.at[first]) {
            end++;
        }
        for (uint32_t i = begin; i < end; i++) {
            first = e->order[i] < first ? e->order[i] : first;
        }
        for (uint32_t i = begin; i < end; i++) {
            root_of[e->order[i]] = first;
        }
        output[first] = -2;
        begin = end;
    }
    *ret_vectors = false;
    for (uint32_t i = 0; i < e->x->weights.n; i++) {
        int32_t *of = &output[root_of[e->leaf_of_weight[i]]], target = e->x->one_class ? 0 : e->weight_target.at[i];
        *ret_vectors |= *of >= 0 && *of != target;
        *of = target;
    }
    for (uint32_t i = 0; i < n; i++) {
        output[i] = output[i] == -2 ? 0 : output[i];
    }
    free(root_of);
    return output;
}

static int read_target_count(struct ensemble *e)
{
    struct mill__onnx *x = e->x;
    struct mill_slice message;
    int64_t count = 0;
    if (!x->is_classifier) {
        MILL_TRY(mill__onnx_int(x, x->ensemble, "n_targets", 1, &count));
    } else if (mill__onnx_find(x->ensemble, "classlabels_int64s", &message)) {
        MILL_TRY(mill__onnx_ints(x, x->ensemble, "classlabels_int64s", &x->labels));
        count = x->labels.n;
    } else if (mill__onnx_find(x->ensemble, "classlabels_strings", &message)) {
        struct mill__pb pb = mill__pb_open(message);
        while (mill__pb_next(&pb)) {
            count += pb.field == 9;
        }
    }
    if (count < 1 || count > MILL__OUTPUTS_MAX) {
        return mill_fail(x->err, MILL_EDATA, "%lld outputs, expected 1 to %d", (long long)count, MILL__OUTPUTS_MAX);
    }
    e->target_count = (uint32_t)count;
    return 0;
}

static int read_combine(struct ensemble *e)
{
    static const char *const names[] = {"SUM", "AVERAGE", "MIN", "MAX"};
    struct mill__onnx *x = e->x;
    struct mill_slice how = mill__onnx_text(x->ensemble, "aggregate_function");
    struct mill_slice transform = mill__onnx_text(x->ensemble, "post_transform");
    snprintf(x->transform, sizeof(x->transform), "%.*s", (int)(transform.n < 15 ? transform.n : 15),
             transform.n == 0 ? "" : transform.p);
    if (transform.n == 0) {
        snprintf(x->transform, sizeof(x->transform), "NONE");
    }
    for (unsigned i = 0; how.n > 0 && i < 4; i++) {
        if (mill_slice_is(how, names[i])) {
            x->forest->combine = (enum mill__combine)i;
            how.n = 0;
        }
    }
    if (how.n > 0) {
        return mill_fail(x->err, MILL_EDATA, "the aggregate_function '%.*s' is not known",
                         (int)(how.n < 40 ? how.n : 40), how.p);
    }
    return 0;
}

static int build(struct ensemble *e)
{
    struct mill__onnx *x = e->x;
    MILL_TRY(read_target_count(e));
    MILL_TRY(read_combine(e));
    MILL_TRY(read_arrays(e));
    MILL_TRY(sort_nodes(e));
    for (uint32_t i = 0; i < e->tree.n; i++) {
        struct mill__raw_node node = {0};
        MILL_TRY(fill_node(e, i, &node));
        mill__push(&x->raw, node);
    }
    MILL_TRY(match_weights(e));
    bool vectors = false;
    int32_t *roots = find_roots(e, &vectors);
    int rc = look_for_gaps(e, vectors, roots);
    if (rc == 0 && e->target_count > 1 && !x->dense && x->forest->combine >= MILL__MIN) {
        rc = mill_fail(x->err, MILL_EDATA, "MIN and MAX over several outputs that not every leaf has");
    }
    rc = rc < 0 ? rc : mill__onnx_outputs(x, e->target_count, vectors);
    rc = rc < 0 ? rc : place_weights(e, vectors);
    rc = rc < 0 ? rc : add_trees(e, roots);
    free(roots);
    return rc;
}

int mill__onnx_ensemble(struct mill__onnx *x)
{
    struct ensemble e = {.x = x};
    x->is_classifier = mill_slice_is(x->ensemble->op, "TreeEnsembleClassifier");
    x->forest->objective = mill__copy_text(x->ensemble->op);
    int rc = build(&e);
    clear(&e);
    return rc;
}

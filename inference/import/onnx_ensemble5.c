/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ONNX: TreeEnsemble (ai.onnx.ml 5): inner nodes and leaves in arrays of their own, roots listed, sets of BRANCH_MEMBER
 * one after the other in the order of their nodes, each ended by NaN. Raw nodes: inner ones first, then the leaves.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "inference/import/onnx_internal.h"

struct ensemble {
    struct mill__onnx *x;
    mill__ints feature, if_true, if_false, true_is_leaf, false_is_leaf, nan_true, roots, targets;
    mill__doubles modes;
    uint32_t member; /* of x->members: where the next set starts */
    int64_t target_count;
};

static void clear(struct ensemble *e)
{
    free(e->feature.at);
    free(e->if_true.at);
    free(e->if_false.at);
    free(e->true_is_leaf.at);
    free(e->false_is_leaf.at);
    free(e->nan_true.at);
    free(e->roots.at);
    free(e->targets.at);
    free(e->modes.at);
}

static int read_arrays(struct ensemble *e)
{
    struct mill__onnx *x = e->x;
    const struct {
        const char *name;
        mill__ints *to;
    } ints[] = {
        {"nodes_featureids", &e->feature},
        {"nodes_truenodeids", &e->if_true},
        {"nodes_falsenodeids", &e->if_false},
        {"nodes_trueleafs", &e->true_is_leaf},
        {"nodes_falseleafs", &e->false_is_leaf},
        {"nodes_missing_value_tracks_true", &e->nan_true},
        {"tree_roots", &e->roots},
        {"leaf_targetids", &e->targets},
    };
    for (size_t i = 0; i < sizeof(ints) / sizeof(ints[0]); i++) {
        MILL_TRY(mill__onnx_ints(x, x->ensemble, ints[i].name, ints[i].to));
    }
    MILL_TRY(mill__onnx_floats(x, x->ensemble, "nodes_modes", &e->modes, NULL));
    MILL_TRY(mill__onnx_floats(x, x->ensemble, "nodes_splits", &x->splits, &x->forest->cells_f64));
    MILL_TRY(mill__onnx_floats(x, x->ensemble, "leaf_weights", &x->weights, &x->forest->sums_f64));
    MILL_TRY(mill__onnx_floats(x, x->ensemble, "membership_values", &x->members, NULL));
    MILL_TRY(mill__onnx_int(x, x->ensemble, "n_targets", 1, &e->target_count));
    uint32_t n = e->feature.n;
    if (n == 0 || e->if_true.n != n || e->if_false.n != n || e->true_is_leaf.n != n || e->false_is_leaf.n != n ||
        e->modes.n != n || x->splits.n != n || (e->nan_true.n != n && e->nan_true.n != 0)) {
        return mill_fail(x->err, MILL_EDATA, "the arrays of nodes have different lengths");
    }
    if (e->targets.n != x->weights.n || e->targets.n == 0) {
        return mill_fail(x->err, MILL_EDATA, "leaf_targetids and leaf_weights have different lengths or none");
    }
    return 0;
}

static int child(struct ensemble *e, uint32_t i, int32_t at, bool is_leaf, uint32_t *ret_child)
{
    uint32_t count = is_leaf ? e->targets.n : e->feature.n;
    if (at < 0 || (uint32_t)at >= count) {
        return mill_fail(e->x->err, MILL_EDATA, "node %u has the %s %d of %u", i, is_leaf ? "leaf" : "child", at,
                         count);
    }
    *ret_child = is_leaf ? e->feature.n + (uint32_t)at : (uint32_t)at;
    return 0;
}

/* The next set of membership_values, without its NaN. */
static int next_members(struct ensemble *e, uint32_t i, uint32_t *ret_count)
{
    const mill__doubles *members = &e->x->members;
    uint32_t n = 0;
    while (e->member + n < members->n && !isnan(members->at[e->member + n])) {
        n++;
    }
    if (e->member + n >= members->n) {
        return mill_fail(e->x->err, MILL_EDATA, "node %u has no set left in membership_values", i);
    }
    *ret_count = n;
    return 0;
}

static int fill_node(struct ensemble *e, uint32_t i, struct mill__raw_node *node)
{
    struct mill__onnx *x = e->x;
    uint32_t if_true = 0, if_false = 0, mode = (uint32_t)e->modes.at[i], members = 1;
    const double *numbers = &x->splits.at[i];
    if (e->feature.at[i] < 0 || !(e->modes.at[i] >= 0 && e->modes.at[i] <= 6)) {
        return mill_fail(x->err, MILL_EDATA, "node %u has the feature %d and the mode %g", i, e->feature.at[i],
                         e->modes.at[i]);
    }
    MILL_TRY(child(e, i, e->if_true.at[i], e->true_is_leaf.at[i] != 0, &if_true));
    MILL_TRY(child(e, i, e->if_false.at[i], e->false_is_leaf.at[i] != 0, &if_false));
    if (if_true == if_false && if_true >= e->feature.n) {
        /* A tree that is one leaf is written as a node with the same leaf on both sides. */
        node->is_leaf = true;
        node->leaf_row = if_true - e->feature.n;
        return 0;
    }
    node->feature = (uint32_t)e->feature.at[i];
    if (mode == 6) {
        MILL_TRY(next_members(e, i, &members));
        numbers = &x->members.at[e->member];
        e->member += members + 1;
    }
    return mill__onnx_test(x, mode, numbers, members, e->nan_true.n > 0 && e->nan_true.at[i] != 0, if_true, if_false,
                           node);
}

static int fill_raw(struct ensemble *e)
{
    struct mill__onnx *x = e->x;
    for (uint32_t i = 0; i < e->feature.n; i++) {
        struct mill__raw_node node = {0};
        MILL_TRY(fill_node(e, i, &node));
        mill__push(&x->raw, node);
    }
    x->has_target = mill_calloc((size_t)e->target_count, sizeof(*x->has_target));
    for (uint32_t l = 0; l < e->targets.n; l++) {
        struct mill__raw_node leaf = {.is_leaf = true, .leaf_row = l};
        if (e->targets.at[l] < 0 || e->targets.at[l] >= e->target_count) {
            return mill_fail(x->err, MILL_EDATA, "leaf %u is of target %d, expected one below %lld", l,
                             e->targets.at[l], (long long)e->target_count);
        }
        x->has_target[e->targets.at[l]] = true;
        mill__push(&x->raw, leaf);
    }
    return 0;
}

/* A leaf has one target, but those of a tree may differ: then each leaf is a vector with one entry that is not 0. */
static int place_weights(struct ensemble *e)
{
    struct mill__onnx *x = e->x;
    uint32_t size = x->forest->vector_size;
    if ((uint64_t)e->targets.n * size > 16 * (uint64_t)e->targets.n + 4096) {
        return mill_fail(x->err, MILL_EDATA, "leaves of %u targets, at most 16 are supported", size);
    }
    for (uint32_t i = 0; size > 1 && i < e->targets.n * size; i++) {
        mill__push(&x->vectors, 0.0);
    }
    for (uint32_t l = 0; size > 1 && l < e->targets.n; l++) {
        x->vectors.at[(size_t)l * size + (uint32_t)e->targets.at[l]] = x->weights.at[l];
    }
    for (uint32_t i = 0; i < x->raw.n; i++) {
        if (x->raw.at[i].is_leaf) {
            x->raw.at[i].value = x->weights.at[x->raw.at[i].leaf_row];
        }
    }
    return 0;
}

static int read_how(struct ensemble *e)
{
    /* As onnxruntime numbers them; the specification has LOGISTIC and SOFTMAX the other way round. */
    static const char *const transforms[] = {"NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO", "PROBIT"};
    static const enum mill__combine combines[] = {MILL__AVERAGE, MILL__SUM, MILL__MIN, MILL__MAX};
    struct mill__onnx *x = e->x;
    int64_t how = 1, transform = 0;
    MILL_TRY(mill__onnx_int(x, x->ensemble, "aggregate_function", 1, &how));
    MILL_TRY(mill__onnx_int(x, x->ensemble, "post_transform", 0, &transform));
    if (how < 0 || how > 3 || transform < 0 || transform > 4) {
        return mill_fail(x->err, MILL_EDATA, "aggregate_function %lld or post_transform %lld is not known",
                         (long long)how, (long long)transform);
    }
    x->forest->combine = combines[how];
    snprintf(x->transform, sizeof(x->transform), "%s", transforms[transform]);
    bool many = e->target_count > 1 && (x->forest->combine == MILL__MIN || x->forest->combine == MILL__MAX);
    return many ? mill_fail(x->err, MILL_EDATA, "MIN and MAX over several outputs are not supported") : 0;
}

static int build(struct ensemble *e)
{
    struct mill__onnx *x = e->x;
    MILL_TRY(read_arrays(e));
    MILL_TRY(read_how(e));
    if (e->target_count < 1 || e->target_count > MILL__OUTPUTS_MAX) {
        return mill_fail(x->err, MILL_EDATA, "%lld targets", (long long)e->target_count);
    }
    MILL_TRY(fill_raw(e));
    MILL_TRY(mill__onnx_outputs(x, (uint32_t)e->target_count, e->target_count > 1));
    MILL_TRY(place_weights(e));
    for (uint32_t t = 0; t < e->roots.n; t++) {
        if (e->roots.at[t] < 0 || (uint32_t)e->roots.at[t] >= e->feature.n) {
            return mill_fail(x->err, MILL_EDATA, "tree %u has the root %d of %u", t, e->roots.at[t], e->feature.n);
        }
        struct mill__raw_tree raw = {.nodes = x->raw.at,
                                     .node_count = x->raw.n,
                                     .root = (uint32_t)e->roots.at[t],
                                     .vectors = x->vectors.at,
                                     .shares_nodes = true};
        if (mill__forest_add_tree(x->forest, &x->builder, &raw, x->err) < 0) {
            mill_error_prefix(x->err, "tree %u", t);
            return MILL_EDATA;
        }
    }
    return 0;
}

int mill__onnx_ensemble5(struct mill__onnx *x)
{
    struct ensemble e = {.x = x};
    x->forest->objective = mill__copy_text(x->ensemble->op);
    int rc = build(&e);
    clear(&e);
    return rc;
}

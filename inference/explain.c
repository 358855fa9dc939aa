/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Explain: what each feature contributed to each margin of a row, by TreeSHAP (S. Lundberg et al., "Consistent
 * Individualized Feature Attribution for Tree Ensembles", algorithm 2), in doubles. Contributions and the bias add up
 * to the margin. Also the path that a row takes through a tree.
 *
 * The recursion of the paper goes down both branches of every node with a list of the features met so far; here it is a
 * real recursion, bounded by the depth of trees (EXPLAIN_DEPTH_MAX), with one list for each level in one block.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "inference/model_internal.h"

enum { EXPLAIN_DEPTH_MAX = 512 };

/* A feature on the way from the root: the share of training rows that goes this way without it (zero) and with it (one:
 * 0 or 1), and the weight of the subsets of that size. */
struct element {
    int64_t feature;
    double zero, one, weight;
};

struct walk {
    const struct mill__forest *forest;
    const struct mill__tree *tree;
    const double *values; /* per feature */
    double *contributions;
    size_t feature_stride; /* contributions of feature f for output k at k * feature_stride + f */
};

static void extend(struct element *path, uint32_t depth, double zero, double one, int64_t feature)
{
    path[depth] = (struct element){feature, zero, one, depth == 0 ? 1.0 : 0.0};
    for (uint32_t i = depth; i-- > 0;) {
        path[i + 1].weight += one * path[i].weight * (i + 1) / (depth + 1);
        path[i].weight = zero * path[i].weight * (depth - i) / (depth + 1);
    }
}

static void unwind(struct element *path, uint32_t depth, uint32_t at)
{
    double one = path[at].one, zero = path[at].zero, next = path[depth].weight;
    for (uint32_t i = depth; i-- > 0;) {
        if (one != 0) {
            double held = path[i].weight;
            path[i].weight = next * (depth + 1) / ((i + 1) * one);
            next = held - path[i].weight * zero * (depth - i) / (depth + 1);
        } else {
            path[i].weight = path[i].weight * (depth + 1) / (zero * (depth - i));
        }
    }
    for (uint32_t i = at; i < depth; i++) {
        path[i].feature = path[i + 1].feature;
        path[i].zero = path[i + 1].zero;
        path[i].one = path[i + 1].one;
    }
}

/* The sum of weights as if the element were unwound. */
static double unwound_sum(const struct element *path, uint32_t depth, uint32_t at)
{
    double one = path[at].one, zero = path[at].zero, next = path[depth].weight, total = 0;
    for (uint32_t i = depth; i-- > 0;) {
        if (one != 0) {
            double weight = next * (depth + 1) / ((i + 1) * one);
            total += weight;
            next = path[i].weight - weight * zero * (depth - i) / (depth + 1);
        } else {
            total += path[i].weight * (depth + 1) / (zero * (depth - i));
        }
    }
    return total;
}

static double leaf_value(const struct walk *w, uint32_t leaf, uint32_t k)
{
    return w->forest->leaves.at[((size_t)w->tree->leaf_begin + leaf) * w->forest->vector_size + k];
}

static double cover_of(const struct walk *w, int32_t at)
{
    double cover = at < 0 ? (double)w->forest->leaf_covers.at[w->tree->leaf_begin + (uint32_t)~at]
                          : (double)w->forest->node_covers.at[w->tree->node_begin + (uint32_t)at];
    return cover > 0 ? cover : 1e-30; /* a node no training row came through */
}

static void add_leaf(const struct walk *w, const struct element *path, uint32_t depth, uint32_t leaf)
{
    const struct mill__forest *forest = w->forest;
    for (uint32_t i = 1; i <= depth; i++) {
        double share = unwound_sum(path, depth, i) * (path[i].one - path[i].zero);
        for (uint32_t k = 0; k < forest->vector_size; k++) {
            uint32_t output = forest->vector_size == 1 ? w->tree->output : k;
            w->contributions[output * w->feature_stride + (size_t)path[i].feature] += share * leaf_value(w, leaf, k);
        }
    }
}

/* path: a list for this level, of which `depth` elements are filled by the parent's; the next level's list follows. */
static void descend(const struct walk *w, int32_t at, const struct element *parent, uint32_t depth,
                    struct element *path, double zero, double one, int64_t feature)
{
    if (depth > 0) {
        memcpy(path, parent, depth * sizeof(*path));
    }
    extend(path, depth, zero, one, feature);
    if (at < 0) {
        add_leaf(w, path, depth, (uint32_t)~at);
        return;
    }
    const struct mill__node *node = &w->forest->nodes.at[w->tree->node_begin + (uint32_t)at];
    bool left = mill__node_goes_left(w->forest, node, w->values[node->feature]);
    int32_t hot = left ? node->left : node->right, cold = left ? node->right : node->left;
    double hot_share = cover_of(w, hot) / cover_of(w, at), cold_share = cover_of(w, cold) / cover_of(w, at);
    double in_zero = 1, in_one = 1;
    uint32_t i = 1;
    while (i <= depth && path[i].feature != node->feature) {
        i++;
    }
    uint32_t next_depth = depth + 1;
    if (i <= depth) {
        in_zero = path[i].zero;
        in_one = path[i].one;
        unwind(path, depth, i);
        next_depth = depth;
    }
    descend(w, hot, path, next_depth, path + depth + 2, hot_share * in_zero, in_one, node->feature);
    descend(w, cold, path, next_depth, path + depth + 2, cold_share * in_zero, 0, node->feature);
}

/* The mean of a tree's leaves over the training rows; leaves stand in order, so a subtree's mean comes from its own. */
static void add_means(const struct walk *w)
{
    const struct mill__forest *forest = w->forest;
    double total = 0;
    for (uint32_t l = 0; l < w->tree->leaf_count; l++) {
        total += cover_of(w, ~(int32_t)l);
    }
    for (uint32_t k = 0; k < forest->vector_size; k++) {
        double mean = 0;
        for (uint32_t l = 0; l < w->tree->leaf_count; l++) {
            mean += cover_of(w, ~(int32_t)l) / total * leaf_value(w, l, k);
        }
        uint32_t output = forest->vector_size == 1 ? w->tree->output : k;
        w->contributions[output * w->feature_stride + forest->feature_count] += mean;
    }
}

static int check_explainable(const struct mill__forest *forest, struct mill_error *err)
{
    if (forest->node_covers.n != forest->nodes.n || forest->leaf_covers.n * forest->vector_size != forest->leaves.n) {
        return mill_fail(err, MILL_EDATA,
                         "the model file does not say how many training rows went through each node, "
                         "which contributions need");
    }
    if (forest->linear_leaves.n > 0 || forest->combine == MILL__MIN || forest->combine == MILL__MAX) {
        return mill_fail(err, MILL_EDATA, "contributions are defined for sums of plain leaves only");
    }
    if (forest->depth_max > EXPLAIN_DEPTH_MAX) {
        return mill_fail(err, MILL_EDATA, "trees of depth %u, at most %d can be explained", forest->depth_max,
                         EXPLAIN_DEPTH_MAX);
    }
    return 0;
}

/* The row in the model's precision, as its nodes see it; feature_count values. */
static double *prepare_row(const struct mill_model *model, const double *row, size_t column_count)
{
    const struct mill__forest *forest = &model->forest;
    double *values = mill_malloc(((size_t)forest->feature_count + 1) * sizeof(*values));
    void *loaded = mill_malloc(mill__values_size(&model->tables, forest, 1) + 1);
    struct mill__rows rows = {.f64 = row, .stride = column_count, .column_count = column_count};
    size_t stride = 0;
    const void *from = mill__load_values(&model->tables, forest, &rows, 0, 1, loaded, &stride);
    for (uint32_t f = 0; f < forest->feature_count; f++) {
        values[f] = (double)NAN;
    }
    for (uint32_t u = 0; u < model->tables.used_count; u++) {
        values[model->tables.used[u]] =
            forest->cells_f64 ? ((const double *)from)[u] : (double)((const float *)from)[u];
    }
    free(loaded);
    return values;
}

int mill_model_explain(const struct mill_model *model, const double *row, size_t column_count, double *contributions,
                       struct mill_error *err)
{
    const struct mill__forest *forest = &model->forest;
    MILL_TRY(check_explainable(forest, err));
    size_t levels = forest->depth_max + 3;
    struct element *path = mill_malloc((levels + 1) * (levels + 2) * sizeof(*path));
    double *values = prepare_row(model, row, column_count);
    struct walk w = {.forest = forest,
                     .values = values,
                     .contributions = contributions,
                     .feature_stride = (size_t)forest->feature_count + 1};
    memset(contributions, 0, forest->margin_count * w.feature_stride * sizeof(*contributions));
    for (uint32_t t = 0; t < forest->trees.n; t++) {
        w.tree = &forest->trees.at[t];
        add_means(&w);
        if (w.tree->leaf_count > 1) {
            descend(&w, 0, NULL, 0, path, 1, 1, -1);
        }
    }
    for (uint32_t k = 0; k < forest->margin_count; k++) {
        double *of = contributions + k * w.feature_stride;
        double factor = forest->scale / (forest->combine == MILL__AVERAGE ? forest->trees.n : 1);
        for (uint32_t f = 0; factor != 1 && f <= forest->feature_count; f++) {
            of[f] *= factor;
        }
        of[forest->feature_count] += forest->base[k];
    }
    free(values);
    free(path);
    return 0;
}

uint32_t mill_model_path(const struct mill_model *model, const double *row, size_t column_count, uint32_t tree_index,
                         struct mill_model_step *steps, uint32_t step_max, double *ret_leaf)
{
    const struct mill__forest *forest = &model->forest;
    mill_assert(tree_index < forest->trees.n);
    const struct mill__tree *tree = &forest->trees.at[tree_index];
    double *values = prepare_row(model, row, column_count);
    int32_t at = tree->leaf_count > 1 ? 0 : ~0;
    uint32_t n = 0;
    while (at >= 0) {
        const struct mill__node *node = &forest->nodes.at[tree->node_begin + (uint32_t)at];
        bool left = mill__node_goes_left(forest, node, values[node->feature]);
        if (n < step_max) {
            steps[n] = (struct mill_model_step){.feature = node->feature,
                                                .value = values[node->feature],
                                                .is_set = (node->flags & MILL__SET) != 0,
                                                .threshold = node->flags & MILL__SET ? 0 : node->test.threshold,
                                                .left = left};
        }
        n++;
        at = left ? node->left : node->right;
    }
    *ret_leaf = forest->leaves.at[((size_t)tree->leaf_begin + (uint32_t)~at) * forest->vector_size];
    free(values);
    return n;
}

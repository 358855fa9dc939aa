/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX: tests of nodes, and what leaves the ensemble: outputs, base values, links as onnxruntime computes them. */
#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "inference/import/onnx_internal.h"

enum mode { LEQ, LT, GTE, GT, EQ, NEQ, MEMBER };

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* A set of exact numbers; members go left. */
static int add_set(struct mill__onnx *x, const double *numbers, uint32_t n, bool nan_left, uint32_t *ret_set)
{
    struct mill__forest *forest = x->forest;
    struct mill__set set = {.kind = MILL__SET_EXACT,
                            .nan_left = nan_left,
                            .members_left = true,
                            .listed = true,
                            .begin = forest->set_numbers.n,
                            .count = n};
    for (uint32_t i = 0; i < n; i++) {
        if (isnan(numbers[i])) {
            return mill_fail(x->err, MILL_EDATA, "a node compares with NaN");
        }
        mill__push(&forest->set_numbers, numbers[i]);
    }
    if (n > 1) {
        qsort(forest->set_numbers.at + set.begin, n, sizeof(double), compare_doubles);
    }
    *ret_set = forest->sets.n;
    mill__push(&forest->sets, set);
    return 0;
}

int mill__onnx_test(struct mill__onnx *x, uint32_t mode, const double *numbers, uint32_t n, bool nan_is_true,
                    uint32_t if_true, uint32_t if_false, struct mill__raw_node *node)
{
    /* Left is where x <= threshold, or where the set has x. */
    bool turned = mode == GTE || mode == GT || mode == NEQ;
    node->left = turned ? if_false : if_true;
    node->right = turned ? if_true : if_false;
    /* NaN is different from every number, and no other comparison with it holds. */
    bool nan_true = nan_is_true || mode == NEQ;
    bool nan_left = turned ? !nan_true : nan_true;
    if (mode >= EQ) {
        node->flags = MILL__SET;
        return add_set(x, numbers, n, nan_left, &node->set);
    }
    double threshold = numbers[0];
    node->flags = nan_left ? MILL__NAN_LEFT : 0;
    if (mode == LT || mode == GTE) {
        node->flags |= threshold == -(double)INFINITY ? MILL__NEVER : 0;
        threshold = x->forest->cells_f64 ? nextafter(threshold, -(double)INFINITY)
                                         : (double)nextafterf((float)threshold, -INFINITY);
        if (isnan(numbers[0])) {
            threshold = numbers[0];
        }
    }
    node->value = threshold;
    return 0;
}

/* One score that stands for two classes; PROBIT and the rest are not transformed there by onnxruntime. */
static enum mill__link one_score_link(const struct mill__onnx *x)
{
    if (mill_slice_is(mill_slice_of(x->transform), "LOGISTIC")) {
        return MILL__LINK_ONNX_BINARY_LOGISTIC;
    }
    return x->positive ? MILL__LINK_ONNX_BINARY : MILL__LINK_ONNX_BINARY_NEGATED;
}

static int plain_link(const struct mill__onnx *x, uint32_t count, enum mill__link *ret_link)
{
    static const struct {
        const char *transform;
        enum mill__link link;
    } links[] = {
        {"NONE", MILL__LINK_IDENTITY},        {"LOGISTIC", MILL__LINK_ONNX_LOGISTIC},
        {"SOFTMAX", MILL__LINK_ONNX_SOFTMAX}, {"SOFTMAX_ZERO", MILL__LINK_ONNX_SOFTMAX_ZERO},
        {"PROBIT", MILL__LINK_ONNX_PROBIT},
    };
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
        if (mill_slice_is(mill_slice_of(x->transform), links[i].transform)) {
            /* onnxruntime transforms a single output by PROBIT only. */
            bool skipped = count == 1 && links[i].link != MILL__LINK_ONNX_PROBIT;
            *ret_link = skipped ? MILL__LINK_IDENTITY : links[i].link;
            return 0;
        }
    }
    return mill_fail(x->err, MILL_EDATA, "the post_transform '%s' is not known", x->transform);
}

/* onnxruntime leaves base values out for outputs without a score, but for classifiers of three classes and more. */
static int apply_base(struct mill__onnx *x, uint32_t target_count)
{
    struct mill__forest *forest = x->forest;
    bool binary = x->is_classifier && target_count == 2;
    if (x->base.n == 0) {
        return 0;
    }
    if (binary && (x->base.n != 1 || !x->one_id)) {
        return mill_fail(x->err, MILL_EDATA,
                         "%u base_values for two classes, whose meaning is not defined; expected one score and one "
                         "base value",
                         x->base.n);
    }
    if (!binary && x->base.n != target_count) {
        return mill_fail(x->err, MILL_EDATA, "%u base_values for %u outputs", x->base.n, target_count);
    }
    for (uint32_t k = 0; k < forest->margin_count; k++) {
        bool scored = x->has_target[k] || (x->is_classifier && target_count > 2);
        forest->base[k] = scored && !(binary && !x->one_class) ? x->base.at[k] : 0;
    }
    return 0;
}

/* Where a row may meet no weight of an output, onnxruntime leaves out its base value, does not look at it for the
 * label, and answers for two classes by one of them. Only where none of that shows is the meaning clear. */
static int check_gaps(struct mill__onnx *x, uint32_t target_count)
{
    bool based = x->base.n > 0 && !x->is_classifier;
    bool labelled = x->is_classifier && !x->one_id && target_count > 1 && (target_count == 2 || !x->positive);
    for (uint32_t k = 0; x->is_scored != NULL && (based || labelled) && k < target_count; k++) {
        if (!x->is_scored[k] && (labelled || x->has_target[k])) {
            return mill_fail(x->err, MILL_EDATA, "a row may meet no weight of output %u, whose %s is not defined then",
                             k, based ? "base value" : "label");
        }
    }
    return 0;
}

static void take_labels(struct mill__onnx *x, uint32_t target_count)
{
    struct mill__forest *forest = x->forest;
    if (!x->is_classifier) {
        return;
    }
    forest->labels = mill_calloc(target_count, sizeof(*forest->labels));
    for (uint32_t k = 0; k < target_count; k++) {
        forest->labels[k] = x->labels.n == target_count ? x->labels.at[k] : (int64_t)k;
    }
    if (target_count == 2) {
        forest->two_labels = true;
        forest->label_threshold = x->one_id && x->positive ? 0.5 : 0;
        if (!x->one_id) {
            /* Two scores: onnxruntime answers 1 or 0, whatever the labels are called. */
            forest->labels[0] = 0;
            forest->labels[1] = 1;
        }
    }
}

int mill__onnx_outputs(struct mill__onnx *x, uint32_t target_count, bool vector_leaves)
{
    struct mill__forest *forest = x->forest;
    uint32_t margins = x->one_class ? 1 : target_count;
    MILL_TRY(mill__forest_set_outputs(forest, margins, vector_leaves ? margins : 1, x->err));
    forest->base_last = true;
    MILL_TRY(plain_link(x, target_count, &forest->link));
    if (x->one_class) {
        if (forest->link == MILL__LINK_ONNX_PROBIT) {
            return mill_fail(x->err, MILL_EDATA, "PROBIT of one score for two classes is not defined");
        }
        forest->link = one_score_link(x);
        forest->output_count = 2;
    }
    MILL_TRY(check_gaps(x, target_count));
    MILL_TRY(apply_base(x, target_count));
    take_labels(x, target_count);
    return 0;
}

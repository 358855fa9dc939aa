/* SPDX-License-Identifier: Apache-2.0 */
/* One tree of a LightGBM text model: its lines into raw nodes. Inner node i is raw node i, leaf l is raw node
 * (num_leaves - 1) + l. */
#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "inference/import/lightgbm_internal.h"

static const char *const line_names[LGB_LINES] = {
    [LGB_NUM_LEAVES] = "num_leaves",         [LGB_NUM_CAT] = "num_cat",
    [LGB_SPLIT_FEATURE] = "split_feature",   [LGB_THRESHOLD] = "threshold",
    [LGB_DECISION_TYPE] = "decision_type",   [LGB_LEFT_CHILD] = "left_child",
    [LGB_RIGHT_CHILD] = "right_child",       [LGB_LEAF_VALUE] = "leaf_value",
    [LGB_LEAF_COUNT] = "leaf_count",         [LGB_INTERNAL_COUNT] = "internal_count",
    [LGB_CAT_BOUNDARIES] = "cat_boundaries", [LGB_CAT_THRESHOLD] = "cat_threshold",
    [LGB_IS_LINEAR] = "is_linear",           [LGB_LEAF_CONST] = "leaf_const",
    [LGB_NUM_FEATURES] = "num_features",     [LGB_LEAF_FEATURES] = "leaf_features",
    [LGB_LEAF_COEFF] = "leaf_coeff",
};

struct mill_slice *mill__lgb_line(struct mill__lgb_tree *tree, struct mill_slice key)
{
    for (unsigned i = 0; i < LGB_LINES; i++) {
        if (mill_slice_is(key, line_names[i])) {
            return &tree->lines[i];
        }
    }
    return NULL;
}

/* Numbers of a line one after the other. */
struct numbers {
    enum mill__lgb_line line;
    const char *p, *end;
};

static struct numbers numbers_of(const struct mill__lgb *x, enum mill__lgb_line line)
{
    struct mill_slice text = x->tree.lines[line];
    return (struct numbers){line, text.p, text.p == NULL ? NULL : text.p + text.n};
}

static void skip_spaces(struct numbers *n)
{
    while (n->p < n->end && *n->p == ' ') {
        n->p++;
    }
}

static int fail_number(struct mill__lgb *x, const struct numbers *n, const char *expected)
{
    size_t left = (size_t)(n->end - n->p);
    return mill_fail(x->err, MILL_EDATA, "%s: expected %s at '%.*s'", line_names[n->line], expected,
                     (int)(left < 24 ? left : 24), left == 0 ? "" : n->p);
}

static int next_int(struct mill__lgb *x, struct numbers *n, int64_t least, int64_t most, int64_t *ret_value)
{
    skip_spaces(n);
    const char *stop = n->p == n->end ? NULL : mill_number_parse_int64(n->p, n->end, ret_value);
    if (stop == NULL || (stop < n->end && *stop != ' ') || *ret_value < least || *ret_value > most) {
        return fail_number(x, n, "a whole number in range");
    }
    n->p = stop;
    return 0;
}

/* What printf writes for doubles that are no numbers of JSON. */
static const char *parse_word(const char *p, const char *end, double *ret_value)
{
    static const struct {
        const char *text;
        double value;
    } words[] = {{"inf", (double)INFINITY}, {"-inf", -(double)INFINITY}, {"nan", (double)NAN}, {"-nan", (double)NAN}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t n = strlen(words[i].text);
        if ((size_t)(end - p) >= n && memcmp(p, words[i].text, n) == 0) {
            *ret_value = words[i].value;
            return p + n;
        }
    }
    return NULL;
}

static int next_double(struct mill__lgb *x, struct numbers *n, double *ret_value)
{
    skip_spaces(n);
    const char *stop = n->p == n->end ? NULL : mill_number_parse_double(n->p, n->end, ret_value);
    if (stop == NULL && n->p < n->end) {
        stop = parse_word(n->p, n->end, ret_value);
    }
    if (stop == NULL || (stop < n->end && *stop != ' ')) {
        return fail_number(x, n, "a number");
    }
    n->p = stop;
    return 0;
}

static int expect_end(struct mill__lgb *x, struct numbers *n)
{
    skip_spaces(n);
    return n->p == n->end ? 0 : fail_number(x, n, "the end of the line");
}

static int need_line(struct mill__lgb *x, enum mill__lgb_line line)
{
    return x->tree.lines[line].p != NULL ? 0 : mill_fail(x->err, MILL_EDATA, "'%s' is missing", line_names[line]);
}

static int one_int(struct mill__lgb *x, enum mill__lgb_line line, int64_t least, int64_t most, int64_t *ret_value)
{
    struct numbers n = numbers_of(x, line);
    MILL_TRY(next_int(x, &n, least, most, ret_value));
    return expect_end(x, &n);
}

static int read_leaves(struct mill__lgb *x, uint32_t inner, uint32_t leaf_count)
{
    MILL_TRY(need_line(x, LGB_LEAF_VALUE));
    struct numbers value = numbers_of(x, LGB_LEAF_VALUE), count = numbers_of(x, LGB_LEAF_COUNT);
    for (uint32_t l = 0; l < leaf_count; l++) {
        struct mill__raw_node *node = &x->raw.at[inner + l];
        node->is_leaf = true;
        MILL_TRY(next_double(x, &value, &node->value));
        if (count.p != NULL && inner > 0) {
            double cover = 0;
            MILL_TRY(next_double(x, &count, &cover));
            node->cover = (float)cover;
        }
    }
    return expect_end(x, &value);
}

/* Thresholds within the zeros move to their edge: the trainer compares 0.0 in their place. */
static double fold_zeros(double threshold)
{
    if (threshold >= 0 && threshold < MILL__ZERO_MAX) {
        return MILL__ZERO_MAX;
    }
    if (threshold < 0 && threshold >= -MILL__ZERO_MAX) {
        return nextafter(-MILL__ZERO_MAX, -(double)INFINITY);
    }
    return threshold;
}

static int set_test(struct mill__lgb *x, uint32_t index, int64_t decision, double threshold)
{
    struct mill__raw_node *node = &x->raw.at[index];
    if (decision & 1) {
        if (!(threshold >= 0 && threshold + 1 < x->words.n && threshold == floor(threshold))) {
            return mill_fail(x->err, MILL_EDATA, "node %u uses the category set %g of %u", index, threshold,
                             x->words.n == 0 ? 0 : x->words.n - 1);
        }
        uint32_t k = (uint32_t)threshold;
        struct mill__forest *forest = x->forest;
        struct mill__set set = {.kind = MILL__SET_LIGHTGBM,
                                .begin = forest->set_words.n + x->words.at[k],
                                .count = x->words.at[k + 1] - x->words.at[k]};
        node->flags = MILL__SET;
        node->set = forest->sets.n;
        mill__push(&forest->sets, set);
        return 0;
    }
    int64_t missing = decision >> 2 & 3;
    if (missing == 3) {
        return mill_fail(x->err, MILL_EDATA, "node %u has the decision type %lld, whose missing type is not known",
                         index, (long long)decision);
    }
    node->value = fold_zeros(threshold);
    bool nan_left = missing == 0 ? threshold >= 0 : (decision & 2) != 0;
    node->flags = (nan_left ? MILL__NAN_LEFT : 0) | (missing == 1 ? MILL__ZERO_MISSING : 0);
    return 0;
}

static int set_child(struct mill__lgb *x, struct numbers *n, uint32_t inner, uint32_t *ret_child)
{
    int64_t child = 0;
    MILL_TRY(next_int(x, n, -(int64_t)inner - 1, (int64_t)inner - 1, &child));
    *ret_child = child >= 0 ? (uint32_t)child : inner + (uint32_t)~child;
    return 0;
}

static int read_inner(struct mill__lgb *x, uint32_t inner)
{
    static const enum mill__lgb_line needed[] = {LGB_SPLIT_FEATURE, LGB_THRESHOLD, LGB_LEFT_CHILD, LGB_RIGHT_CHILD};
    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
        MILL_TRY(need_line(x, needed[i]));
    }
    struct numbers feature = numbers_of(x, LGB_SPLIT_FEATURE), threshold = numbers_of(x, LGB_THRESHOLD),
                   left = numbers_of(x, LGB_LEFT_CHILD), right = numbers_of(x, LGB_RIGHT_CHILD),
                   decision = numbers_of(x, LGB_DECISION_TYPE), count = numbers_of(x, LGB_INTERNAL_COUNT);
    for (uint32_t i = 0; i < inner; i++) {
        struct mill__raw_node *node = &x->raw.at[i];
        int64_t f = 0, type = 0;
        double t = 0;
        MILL_TRY(next_int(x, &feature, 0, MILL__FEATURES_MAX, &f));
        MILL_TRY(next_double(x, &threshold, &t));
        MILL_TRY(set_child(x, &left, inner, &node->left));
        MILL_TRY(set_child(x, &right, inner, &node->right));
        if (decision.p != NULL) {
            MILL_TRY(next_int(x, &decision, -128, 127, &type));
        }
        if (count.p != NULL) {
            double cover = 0;
            MILL_TRY(next_double(x, &count, &cover));
            node->cover = (float)cover;
        }
        node->feature = (uint32_t)f;
        MILL_TRY(set_test(x, i, type, t));
    }
    MILL_TRY(expect_end(x, &feature));
    MILL_TRY(expect_end(x, &threshold));
    MILL_TRY(expect_end(x, &left));
    return expect_end(x, &right);
}

/* cat_boundaries (ascending word numbers) into x->words; the words themselves are appended to the forest by the caller,
 * since sets refer to where they will stand. */
static int read_boundaries(struct mill__lgb *x, int64_t set_count)
{
    x->words.n = 0;
    if (set_count == 0) {
        return 0;
    }
    MILL_TRY(need_line(x, LGB_CAT_BOUNDARIES));
    MILL_TRY(need_line(x, LGB_CAT_THRESHOLD));
    struct numbers n = numbers_of(x, LGB_CAT_BOUNDARIES);
    int64_t last = 0, most = (int64_t)x->tree.lines[LGB_CAT_THRESHOLD].n;
    for (int64_t i = 0; i <= set_count; i++) {
        int64_t value = 0;
        MILL_TRY(next_int(x, &n, i == 0 ? 0 : last, i == 0 ? 0 : most, &value));
        mill__push(&x->words, (uint32_t)value);
        last = value;
    }
    return expect_end(x, &n);
}

static int append_words(struct mill__lgb *x)
{
    struct numbers n = numbers_of(x, LGB_CAT_THRESHOLD);
    for (uint32_t i = 0; x->words.n > 0 && i < x->words.at[x->words.n - 1]; i++) {
        int64_t word = 0;
        MILL_TRY(next_int(x, &n, 0, UINT32_MAX, &word));
        mill__push(&x->forest->set_words, (uint32_t)word);
    }
    return x->words.n > 0 ? expect_end(x, &n) : 0;
}

/* The linear models of the tree, in the file's order of leaves, then turned to the forest's. */
static int read_linear(struct mill__lgb *x, uint32_t inner, uint32_t leaf_count)
{
    struct mill__forest *forest = x->forest;
    for (enum mill__lgb_line line = LGB_LEAF_CONST; line <= LGB_LEAF_COEFF; line++) {
        MILL_TRY(need_line(x, line));
    }
    struct numbers constant = numbers_of(x, LGB_LEAF_CONST), count = numbers_of(x, LGB_NUM_FEATURES),
                   feature = numbers_of(x, LGB_LEAF_FEATURES), coefficient = numbers_of(x, LGB_LEAF_COEFF);
    struct mill__linear_leaf *leaves = mill_calloc(leaf_count, sizeof(*leaves));
    int rc = 0;
    for (uint32_t l = 0; l < leaf_count && rc == 0; l++) {
        int64_t terms = 0;
        rc = next_double(x, &constant, &leaves[l].constant);
        rc = rc < 0 ? rc : next_int(x, &count, 0, forest->feature_count, &terms);
        leaves[l].begin = forest->linear_terms.n;
        leaves[l].count = (uint32_t)terms;
        for (int64_t j = 0; j < terms && rc == 0; j++) {
            struct mill__linear_term term = {0};
            int64_t f = 0;
            rc = next_int(x, &feature, 0, (int64_t)forest->feature_count - 1, &f);
            rc = rc < 0 ? rc : next_double(x, &coefficient, &term.coefficient);
            term.feature = (uint32_t)f;
            mill__push(&forest->linear_terms, term);
        }
    }
    for (uint32_t l = 0; l < leaf_count && rc == 0; l++) {
        mill__push(&forest->linear_leaves, leaves[x->builder.leaf_origin.at[l] - inner]);
    }
    free(leaves);
    return rc;
}

/* A tree without linear models in a file that has some: constants. */
static void add_plain_linear(struct mill__forest *forest, uint32_t leaf_begin)
{
    for (uint32_t l = leaf_begin; l < forest->leaves.n; l++) {
        struct mill__linear_leaf leaf = {.constant = forest->leaves.at[l]};
        mill__push(&forest->linear_leaves, leaf);
    }
}

static int finish_linear(struct mill__lgb *x, uint32_t leaf_begin, uint32_t inner, uint32_t leaf_count)
{
    struct mill__forest *forest = x->forest;
    int64_t linear = 0;
    if (x->tree.lines[LGB_IS_LINEAR].p != NULL) {
        MILL_TRY(one_int(x, LGB_IS_LINEAR, 0, 1, &linear));
    }
    if (linear == 1) {
        if (forest->linear_leaves.n == 0 && leaf_begin > 0) {
            uint32_t all = forest->leaves.n;
            forest->leaves.n = leaf_begin;
            add_plain_linear(forest, 0);
            forest->leaves.n = all;
        }
        return read_linear(x, inner, leaf_count);
    }
    if (forest->linear_leaves.n > 0) {
        add_plain_linear(forest, leaf_begin);
    }
    return 0;
}

int mill__lgb_add_tree(struct mill__lgb *x, uint32_t index)
{
    int64_t leaf_count = 0, set_count = 0;
    MILL_TRY(need_line(x, LGB_NUM_LEAVES));
    MILL_TRY(one_int(x, LGB_NUM_LEAVES, 1, x->tree.end - x->tree.begin, &leaf_count));
    if (x->tree.lines[LGB_NUM_CAT].p != NULL) {
        MILL_TRY(one_int(x, LGB_NUM_CAT, 0, x->tree.end - x->tree.begin, &set_count));
    }
    /* Each leaf stands in a line of values and, but for one, as a child: real trees take 40 bytes a leaf and more. */
    if (leaf_count > 1024 && (x->tree.end - x->tree.begin) / 12 < leaf_count) {
        return mill_fail(x->err, MILL_EDATA, "%lld leaves in %td bytes", (long long)leaf_count,
                         x->tree.end - x->tree.begin);
    }
    uint32_t inner = (uint32_t)leaf_count - 1;
    MILL_TRY(read_boundaries(x, set_count));
    x->raw.n = 0;
    for (uint32_t i = 0; i < 2 * inner + 1; i++) {
        mill__push(&x->raw, (struct mill__raw_node){0});
    }
    MILL_TRY(read_leaves(x, inner, (uint32_t)leaf_count));
    if (inner > 0) {
        MILL_TRY(read_inner(x, inner));
    }
    MILL_TRY(append_words(x));
    bool covers =
        inner == 0 || (x->tree.lines[LGB_LEAF_COUNT].p != NULL && x->tree.lines[LGB_INTERNAL_COUNT].p != NULL);
    x->covers_missing |= !covers;
    uint32_t leaf_begin = x->forest->leaves.n;
    struct mill__raw_tree raw = {.nodes = x->raw.at,
                                 .node_count = x->raw.n,
                                 .root = 0,
                                 .output = index % x->forest->margin_count,
                                 .has_covers = covers};
    MILL_TRY(mill__forest_add_tree(x->forest, &x->builder, &raw, x->err));
    if (x->builder.leaf_origin.n != (uint32_t)leaf_count) {
        return mill_fail(x->err, MILL_EDATA, "only %u of %lld leaves can be reached", x->builder.leaf_origin.n,
                         (long long)leaf_count);
    }
    return finish_linear(x, leaf_begin, inner, (uint32_t)leaf_count);
}

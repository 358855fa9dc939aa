/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The intermediate form of every importer: a forest of binary trees whose meaning no longer depends on who trained it.
 *
 * Each numeric test is brought to one form, "left where x <= threshold", which is exact: x < t is x <= the float before
 * t, and rules about zeros move the threshold over the zeros. Each membership test is a set with a verdict for every
 * value. Trees are stored in pre-order (a node's left subtree follows it), leaves are numbered from left to right; the
 * kernels rely on both. Importers write it through mill__forest_add_tree(), which checks the shape; nobody changes it
 * after load.
 */
#ifndef MILL_INFERENCE_FOREST_INTERNAL_H
#define MILL_INFERENCE_FOREST_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"

/* Growable arrays of the importers. */
#define MILL__VECTOR(type)                                                                                             \
    struct {                                                                                                           \
        type *at;                                                                                                      \
        uint32_t n, capacity;                                                                                          \
    }
/* Room for one more element; more than 2^31 elements cannot come from a file that fits the size limit. */
void *mill__vector_grow(void *at, uint32_t n, uint32_t *capacity, size_t element_size);
#define mill__push(v, value)                                                                                           \
    do {                                                                                                               \
        if ((v)->n == (v)->capacity) {                                                                                 \
            (v)->at = mill__vector_grow((v)->at, (v)->n, &(v)->capacity, sizeof(*(v)->at));                            \
        }                                                                                                              \
        (v)->at[(v)->n++] = (value);                                                                                   \
    } while (0)

enum { MILL__DEPTH_MAX = 4096, MILL__OUTPUTS_MAX = 65536, MILL__FEATURES_MAX = 1 << 24 };

enum mill__node_flag {
    MILL__NAN_LEFT = 1,     /* a missing value goes left, else right */
    MILL__ZERO_MISSING = 2, /* |x| <= 1e-35f is missing too (LightGBM's zero_as_missing) */
    MILL__SET = 4,          /* left where the set says so; the set also judges missing values */
    MILL__NEVER = 8,        /* no number goes left, not even -inf; missing values follow MILL__NAN_LEFT */
};

/* A child is an inner node of the same tree (>= 0) or, as ~leaf, a leaf of it. */
struct mill__node {
    union {
        double threshold; /* left where x <= threshold */
        uint32_t set;     /* MILL__SET */
    } test;
    uint32_t feature;
    int32_t left, right;
    uint32_t flags;
};

struct mill__tree {
    uint32_t node_begin; /* leaf_count - 1 inner nodes in pre-order */
    uint32_t leaf_begin, leaf_count;
    uint32_t output; /* which output its leaves add to; 0 for vector leaves */
    uint32_t depth;  /* tests on the longest path */
};

/* How a set reads a value; XGBoost: its set goes right, below 0 and from 2^24 on go left; LightGBM: its set goes left;
 * exact: membership among the listed numbers, which go left (ONNX's BRANCH_EQ and BRANCH_MEMBER, turned if need be). */
enum mill__set_kind { MILL__SET_XGBOOST, MILL__SET_LIGHTGBM, MILL__SET_EXACT };

struct mill__set {
    enum mill__set_kind kind;
    bool nan_left, members_left;
    bool listed;           /* members stand one by one in set_numbers, ascending; else they are bits of set_words */
    uint32_t begin, count; /* numbers or 32-bit words */
};

/* A leaf of LightGBM's linear trees: constant + sum of coefficient * value; the plain value where one is missing. */
struct mill__linear_term {
    uint32_t feature;
    double coefficient;
};
struct mill__linear_leaf {
    double constant;
    uint32_t begin, count; /* of linear_terms */
};

enum mill__combine { MILL__SUM, MILL__AVERAGE, MILL__MIN, MILL__MAX };

/* Margin to prediction; what each computes stands in link.c. */
enum mill__link {
    MILL__LINK_IDENTITY,
    MILL__LINK_SIGMOID, /* XGBoost's, float */
    MILL__LINK_EXP,
    MILL__LINK_SOFTMAX,
    MILL__LINK_ARGMAX, /* one value: the class */
    MILL__LINK_HINGE,
    MILL__LINK_SORTED,     /* XGBoost 3.4 quantiles */
    MILL__LINK_EXPECTILES, /* XGBoost reg:expectileerror */
    MILL__LINK_LOGISTIC,   /* LightGBM: 1 / (1 + exp(-param * x)) for each output */
    MILL__LINK_LOG1P_EXP,
    MILL__LINK_SIGNED_SQUARE,
    MILL__LINK_CATBOOST_BINARY, /* two columns from one margin, double */
    MILL__LINK_ONNX_LOGISTIC,   /* ONNX post_transform for each output, float */
    MILL__LINK_ONNX_SOFTMAX,
    MILL__LINK_ONNX_SOFTMAX_ZERO,
    MILL__LINK_ONNX_PROBIT,
    MILL__LINK_ONNX_BINARY,          /* two columns from one score s: 1 - s, s */
    MILL__LINK_ONNX_BINARY_NEGATED,  /* -s, s */
    MILL__LINK_ONNX_BINARY_LOGISTIC, /* sigmoid(-s), sigmoid(s) */
};

/* What operators of an ONNX graph do to a value, each in float. */
enum mill__step_kind {
    MILL__STEP_IMPUTE, /* x equal to a (or NaN where a is NaN) becomes b */
    MILL__STEP_SUBTRACT,
    MILL__STEP_MULTIPLY,
    MILL__STEP_ADD,
    MILL__STEP_DIVIDE,
    MILL__STEP_CLIP, /* to a .. b; NaN stays */
    MILL__STEP_EXP,
};
struct mill__step {
    enum mill__step_kind kind;
    float a, b;
};
/* Steps one after the other: begin .. begin + count of the forest's. */
struct mill__steps {
    uint32_t begin, count;
};

struct mill__forest {
    bool cells_f64, sums_f64; /* precision of tests and of sums */
    bool zeroes_small;        /* LightGBM: a value with |x| <= 1e-35f is 0.0 to linear leaves */
    uint32_t feature_count;
    uint32_t margin_count; /* sums a row */
    uint32_t output_count; /* predictions a row */
    uint32_t vector_size;  /* values a leaf: 1, or margin_count */
    uint32_t depth_max;
    enum mill__combine combine;
    enum mill__link link;
    double link_param;
    double prediction_divisor; /* LightGBM's average_output: margins are divided before the link */
    double scale;              /* CatBoost: margin = scale * sum + bias */
    bool base_last;            /* base[] is added after the trees (ONNX, CatBoost), else sums start from it */
    double *base;              /* margin_count */
    MILL__VECTOR(struct mill__tree) trees;
    MILL__VECTOR(struct mill__node) nodes;
    MILL__VECTOR(double) leaves; /* vector_size for each leaf */
    MILL__VECTOR(struct mill__set) sets;
    MILL__VECTOR(uint32_t) set_words;
    MILL__VECTOR(double) set_numbers;
    MILL__VECTOR(struct mill__linear_leaf) linear_leaves; /* parallel to the leaves, or empty */
    MILL__VECTOR(struct mill__linear_term) linear_terms;
    MILL__VECTOR(float) node_covers; /* weight of the training rows through each node; empty where the file has none */
    MILL__VECTOR(float) leaf_covers;
    MILL__VECTOR(struct mill__step) steps;
    struct mill__steps *conditions; /* ONNX: in front of the ensemble; feature_count, or NULL */
    struct mill__steps after;       /* ONNX: of each prediction, behind the link */
    char **feature_names;           /* feature_count in one block, or NULL */
    int64_t *labels;                /* ONNX: class labels, or NULL */
    bool two_labels;                /* ONNX: the last margin above label_threshold is labels[1], else labels[0] */
    double label_threshold;
    char *objective, *trainer_version;
};

/* A tree as an importer read it, before it is checked: nodes in any order, children as indexes into the same array. */
struct mill__raw_node {
    double value; /* threshold, or the leaf's value where leaves are single */
    uint32_t feature;
    uint32_t left, right;
    uint32_t set;      /* MILL__SET: index into forest->sets */
    uint32_t flags;    /* enum mill__node_flag */
    uint32_t leaf_row; /* vector leaves: which row of raw_tree.vectors */
    float cover;
    bool is_leaf;
};

struct mill__raw_tree {
    const struct mill__raw_node *nodes;
    uint32_t node_count, root;
    uint32_t output;
    const double *vectors; /* vector_size values a row where forest->vector_size > 1 */
    bool has_covers;
    bool shares_nodes; /* all trees of the model stand in one array: `nodes` is that of the call before */
};

/* Scratch that importers keep between trees. */
struct mill__tree_builder {
    MILL__VECTOR(uint8_t) seen;
    struct mill__walk_step *stack;
    uint32_t stack_capacity;
    MILL__VECTOR(uint32_t) leaf_origin; /* per new leaf: the raw node it came from */
};
void mill__tree_builder_clear(struct mill__tree_builder *builder);

void mill__forest_init(struct mill__forest *forest);
void mill__forest_clear(struct mill__forest *forest);
/* Checks the tree (every child exists and has one parent, depth at most MILL__DEPTH_MAX, features in range, no NaN
 * threshold) and appends it in canonical order. Messages name nodes by their raw index. */
int mill__forest_add_tree(struct mill__forest *forest, struct mill__tree_builder *builder,
                          const struct mill__raw_tree *raw, struct mill_error *err) MILL_MUST_CHECK;
/* Sets output counts; allocates base[] zeroed. MILL_EDATA where the count is 0 or absurd. */
int mill__forest_set_outputs(struct mill__forest *forest, uint64_t margin_count, uint32_t vector_size,
                             struct mill_error *err) MILL_MUST_CHECK;

/* The verdict of a set on a value; the definition of categorical semantics. */
bool mill__set_goes_left(const struct mill__forest *forest, const struct mill__set *set, double x);
/* The verdict of a node; the slow reference that kernels are tested against, explain and the C emitter follow. */
bool mill__node_goes_left(const struct mill__forest *forest, const struct mill__node *node, double x);

float mill__forest_take_steps(const struct mill__forest *forest, const struct mill__steps *steps, float x);

/* kZeroThreshold of LightGBM: 1e-35f widened. */
#define MILL__ZERO_MAX ((double)1e-35f)

#endif

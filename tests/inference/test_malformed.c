/* SPDX-License-Identifier: Apache-2.0 */
/* Malformed models, each a sound one with one thing changed: what is said names the tree, the node and the reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "support.h"

/* Loads `base` with the first `from` changed to `to`; from NULL: as it is. */
static int load_changed(const char *base, const char *from, const char *to, struct mill_error *err)
{
    struct mill_buffer text = {0};
    struct mill_model *model = NULL;
    const char *at = from == NULL ? base + strlen(base) : strstr(base, from);
    if (at == NULL) {
        fail_msg("'%s' is not in the model", from);
    }
    mill_buffer_add(&text, base, (size_t)(at - base));
    if (from != NULL) {
        mill_buffer_add_string(&text, to);
        mill_buffer_add_string(&text, at + strlen(from));
    }
    int rc = mill_model_load_bytes(mill_buffer_slice(&text), "m", &model, err);
    mill_buffer_clear(&text);
    mill_model_free(model);
    return rc;
}

struct change {
    const char *from, *to, *said;
};

static void check_all(const char *format, const char *base, const struct change *changes, size_t n)
{
    struct mill_error err = {0};
    char expected[600];
    if (load_changed(base, NULL, NULL, &err) != 0) {
        fail_msg("the sound model: %s", err.msg);
    }
    for (size_t i = 0; i < n; i++) {
        err.msg[0] = 0;
        int rc = load_changed(base, changes[i].from, changes[i].to, &err);
        snprintf(expected, sizeof(expected), "model 'm': %s: %s", format, changes[i].said);
        if (rc != MILL_EDATA || strcmp(err.msg, expected) != 0) {
            fail_msg("'%s' for '%s' says\n  %s\nexpected\n  %s", changes[i].to, changes[i].from,
                     rc == 0 ? "nothing" : err.msg, expected);
        }
    }
}
#define CHECK_ALL(format, base, changes) check_all(format, base, changes, sizeof(changes) / sizeof(changes[0]))

/* A tree of two tests (one of a set) and three leaves. */
static const char xgboost[] =
    "{\"learner\":{\"feature_names\":[\"a\",\"b\"],\"gradient_booster\":{\"model\":{\"tree_info\":[0],\"trees\":[{"
    "\"categories\":[1,3],\"categories_nodes\":[2],\"categories_segments\":[0],\"categories_sizes\":[2],"
    "\"default_left\":[1,0,0,0,0],\"left_children\":[1,-1,3,-1,-1],\"right_children\":[2,-1,4,-1,-1],"
    "\"split_conditions\":[0.5,1,2,3,4],\"split_indices\":[0,0,1,0,0],\"split_type\":[0,0,1,0,0],"
    "\"sum_hessian\":[5,2,3,1,2],\"tree_param\":{\"num_nodes\":\"5\",\"size_leaf_vector\":\"0\"}}]},"
    "\"name\":\"gbtree\"},\"learner_model_param\":{\"base_score\":\"5E-1\",\"num_class\":\"0\",\"num_feature\":\"2\"},"
    "\"objective\":{\"name\":\"binary:logistic\"}},\"version\":[1,7,4]}";

static void test_xgboost(void **state)
{
    static const struct change changes[] = {
        {"[1,-1,3,-1,-1]", "[1,-1,0,-1,-1]", "tree 0: node 2 has the children 0 and 4, expected neighbours"},
        {"[1,-1,3,-1,-1],\"right_children\":[2,-1,4,-1,-1]", "[1,-1,1,-1,-1],\"right_children\":[2,-1,2,-1,-1]",
         "tree 0: node 1 has two parents or lies on a cycle"},
        {"[1,-1,3,-1,-1],\"right_children\":[2,-1,4,-1,-1]", "[0,-1,3,-1,-1],\"right_children\":[1,-1,4,-1,-1]",
         "tree 0: node 0 has two parents or lies on a cycle"},
        {"[1,-1,3,-1,-1],\"right_children\":[2,-1,4,-1,-1]", "[1,-1,4,-1,-1],\"right_children\":[2,-1,5,-1,-1]",
         "tree 0: node 2 has the right child 5, expected one below 5"},
        {"[1,-1,3,-1,-1],\"right_children\":[2,-1,4,-1,-1]", "[1,-1,-9,-1,-1],\"right_children\":[2,-1,-8,-1,-1]",
         "tree 0: node 2 has the left child -9, expected one below 5"},
        {"\"split_indices\":[0,0,1,0,0]", "\"split_indices\":[7,0,1,0,0]",
         "tree 0: node 0 tests feature 7, expected one below 2"},
        {"\"split_indices\":[0,0,1,0,0]", "\"split_indices\":[-1,0,1,0,0]", "tree 0: node 0 tests feature -1"},
        {"[0.5,1,2,3,4]", "[NaN,1,2,3,4]", "tree 0: node 0 has the threshold NaN, expected a number"},
        {"[0.5,1,2,3,4]", "[0.5,1,2,3]", "tree 0: split_conditions has 4 entries, expected num_nodes, 5"},
        {"\"num_nodes\":\"5\"", "\"num_nodes\":\"500\"",
         "tree 0: left_children has 5 entries, expected num_nodes, 500"},
        {"\"num_nodes\":\"5\"", "\"num_nodes\":\"99999999999\"", "tree 0: tree_param has the count '99999999999'"},
        {"\"split_type\":[0,0,1,0,0]", "\"split_type\":[2,0,1,0,0]",
         "tree 0: node 0 has the split type 2, expected 0 or 1"},
        {"\"categories\":[1,3]", "\"categories\":[1,99999999]",
         "tree 0: node 2 has the category 99999999, expected 0 to 16777215"},
        {"\"categories_sizes\":[2]", "\"categories_sizes\":[9]", "tree 0: node 2 has categories 0 to 9 of 2"},
        {"\"categories_nodes\":[2]", "\"categories_nodes\":[1]",
         "tree 0: categories are given for node 1, which is not categorical"},
        {"\"categories_nodes\":[2],\"categories_segments\":[0],\"categories_sizes\":[2]",
         "\"categories_nodes\":[],\"categories_segments\":[],\"categories_sizes\":[]",
         "tree 0: node 2 is categorical but has no categories"},
        {"\"default_left\"", "\"left_children\":[1,-1,3,-1,-1],\"default_left\"",
         "tree 0: 'left_children' stands twice"},
        {"\"objective\":", "\"objective\":{\"name\":\"reg:gamma\"},\"objective\":", "'objective' stands twice"},
        {"\"tree_info\":[0]", "\"tree_info\":[3]", "tree 0: adds to output 3, expected one below 1"},
        {"\"tree_info\":[0]", "\"tree_info\":[-1]", "tree 0: adds to output 4294967295, expected one below 1"},
        {"\"tree_info\":[0]", "\"tree_info\":[0,0]", "tree_info has 2 entries for 1 trees"},
        {"\"size_leaf_vector\":\"0\"", "\"size_leaf_vector\":\"4\"",
         "tree 0: leaves of 4 values in a model of 1 outputs, expected 1"},
        {"[\"a\",\"b\"]", "[\"a\"]", "1 feature names for 2 features"},
        {"binary:logistic", "binary:magic",
         "the objective 'binary:magic' is not known; hint: custom objectives keep the name of a built-in one"},
        {"\"gbtree\"", "\"gblinear\"", "the booster 'gblinear' is not supported, expected gbtree or dart"},
        {"\"5E-1\"", "\"half\"", "base_score 'half' is neither a number nor a list of numbers"},
        {"\"5E-1\"", "\"[1,2,3]\"", "base_score has 3 entries, expected 1 or 1"},
        {"\"5E-1\"", "\"7\"", "base_score 7, expected between 0 and 1 for 'binary:logistic'"},
    };
    (void)state;
    CHECK_ALL("xgboost json", xgboost, changes);
}

static const char lightgbm[] =
    "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nmax_feature_idx=1\nobjective=binary sigmoid:1\n"
    "feature_names=a b\n\nTree=0\nnum_leaves=3\nnum_cat=1\nsplit_feature=0 1\nthreshold=0.5 0\ndecision_type=2 1\n"
    "left_child=1 -1\nright_child=-3 -2\nleaf_value=1 2 3\ncat_boundaries=0 1\ncat_threshold=10\n\nend of trees\n";

static void test_lightgbm(void **state)
{
    static const struct change changes[] = {
        {"left_child=1 -1", "left_child=0 -1", "tree 0: node 0 has two parents or lies on a cycle"},
        {"left_child=1 -1", "left_child=1 -3", "tree 0: node 4 has two parents or lies on a cycle"},
        {"left_child=1 -1", "left_child=7 -1", "tree 0: left_child: expected a whole number in range at '7 -1'"},
        {"right_child=-3 -2", "right_child=-9 -2", "tree 0: right_child: expected a whole number in range at '-9 -2'"},
        {"split_feature=0 1", "split_feature=5 1", "tree 0: node 0 tests feature 5, expected one below 2"},
        {"split_feature=0 1", "split_feature=-1 1",
         "tree 0: split_feature: expected a whole number in range at '-1 1'"},
        {"threshold=0.5 0", "threshold=nan 0", "tree 0: node 0 has the threshold NaN, expected a number"},
        {"threshold=0.5 0", "threshold=0.5 4", "tree 0: node 1 uses the category set 4 of 1"},
        {"decision_type=2 1", "decision_type=14 1",
         "tree 0: node 0 has the decision type 14, whose missing type is not known"},
        {"cat_boundaries=0 1", "cat_boundaries=0 900",
         "tree 0: cat_boundaries: expected a whole number in range at '900'"},
        {"leaf_value=1 2 3\n", "leaf_value=1 2 3\nleaf_value=1 2 3\n", "tree 0: 'leaf_value' stands twice"},
        {"objective=binary sigmoid:1\n", "objective=binary\nobjective=binary\n", "'objective' stands twice"},
        {"objective=binary sigmoid:1", "objective=binary sigmoid:-1", "'sigmoid:-1': expected a number above 0"},
        {"Tree=0", "Tree=4", "'Tree=4': expected 'Tree=0'"},
        {"feature_names=a b", "feature_names=a", "1 feature names for 2 features"},
        {"num_tree_per_iteration=1", "num_tree_per_iteration=3", "1 trees are not a multiple of the 3 of an iteration"},
        {"end of trees", "", "the file ends before 'end of trees'"},
    };
    (void)state;
    CHECK_ALL("lightgbm", lightgbm, changes);
}

static const char catboost[] =
    "{\"features_info\":{\"float_features\":[{\"feature_index\":0,\"flat_feature_index\":0,\"nan_value_treatment\":"
    "\"AsFalse\"}]},\"oblivious_trees\":[{\"leaf_values\":[1,2],\"leaf_weights\":[3,4],\"splits\":[{\"border\":0.5,"
    "\"float_feature_index\":0,\"split_type\":\"FloatFeature\"}]}],\"scale_and_bias\":[1,[0]]}";
static const char catboost_nested[] =
    "{\"features_info\":{\"float_features\":[{\"feature_index\":0,\"flat_feature_index\":0}]},\"trees\":[{\"split\":"
    "{\"border\":0.5,\"float_feature_index\":0,\"split_type\":\"FloatFeature\"},\"left\":{\"value\":1,\"weight\":2},"
    "\"right\":{\"value\":3,\"weight\":4}}],\"scale_and_bias\":[1,[0]]}";

static void test_catboost(void **state)
{
    static const struct change oblivious[] = {
        {"\"float_feature_index\":0", "\"float_feature_index\":3", "tree 0: a split on float feature 3 of 1"},
        {"\"border\":0.5", "\"border\":NaN", "tree 0: node 0 has the threshold NaN, expected a number"},
        {"[1,2]", "[1,2,3]", "tree 0: 3 leaf values for 1 splits, expected 2"},
        {"\"FloatFeature\"", "\"OnlineCtr\"", "tree 0: a split of type 'OnlineCtr', only FloatFeature is supported"},
        {"\"leaf_weights\"", "\"leaf_values\":[1,2],\"leaf_weights\"", "tree 0: 'leaf_values' stands twice"},
        {"\"scale_and_bias\"", "\"oblivious_trees\":[],\"scale_and_bias\"", "the trees stand twice"},
        {"\"flat_feature_index\":0", "\"flat_feature_index\":-4", "float feature 0 has the indexes 0 and -4"},
        {"\"float_features\"", "\"categorical_features\":[{\"feature_index\":0}],\"float_features\"",
         "'categorical_features' are not supported, only float features are"},
        {"[1,[0]]", "[]", "scale_and_bias is empty"},
    };
    static const struct change nested[] = {
        {"\"value\":1,", "\"value\":1,\"value\":1,", "tree 0: node 1: 'value' stands twice"},
        {"\"value\":1,\"weight\":2", "\"weight\":2",
         "tree 0: node 1 has neither split, left and right nor a value alone"},
        {"\"left\":", "\"right\":{\"value\":3},\"left\":", "tree 0: node 0: a child stands twice or too deep"},
    };
    (void)state;
    CHECK_ALL("catboost json", catboost, oblivious);
    CHECK_ALL("catboost json", catboost_nested, nested);
}

/* Protobuf, as much as a TreeEnsembleRegressor needs; lengths below 2^14. */
static void add_varint(struct mill_buffer *out, uint64_t value)
{
    for (; value > 127; value >>= 7) {
        mill_buffer_add_byte(out, (unsigned char)(value | 128));
    }
    mill_buffer_add_byte(out, (unsigned char)value);
}

static void add_bytes(struct mill_buffer *out, unsigned field, const void *bytes, size_t n)
{
    add_varint(out, field << 3 | 2);
    add_varint(out, n);
    mill_buffer_add(out, bytes, n);
}

static void add_part(struct mill_buffer *out, unsigned field, struct mill_buffer *part)
{
    add_bytes(out, field, part->n == 0 ? "" : part->p, part->n);
    mill_buffer_clear(part);
}

static void add_ints(struct mill_buffer *node, const char *name, const int64_t *values, unsigned n)
{
    struct mill_buffer attribute = {0};
    add_bytes(&attribute, 1, name, strlen(name));
    for (unsigned i = 0; i < n; i++) {
        add_varint(&attribute, 8 << 3);
        add_varint(&attribute, (uint64_t)values[i]);
    }
    add_part(node, 5, &attribute);
}

static void add_floats(struct mill_buffer *node, const char *name, const float *values, unsigned n)
{
    struct mill_buffer attribute = {0};
    add_bytes(&attribute, 1, name, strlen(name));
    for (unsigned i = 0; i < n; i++) {
        add_varint(&attribute, 7 << 3 | 5);
        mill_buffer_add(&attribute, &values[i], sizeof(values[i]));
    }
    add_part(node, 5, &attribute);
}

/* A stump: node 0 tests a feature, nodes 1 and 2 are leaves. */
struct stump {
    int64_t features[3], nodes[3], if_true[3], if_false[3], weight_nodes[2], targets[2];
    float values[3];
    const char *mode, *input, *op;
};

static void build_onnx(const struct stump *s, struct mill_buffer *out)
{
    struct mill_buffer node = {0}, graph = {0}, modes = {0}, input = {0};
    static const int64_t zeros[3] = {0};
    static const float weights[2] = {1, 2};
    /* ValueInfoProto: name, and a tensor type of floats with shape [?, 2] */
    static const char type[] = "\x0a\x0c\x08\x01\x12\x08\x0a\x02\x12\x00\x0a\x02\x08\x02";
    add_bytes(&node, 1, s->input, strlen(s->input));
    add_bytes(&node, 2, "Y", 1);
    add_bytes(&node, 3, "trees", 5);
    add_bytes(&node, 4, s->op, strlen(s->op));
    add_ints(&node, "nodes_treeids", zeros, 3);
    add_ints(&node, "nodes_nodeids", s->nodes, 3);
    add_ints(&node, "nodes_featureids", s->features, 3);
    add_ints(&node, "nodes_truenodeids", s->if_true, 3);
    add_ints(&node, "nodes_falsenodeids", s->if_false, 3);
    add_floats(&node, "nodes_values", s->values, 3);
    add_bytes(&modes, 1, "nodes_modes", 11);
    add_bytes(&modes, 9, s->mode, strlen(s->mode));
    add_bytes(&modes, 9, "LEAF", 4);
    add_bytes(&modes, 9, "LEAF", 4);
    add_part(&node, 5, &modes);
    add_ints(&node, "target_treeids", zeros, 2);
    add_ints(&node, "target_nodeids", s->weight_nodes, 2);
    add_ints(&node, "target_ids", s->targets, 2);
    add_floats(&node, "target_weights", weights, 2);
    add_part(&graph, 1, &node);
    add_bytes(&input, 1, "X", 1);
    add_bytes(&input, 2, type, sizeof(type) - 1);
    add_part(&graph, 11, &input);
    mill_buffer_add(out, "\x08\x08", 2);
    add_part(out, 7, &graph);
}

static void expect_onnx(const struct stump *s, const char *said)
{
    struct mill_buffer bytes = {0};
    struct mill_model *model = NULL;
    struct mill_error err = {0};
    build_onnx(s, &bytes);
    int rc = mill_model_load_bytes(mill_buffer_slice(&bytes), "m", &model, &err);
    mill_buffer_clear(&bytes);
    mill_model_free(model);
    if (said == NULL
            ? rc != 0
            : rc != MILL_EDATA || strncmp(err.msg, "model 'm': onnx: ", 17) != 0 || strcmp(err.msg + 17, said) != 0) {
        fail_msg("onnx says\n  %s\nexpected\n  %s", rc == 0 ? "nothing" : err.msg, said == NULL ? "nothing" : said);
    }
}

static void test_onnx(void **state)
{
    const struct stump sound = {{0, 0, 0}, {0, 1, 2},    {1, 0, 0},    {2, 0, 0}, {1, 2},
                                {0, 0},    {0.5f, 0, 0}, "BRANCH_LEQ", "X",       "TreeEnsembleRegressor"};
    struct stump s = sound;
    (void)state;
    expect_onnx(&s, NULL);
    s.if_true[0] = 0;
    expect_onnx(&s, "TreeEnsembleRegressor: tree 0: node 0 has two parents or lies on a cycle");
    s = sound;
    s.if_false[0] = 1;
    expect_onnx(&s, "TreeEnsembleRegressor: tree 0: node 1 has two parents or lies on a cycle");
    s = sound;
    s.if_false[0] = 77;
    expect_onnx(&s, "TreeEnsembleRegressor: tree 0, node 0 has the children 1 and 77, which are not there");
    s = sound;
    s.features[0] = 2;
    expect_onnx(&s, "TreeEnsembleRegressor: tree 0: node 0 tests feature 2, expected one below 2");
    s = sound;
    s.features[0] = -1;
    expect_onnx(&s, "TreeEnsembleRegressor: tree 0, node 0 tests feature -1");
    s = sound;
    s.nodes[2] = 1;
    expect_onnx(&s, "TreeEnsembleRegressor: tree 0 has node 1 twice");
    s = sound;
    s.values[0] = __builtin_nanf("");
    expect_onnx(&s, "TreeEnsembleRegressor: tree 0: node 0 has the threshold NaN, expected a number");
    s = sound;
    s.weight_nodes[1] = 0;
    expect_onnx(&s, "TreeEnsembleRegressor: a weight is given for tree 0, node 0, which is no leaf");
    s = sound;
    s.targets[1] = 4;
    expect_onnx(&s, "TreeEnsembleRegressor: a weight of output 4, expected one below 1");
    s = sound;
    s.mode = "BRANCH_NEAR";
    expect_onnx(&s, "TreeEnsembleRegressor: node 0 has the mode 'BRANCH_NEAR', which is not known");
    s = sound;
    s.input = "Z";
    expect_onnx(&s, "node 'trees' (TreeEnsembleRegressor): an input that nothing before it gives");
    s = sound;
    s.op = "Normalizer";
    expect_onnx(&s, "node 'trees' (Normalizer): the operator is not supported in front of a tree ensemble");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_xgboost),
        cmocka_unit_test(test_lightgbm),
        cmocka_unit_test(test_catboost),
        cmocka_unit_test(test_onnx),
    };
    return cmocka_run_group_tests_name("inference/malformed", tests, NULL, NULL);
}

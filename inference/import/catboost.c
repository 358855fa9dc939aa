/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CatBoost models exported as JSON: float features, oblivious trees and nested ones.
 *
 * A row goes right where a value is greater than the border, so "left where x <= border" is the file's own test. A
 * missing value is below or above every border as the feature says. Members come in any order, so one pass collects the
 * features and notes where the trees start.
 */
#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "inference/import/catboost_internal.h"

static int read_feature(struct mill__cat *x)
{
    struct mill_slice key, text;
    struct mill__cat_feature feature = {.flat = -1, .nan_left = true};
    int64_t index = -1;
    int more = 0;
    char *name = NULL;
    MILL_TRY(mill__document_enter_object(&x->d));
    while ((more = mill__document_next_key(&x->d, &key)) > 0) {
        int rc = 0;
        if (mill_slice_is(key, "feature_index")) {
            rc = mill__document_int(&x->d, &index);
        } else if (mill_slice_is(key, "flat_feature_index")) {
            rc = mill__document_int(&x->d, &feature.flat);
        } else if (mill_slice_is(key, "nan_value_treatment")) {
            rc = mill__document_string(&x->d, &text);
            feature.nan_left = rc == 0 && !mill_slice_is(text, "AsTrue");
        } else if (mill_slice_is(key, "feature_id") && name == NULL) {
            rc = mill__document_string(&x->d, &text);
            name = rc == 0 ? mill__copy_text(text) : NULL;
        } else {
            rc = mill__document_skip(&x->d);
        }
        if (rc < 0) {
            free(name);
            return rc;
        }
    }
    feature.name = name;
    mill__push(&x->features, feature);
    MILL_TRY(more);
    if (index != x->features.n - 1 || feature.flat < 0 || feature.flat >= MILL__FEATURES_MAX) {
        return mill_fail(x->d.err, MILL_EDATA, "float feature %u has the indexes %lld and %lld", x->features.n - 1,
                         (long long)index, (long long)feature.flat);
    }
    x->flat_max = feature.flat > x->flat_max ? feature.flat : x->flat_max;
    return 0;
}

/* Categorical features and CTRs need the hash tables of the training data: not supported, named where they are used. */
static int read_features_info(struct mill__cat *x)
{
    struct mill_slice key;
    int more = 0, element = 0;
    MILL_TRY(mill__document_enter_object(&x->d));
    while ((more = mill__document_next_key(&x->d, &key)) > 0) {
        if (mill_slice_is(key, "float_features") && x->features.n == 0) {
            MILL_TRY(mill__document_enter_array(&x->d));
            while ((element = mill__document_next_element(&x->d)) > 0) {
                MILL_TRY(read_feature(x));
            }
            MILL_TRY(element);
            continue;
        }
        bool refused = mill_slice_is(key, "categorical_features") || mill_slice_is(key, "ctrs") ||
                       mill_slice_is(key, "text_features") || mill_slice_is(key, "embedding_features");
        if (!refused) {
            MILL_TRY(mill__document_skip(&x->d));
            continue;
        }
        char name[32];
        snprintf(name, sizeof(name), "%.*s", (int)(key.n < 31 ? key.n : 31), key.p);
        MILL_TRY(mill__document_enter_array(&x->d));
        while ((element = mill__document_next_element(&x->d)) > 0) {
            return mill_fail(x->d.err, MILL_EDATA, "'%s' are not supported, only float features are", name);
        }
        MILL_TRY(element);
    }
    return more;
}

/* model_info.params.loss_function.type, wherever the exporter nests it below model_info. */
static int read_loss(struct mill__cat *x, unsigned level)
{
    static const char *const path[] = {"params", "loss_function", "type"};
    struct mill_slice key, text;
    int more = 0;
    MILL_TRY(mill__document_enter_object(&x->d));
    while ((more = mill__document_next_key(&x->d, &key)) > 0) {
        int kind = mill__document_peek(&x->d);
        if (!mill_slice_is(key, path[level])) {
            MILL_TRY(mill__document_skip(&x->d));
        } else if (level == 2 && kind == MILL__VALUE_STRING) {
            MILL_TRY(mill__document_string(&x->d, &text));
            snprintf(x->loss, sizeof(x->loss), "%.*s", (int)(text.n < 63 ? text.n : 63), text.p);
        } else if (level < 2 && kind == MILL__VALUE_OBJECT) {
            MILL_TRY(read_loss(x, level + 1));
        } else {
            MILL_TRY(mill__document_skip(&x->d));
        }
    }
    return more;
}

/* [scale, [bias of each dimension]] */
static int read_scale(struct mill__cat *x)
{
    MILL_TRY(mill__document_enter_array(&x->d));
    if (mill__document_next_element(&x->d) <= 0) {
        return mill_fail(x->d.err, MILL_EDATA, "scale_and_bias is empty");
    }
    MILL_TRY(mill__document_double(&x->d, &x->forest->scale));
    int more = mill__document_next_element(&x->d);
    MILL_TRY(more);
    if (more > 0) {
        MILL_TRY(mill__document_doubles(&x->d, &x->bias));
        more = mill__document_next_element(&x->d);
    }
    x->has_scale = true;
    return more > 0 ? mill_fail(x->d.err, MILL_EDATA, "scale_and_bias has more than two entries") : more;
}

static int read_document(struct mill__cat *x)
{
    struct mill_slice key;
    int more = 0;
    MILL_TRY(mill__document_enter_object(&x->d));
    while ((more = mill__document_next_key(&x->d, &key)) > 0) {
        bool oblivious = mill_slice_is(key, "oblivious_trees");
        if (oblivious || mill_slice_is(key, "trees")) {
            if (x->has_trees) {
                return mill_fail(x->d.err, MILL_EDATA, "the trees stand twice");
            }
            x->has_trees = true;
            x->oblivious = oblivious;
            x->trees_at = x->d;
            MILL_TRY(mill__document_skip(&x->d));
        } else if (mill_slice_is(key, "features_info")) {
            MILL_TRY(read_features_info(x));
        } else if (mill_slice_is(key, "scale_and_bias")) {
            MILL_TRY(read_scale(x));
        } else if (mill_slice_is(key, "model_info") && mill__document_peek(&x->d) == MILL__VALUE_OBJECT) {
            MILL_TRY(read_loss(x, 0));
        } else {
            MILL_TRY(mill__document_skip(&x->d));
        }
    }
    MILL_TRY(more);
    return mill__document_end(&x->d);
}

static const struct {
    const char *loss;
    enum mill__link link;
} links[] = {
    {"Logloss", MILL__LINK_CATBOOST_BINARY},
    {"CrossEntropy", MILL__LINK_CATBOOST_BINARY},
    {"Focal", MILL__LINK_CATBOOST_BINARY},
    {"MultiLogloss", MILL__LINK_LOGISTIC},
    {"MultiCrossEntropy", MILL__LINK_LOGISTIC},
    {"MultiClass", MILL__LINK_SOFTMAX},
    {"MultiClassOneVsAll", MILL__LINK_LOGISTIC},
    {"Poisson", MILL__LINK_EXP},
    {"Tweedie", MILL__LINK_EXP},
};

static void choose_link(struct mill__cat *x)
{
    struct mill__forest *forest = x->forest;
    forest->link_param = 1;
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
        if (mill_slice_is(mill_slice_of(x->loss), links[i].loss)) {
            forest->link = links[i].link;
        }
    }
    if (forest->link == MILL__LINK_CATBOOST_BINARY && forest->margin_count == 1) {
        forest->output_count = 2;
    } else if (forest->link == MILL__LINK_CATBOOST_BINARY) {
        forest->link = MILL__LINK_LOGISTIC;
    }
}

/* Names from feature_id where every column of the model has one. */
static void take_names(struct mill__cat *x)
{
    struct mill__forest *forest = x->forest;
    bool all = x->features.n == forest->feature_count && forest->feature_count > 0;
    for (uint32_t i = 0; all && i < x->features.n; i++) {
        all = x->features.at[i].flat == i && x->features.at[i].name != NULL && x->features.at[i].name[0] != 0;
    }
    if (!all) {
        return;
    }
    struct mill__names names = {0};
    for (uint32_t i = 0; i < x->features.n; i++) {
        mill__names_add(&names, mill_slice_of(x->features.at[i].name));
    }
    forest->feature_names = mill__names_take(&names);
}

static int import(struct mill__cat *x)
{
    struct mill__forest *forest = x->forest;
    MILL_TRY(read_document(x));
    if (!x->has_trees) {
        return mill_fail(x->d.err, MILL_EDATA, "neither 'oblivious_trees' nor 'trees' is there");
    }
    if (!x->has_scale) {
        mill__push(&x->bias, 0.0);
    }
    forest->feature_count = (uint32_t)(x->flat_max + 1);
    forest->sums_f64 = true;
    forest->base_last = true;
    take_names(x);
    MILL_TRY(mill__forest_set_outputs(forest, x->bias.n, x->bias.n, x->d.err));
    for (uint32_t k = 0; k < forest->margin_count; k++) {
        forest->base[k] = x->bias.at[k];
    }
    forest->objective = mill_strdup(x->loss);
    choose_link(x);
    x->d = x->trees_at;
    int more = 0;
    MILL_TRY(mill__document_enter_array(&x->d));
    while ((more = mill__document_next_element(&x->d)) > 0) {
        uint32_t index = forest->trees.n;
        int rc = x->oblivious ? mill__cat_oblivious_tree(x) : mill__cat_nested_tree(x);
        if (rc < 0) {
            mill_error_prefix(x->d.err, "tree %u", index);
            return rc;
        }
    }
    if (x->covers_missing) {
        forest->node_covers.n = forest->leaf_covers.n = 0;
    }
    return more;
}

int mill__import_catboost(struct mill_slice bytes, struct mill__forest *forest, struct mill_error *err)
{
    struct mill_buffer unescaped = {0};
    struct mill_error ignored;
    struct mill__cat x = {.forest = forest, .flat_max = -1};
    mill__document_open(&x.d, bytes, false, &unescaped, err == NULL ? &ignored : err);
    int rc = import(&x);
    for (uint32_t i = 0; i < x.features.n; i++) {
        free(x.features.at[i].name);
    }
    free(x.features.at);
    free(x.bias.at);
    free(x.raw.at);
    free(x.values.at);
    free(x.weights.at);
    mill__tree_builder_clear(&x.builder);
    mill_buffer_clear(&unescaped);
    return rc < 0 ? MILL_EDATA : 0;
}

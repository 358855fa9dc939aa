/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XGBoost models, JSON and UBJSON, 1.0 to 3.4.
 *
 * One pass over the document collects everything but the trees, whose position is noted (names come sorted, so the
 * parameters that trees depend on stand behind them); then the trees are read from there. Dart weights have stood in
 * three places over the years: beside the inner "gbtree" (until 3.2), beside "model" (3.3), inside "model" (3.4).
 */
#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/number.h"
#include "inference/import/xgboost_internal.h"

/* Integers of the parameter blocks are strings: "8". */
static int read_int_text(struct mill__document *d, int64_t *ret_value)
{
    struct mill_slice text;
    if (mill__document_peek(d) == MILL__VALUE_NUMBER) {
        return mill__document_int(d, ret_value);
    }
    MILL_TRY(mill__document_string(d, &text));
    const char *end = text.p + text.n;
    if (mill_number_parse_int64(text.p, end, ret_value) != end || *ret_value < 0) {
        return mill_fail(d->err, MILL_EDATA, "'%.*s' is not a count", (int)(text.n < 40 ? text.n : 40), text.p);
    }
    return 0;
}

/* "5E-1", "[5E-1]" or "[1E0,2E0]". */
static int read_base_score(struct mill__xgb *x)
{
    struct mill_slice text;
    MILL_TRY(mill__document_string(&x->d, &text));
    const char *p = text.p, *end = text.p + text.n;
    bool list = p < end && (*p == '[' || *p == '(');
    p += list;
    x->base_score.n = 0;
    while (p != NULL && p < end) {
        float value = 0;
        p = mill_number_parse_float(p, end, &value);
        if (p == NULL) {
            break;
        }
        mill__push(&x->base_score, value);
        if (list && p < end && *p == ',') {
            p++;
        } else {
            p += list && p < end && (*p == ']' || *p == ')');
            break;
        }
    }
    if (p != end || x->base_score.n == 0) {
        return mill_fail(x->d.err, MILL_EDATA, "base_score '%.*s' is neither a number nor a list of numbers",
                         (int)(text.n < 40 ? text.n : 40), text.p);
    }
    return 0;
}

static int read_model_param(struct mill__xgb *x)
{
    struct mill_slice key;
    int more = 0;
    MILL_TRY(mill__document_enter_object(&x->d));
    while ((more = mill__document_next_key(&x->d, &key)) > 0) {
        if (mill_slice_is(key, "base_score")) {
            MILL_TRY(read_base_score(x));
        } else if (mill_slice_is(key, "num_class")) {
            MILL_TRY(read_int_text(&x->d, &x->class_count));
        } else if (mill_slice_is(key, "num_target")) {
            MILL_TRY(read_int_text(&x->d, &x->target_count));
        } else if (mill_slice_is(key, "num_feature")) {
            MILL_TRY(read_int_text(&x->d, &x->feature_count));
        } else {
            MILL_TRY(mill__document_skip(&x->d));
        }
    }
    x->has_model_param = true;
    return more;
}

static int read_objective(struct mill__xgb *x)
{
    struct mill_slice key, text;
    int more = 0;
    MILL_TRY(mill__document_enter_object(&x->d));
    while ((more = mill__document_next_key(&x->d, &key)) > 0) {
        if (mill_slice_is(key, "name")) {
            MILL_TRY(mill__document_string(&x->d, &text));
            size_t n = text.n < sizeof(x->objective) - 1 ? text.n : sizeof(x->objective) - 1;
            memcpy(x->objective, text.p, n);
            x->objective[n] = 0;
            x->has_objective = true;
        } else {
            MILL_TRY(mill__document_skip(&x->d));
        }
    }
    return more;
}

static int read_names(struct mill__xgb *x, struct mill__names *names)
{
    int more = mill__document_enter_array(&x->d);
    while (more >= 0 && (more = mill__document_next_element(&x->d)) > 0) {
        struct mill_slice text;
        more = mill__document_string(&x->d, &text);
        if (more >= 0) {
            mill__names_add(names, text);
        }
    }
    return more;
}

/* "cats" (3.1 and later) holds the dictionaries of string categories; without entries inputs are codes. */
static int refuse_dictionaries(struct mill__xgb *x)
{
    struct mill_slice key;
    int more = 0;
    MILL_TRY(mill__document_enter_object(&x->d));
    while ((more = mill__document_next_key(&x->d, &key)) > 0) {
        if (!mill_slice_is(key, "enc")) {
            MILL_TRY(mill__document_skip(&x->d));
            continue;
        }
        MILL_TRY(mill__document_enter_array(&x->d));
        while ((more = mill__document_next_element(&x->d)) > 0) {
            /* A numeric feature among categorical ones has an entry without values. */
            MILL_TRY(mill__document_skip(&x->d));
        }
        MILL_TRY(more);
    }
    return more;
}

static int read_model(struct mill__xgb *x)
{
    struct mill_slice key;
    int more = 0;
    MILL_TRY(mill__document_enter_object(&x->d));
    while ((more = mill__document_next_key(&x->d, &key)) > 0) {
        if (mill_slice_is(key, "trees")) {
            if (x->has_trees) {
                return mill_fail(x->d.err, MILL_EDATA, "'trees' stands twice");
            }
            x->has_trees = true;
            x->trees_at = x->d;
            MILL_TRY(mill__document_skip(&x->d));
        } else if (mill_slice_is(key, "tree_info")) {
            MILL_TRY(mill__document_ints(&x->d, &x->tree_info));
        } else if (mill_slice_is(key, "weight_drop")) {
            MILL_TRY(mill__document_floats(&x->d, &x->weight_drop));
        } else if (mill_slice_is(key, "cats") && mill__document_peek(&x->d) == MILL__VALUE_OBJECT) {
            MILL_TRY(refuse_dictionaries(x));
        } else {
            MILL_TRY(mill__document_skip(&x->d));
        }
    }
    return more;
}

static int read_booster(struct mill__xgb *x, unsigned nesting)
{
    struct mill_slice key, text;
    int more = 0;
    MILL_TRY(mill__document_enter_object(&x->d));
    while ((more = mill__document_next_key(&x->d, &key)) > 0) {
        if (mill_slice_is(key, "name")) {
            MILL_TRY(mill__document_string(&x->d, &text));
            if (!mill_slice_is(text, "gbtree") && !mill_slice_is(text, "dart")) {
                return mill_fail(x->d.err, MILL_EDATA, "the booster '%.*s' is not supported, expected gbtree or dart",
                                 (int)(text.n < 40 ? text.n : 40), text.p);
            }
            x->has_booster = true;
        } else if (mill_slice_is(key, "gbtree") && nesting == 0) {
            MILL_TRY(read_booster(x, 1));
        } else if (mill_slice_is(key, "model")) {
            MILL_TRY(read_model(x));
        } else if (mill_slice_is(key, "weight_drop")) {
            MILL_TRY(mill__document_floats(&x->d, &x->weight_drop));
        } else {
            MILL_TRY(mill__document_skip(&x->d));
        }
    }
    return more;
}

static int read_learner(struct mill__xgb *x, struct mill__names *names)
{
    struct mill_slice key;
    int more = 0;
    MILL_TRY(mill__document_enter_object(&x->d));
    while ((more = mill__document_next_key(&x->d, &key)) > 0) {
        const bool again = (mill_slice_is(key, "learner_model_param") && x->has_model_param) ||
                           (mill_slice_is(key, "objective") && x->has_objective) ||
                           (mill_slice_is(key, "gradient_booster") && x->has_booster);
        if (again) {
            return mill_fail(x->d.err, MILL_EDATA, "'%.*s' stands twice", (int)key.n, key.p);
        }
        if (mill_slice_is(key, "learner_model_param")) {
            MILL_TRY(read_model_param(x));
        } else if (mill_slice_is(key, "objective")) {
            MILL_TRY(read_objective(x));
        } else if (mill_slice_is(key, "gradient_booster")) {
            MILL_TRY(read_booster(x, 0));
        } else if (mill_slice_is(key, "feature_names") && names->count == 0) {
            MILL_TRY(read_names(x, names));
        } else {
            MILL_TRY(mill__document_skip(&x->d));
        }
    }
    return more;
}

static int read_document(struct mill__xgb *x, struct mill__names *names)
{
    struct mill_slice key;
    mill__ints version = {0};
    int more = mill__document_enter_object(&x->d);
    while (more >= 0 && (more = mill__document_next_key(&x->d, &key)) > 0) {
        if (mill_slice_is(key, "learner")) {
            more = read_learner(x, names);
        } else if (mill_slice_is(key, "version")) {
            more = mill__document_ints(&x->d, &version);
            x->has_version = version.n == 3;
        } else {
            more = mill__document_skip(&x->d);
        }
    }
    if (more >= 0 && x->has_version) {
        x->major = version.at[0];
        x->minor = version.at[1];
        struct mill_buffer text = {0};
        mill_buffer_printf(&text, "%d.%d.%d", version.at[0], version.at[1], version.at[2]);
        x->forest->trainer_version = mill__copy_text(mill_buffer_slice(&text));
        mill_buffer_clear(&text);
    }
    free(version.at);
    return more < 0 ? more : mill__document_end(&x->d);
}

static int check_parts(struct mill__xgb *x)
{
    const char *missing = !x->has_version       ? "version"
                          : !x->has_model_param ? "learner.learner_model_param"
                          : !x->has_objective   ? "learner.objective.name"
                          : !x->has_booster     ? "learner.gradient_booster.name"
                          : !x->has_trees       ? "learner.gradient_booster.model.trees"
                                                : NULL;
    if (missing != NULL) {
        return mill_fail(x->d.err, MILL_EDATA, "'%s' is missing; hint: is this a model saved with save_model()?",
                         missing);
    }
    if (x->major < 1 || x->major > 99) {
        return mill_fail(x->d.err, MILL_EDATA, "version %lld, expected 1.0 or later", (long long)x->major);
    }
    if (x->class_count > 1 && x->target_count > 1) {
        return mill_fail(x->d.err, MILL_EDATA, "%lld classes and %lld targets at once are not supported",
                         (long long)x->class_count, (long long)x->target_count);
    }
    if (x->feature_count > MILL__FEATURES_MAX) {
        return mill_fail(x->d.err, MILL_EDATA, "num_feature is %lld, expected at most %d", (long long)x->feature_count,
                         MILL__FEATURES_MAX);
    }
    return 0;
}

static int read_trees(struct mill__xgb *x)
{
    struct mill__forest *forest = x->forest;
    x->d = x->trees_at;
    MILL_TRY(mill__document_enter_array(&x->d));
    int more = 0;
    while ((more = mill__document_next_element(&x->d)) > 0) {
        uint32_t index = forest->trees.n;
        if (mill__xgb_read_tree(x, index) < 0) {
            mill_error_prefix(x->d.err, "tree %u", index);
            return MILL_EDATA;
        }
    }
    if (more < 0) {
        return more;
    }
    if (x->tree_info.n != forest->trees.n) {
        return mill_fail(x->d.err, MILL_EDATA, "tree_info has %u entries for %u trees", x->tree_info.n,
                         forest->trees.n);
    }
    if (x->covers_missing > 0) {
        forest->node_covers.n = forest->leaf_covers.n = 0;
    }
    return 0;
}

/* The names go to the forest where there are as many as features. */
static int keep_names(struct mill__xgb *x, struct mill__names *names)
{
    if (names->count == 0) {
        return 0;
    }
    if (names->count != x->feature_count) {
        return mill_fail(x->d.err, MILL_EDATA, "%u feature names for %lld features", names->count,
                         (long long)x->feature_count);
    }
    x->forest->feature_names = mill__names_take(names);
    return 0;
}

static int import(struct mill__xgb *x)
{
    struct mill__names names = {0};
    int rc = read_document(x, &names);
    rc = rc < 0 ? rc : check_parts(x);
    rc = rc < 0 ? rc : keep_names(x, &names);
    mill__names_clear(&names);
    MILL_TRY(rc);
    x->forest->feature_count = (uint32_t)x->feature_count;
    x->forest->objective = mill_strdup(x->objective);
    int64_t outputs = x->class_count > x->target_count ? x->class_count : x->target_count;
    outputs = outputs < 1 ? 1 : outputs;
    MILL_TRY(mill__forest_set_outputs(x->forest, (uint64_t)outputs, 1, x->d.err));
    MILL_TRY(mill__xgb_apply_objective(x));
    return read_trees(x);
}

static int import_document(struct mill_slice bytes, bool is_binary, struct mill__forest *forest, struct mill_error *err)
{
    struct mill_buffer unescaped = {0};
    struct mill_error ignored;
    struct mill__xgb x = {.forest = forest, .target_count = 1};
    mill__document_open(&x.d, bytes, is_binary, &unescaped, err == NULL ? &ignored : err);
    int rc = import(&x);
    mill__xgb_tree_clear(&x.tree);
    mill__tree_builder_clear(&x.builder);
    free(x.raw.at);
    free(x.vectors.at);
    free(x.tree_info.at);
    free(x.weight_drop.at);
    free(x.base_score.at);
    mill_buffer_clear(&unescaped);
    return rc < 0 ? MILL_EDATA : 0;
}

int mill__import_xgboost_json(struct mill_slice bytes, struct mill__forest *forest, struct mill_error *err)
{
    return import_document(bytes, false, forest, err);
}

int mill__import_xgboost_ubjson(struct mill_slice bytes, struct mill__forest *forest, struct mill_error *err)
{
    return import_document(bytes, true, forest, err);
}

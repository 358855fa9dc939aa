/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LightGBM text models, v2 to v4: the header up to the first tree, then blocks of key=value lines.
 *
 * What LightGBM does to values before it compares them is folded into the forest: |x| <= 1e-35f counts as 0.0, so a
 * threshold inside that range moves to its edge; NaN counts as 0.0 where the node knows no missing values, so the
 * node's default is decided by its threshold.
 */
#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "inference/import/lightgbm_internal.h"

static struct mill_slice cut_line(struct mill_slice *rest)
{
    const char *newline = memchr(rest->p, '\n', rest->n);
    struct mill_slice line = {rest->p, newline == NULL ? rest->n : (size_t)(newline - rest->p)};
    size_t taken = line.n + (newline != NULL);
    rest->p += taken;
    rest->n -= taken;
    if (line.n > 0 && line.p[line.n - 1] == '\r') {
        line.n--;
    }
    return line;
}

static bool starts_with(struct mill_slice text, const char *prefix)
{
    size_t n = strlen(prefix);
    return text.n >= n && memcmp(text.p, prefix, n) == 0;
}

/* "key=value"; a line without '=' is a key without a value. */
static void split_line(struct mill_slice line, struct mill_slice *key, struct mill_slice *value)
{
    const char *equals = line.n == 0 ? NULL : memchr(line.p, '=', line.n);
    *key = equals == NULL ? line : (struct mill_slice){line.p, (size_t)(equals - line.p)};
    *value =
        equals == NULL ? (struct mill_slice){line.p + line.n, 0} : (struct mill_slice){equals + 1, line.n - key->n - 1};
}

int mill__lgb_int(struct mill_slice text, int64_t least, int64_t most, int64_t *ret_value)
{
    int64_t value = 0;
    const char *end = text.p + text.n;
    if (mill_number_parse_int64(text.p, end, &value) != end || value < least || value > most) {
        return MILL_EDATA;
    }
    *ret_value = value;
    return 0;
}

static int header_int(struct mill__lgb *x, struct mill_slice key, struct mill_slice value, int64_t least, int64_t most,
                      int64_t *ret_value)
{
    if (mill__lgb_int(value, least, most, ret_value) < 0) {
        return mill_fail(x->err, MILL_EDATA, "'%.*s=%.*s': expected a whole number from %lld to %lld", (int)key.n,
                         key.p, (int)(value.n < 40 ? value.n : 40), value.p, (long long)least, (long long)most);
    }
    return 0;
}

static int read_names(struct mill__lgb *x, struct mill_slice value)
{
    const char *p = value.p, *end = value.p + value.n;
    while (p < end) {
        const char *space = memchr(p, ' ', (size_t)(end - p));
        const char *stop = space == NULL ? end : space;
        if (stop > p) {
            mill__names_add(&x->names, (struct mill_slice){p, (size_t)(stop - p)});
        }
        p = stop + 1;
    }
    return 0;
}

static int read_header_line(struct mill__lgb *x, struct mill_slice line)
{
    struct mill_slice key, value;
    split_line(line, &key, &value);
    if ((mill_slice_is(key, "max_feature_idx") && x->feature_max >= 0) ||
        (mill_slice_is(key, "objective") && x->objective.n > 0)) {
        return mill_fail(x->err, MILL_EDATA, "'%.*s' stands twice", (int)key.n, key.p);
    }
    if (mill_slice_is(key, "num_class")) {
        return header_int(x, key, value, 1, MILL__OUTPUTS_MAX, &x->class_count);
    }
    if (mill_slice_is(key, "num_tree_per_iteration")) {
        return header_int(x, key, value, 1, MILL__OUTPUTS_MAX, &x->per_iteration);
    }
    if (mill_slice_is(key, "max_feature_idx")) {
        return header_int(x, key, value, 0, MILL__FEATURES_MAX - 1, &x->feature_max);
    }
    if (mill_slice_is(key, "objective")) {
        x->objective = value;
    } else if (mill_slice_is(key, "average_output")) {
        x->averages = true;
    } else if (mill_slice_is(key, "version")) {
        if (x->forest->trainer_version == NULL) {
            x->forest->trainer_version = mill__copy_text(value);
        }
    } else if (mill_slice_is(key, "feature_names") && x->names.count == 0) {
        return read_names(x, value);
    }
    return 0;
}

static int start_forest(struct mill__lgb *x)
{
    struct mill__forest *forest = x->forest;
    if (x->feature_max < 0) {
        return mill_fail(x->err, MILL_EDATA, "'max_feature_idx' is missing");
    }
    forest->cells_f64 = forest->sums_f64 = forest->zeroes_small = true;
    forest->feature_count = (uint32_t)x->feature_max + 1;
    if (x->names.count != 0 && x->names.count != forest->feature_count) {
        return mill_fail(x->err, MILL_EDATA, "%u feature names for %u features", x->names.count, forest->feature_count);
    }
    forest->feature_names = x->names.count == 0 ? NULL : mill__names_take(&x->names);
    int64_t outputs = x->per_iteration > 0 ? x->per_iteration : x->class_count;
    MILL_TRY(mill__forest_set_outputs(forest, (uint64_t)outputs, 1, x->err));
    return mill__lgb_apply_objective(x);
}

/* The lines of one tree, up to the next or the end of trees. */
static int read_tree(struct mill__lgb *x, struct mill_slice *rest, uint32_t index)
{
    struct mill__lgb_tree *tree = &x->tree;
    memset(tree->lines, 0, sizeof(tree->lines));
    tree->begin = rest->p;
    while (rest->n > 0) {
        struct mill_slice before = *rest, line = cut_line(rest), key, value;
        if (starts_with(line, "Tree=") || starts_with(line, "end of trees") ||
            starts_with(line, "feature_importances") || starts_with(line, "feature importances")) {
            *rest = before;
            break;
        }
        split_line(line, &key, &value);
        struct mill_slice *known = mill__lgb_line(tree, key);
        if (known == NULL) {
            continue;
        }
        if (known->p != NULL) {
            return mill_fail(x->err, MILL_EDATA, "tree %u: '%.*s' stands twice", index, (int)key.n, key.p);
        }
        *known = value;
    }
    tree->end = rest->p;
    if (mill__lgb_add_tree(x, index) < 0) {
        mill_error_prefix(x->err, "tree %u", index);
        return MILL_EDATA;
    }
    return 0;
}

static int read_trees(struct mill__lgb *x, struct mill_slice *rest)
{
    uint32_t index = 0;
    while (rest->n > 0) {
        struct mill_slice line = cut_line(rest);
        if (starts_with(line, "Tree=")) {
            int64_t number = 0;
            if (mill__lgb_int((struct mill_slice){line.p + 5, line.n - 5}, 0, INT32_MAX, &number) < 0 ||
                number != index) {
                return mill_fail(x->err, MILL_EDATA, "'%.*s': expected 'Tree=%u'", (int)(line.n < 40 ? line.n : 40),
                                 line.p, index);
            }
            MILL_TRY(read_tree(x, rest, index));
            index++;
        } else if (starts_with(line, "end of trees") || starts_with(line, "feature_importances") ||
                   starts_with(line, "feature importances")) {
            return 0;
        }
    }
    return mill_fail(x->err, MILL_EDATA, "the file ends before 'end of trees'");
}

static int import(struct mill__lgb *x, struct mill_slice bytes)
{
    struct mill_slice rest = bytes;
    while (rest.n > 0 && !starts_with(rest, "Tree=") && !starts_with(rest, "end of trees")) {
        MILL_TRY(read_header_line(x, cut_line(&rest)));
    }
    MILL_TRY(start_forest(x));
    MILL_TRY(read_trees(x, &rest));
    struct mill__forest *forest = x->forest;
    if (forest->trees.n % forest->margin_count != 0) {
        return mill_fail(x->err, MILL_EDATA, "%u trees are not a multiple of the %u of an iteration", forest->trees.n,
                         forest->margin_count);
    }
    if (x->averages && forest->trees.n > 0) {
        forest->prediction_divisor = forest->trees.n / forest->margin_count;
    }
    if (x->covers_missing) {
        forest->node_covers.n = forest->leaf_covers.n = 0;
    }
    return 0;
}

int mill__import_lightgbm(struct mill_slice bytes, struct mill__forest *forest, struct mill_error *err)
{
    struct mill_error ignored;
    struct mill__lgb x = {.forest = forest,
                          .err = err == NULL ? &ignored : err,
                          .class_count = 1,
                          .per_iteration = 0,
                          .feature_max = -1,
                          .objective = {"", 0}};
    int rc = import(&x, bytes);
    mill__names_clear(&x.names);
    free(x.raw.at);
    free(x.words.at);
    mill__tree_builder_clear(&x.builder);
    return rc < 0 ? MILL_EDATA : 0;
}

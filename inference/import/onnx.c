/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ONNX models: the graph around a tree ensemble.
 *
 * The walk starts at the graph's inputs and follows the nodes in the order of the file (which is topological). Tensors
 * in front of the ensemble are lists of columns; operators that work on columns (Scaler, Imputer, arithmetic with
 * constants, Clip, Cast, Concat, ArrayFeatureExtractor) become steps that a feature goes through. Behind the ensemble
 * Identity, Cast, ZipMap and a multiplication by one change nothing, Exp and arithmetic with a constant become steps of
 * a regressor's prediction. Any other operator is an error that names it.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "inference/import/onnx_internal.h"

enum { MATRICES_MAX = 256, INPUTS_MAX = 4096, COLUMNS_FREE = 32768 };

/* A tensor of features on its way to the ensemble: columns first .. first + count of `columns`. */
struct matrix {
    struct mill_slice name;
    uint32_t first, count;
};

/* One column: which feature of the model's input, and the last step that was done to it, or NONE. */
struct column {
    uint32_t feature;
    uint32_t last;
};
struct chained {
    struct mill__step step;
    uint32_t previous;
};
enum { NONE = -1, UNSEEN = -2, CHAIN_MAX = 16 };

struct walk {
    struct mill__onnx *x;
    struct matrix matrices[MATRICES_MAX];
    uint32_t matrix_count;
    MILL__VECTOR(struct column) columns;
    MILL__VECTOR(struct chained) chain;
    MILL__VECTOR(struct mill_slice) input_names;
    uint32_t feature_count;
    bool narrow; /* every input is one column wide: their names are the features' */
    bool unknown_width;
    struct mill_slice derived[64]; /* tensors behind the ensemble */
    uint32_t derived_count;
};

static int fail_node(struct mill__onnx *x, const struct mill__onnx_node *node, const char *why)
{
    struct mill_slice name = node->name.n > 0 ? node->name : node->outputs[0];
    return mill_fail(x->err, MILL_EDATA, "node '%.*s' (%.*s): %s", (int)(name.n < 60 ? name.n : 60), name.p,
                     (int)(node->op.n < 40 ? node->op.n : 40), node->op.p, why);
}

int mill__onnx_read_node(struct mill_slice message, struct mill__onnx_node *node, struct mill_error *err)
{
    struct mill__pb pb = mill__pb_open(message);
    memset(node, 0, sizeof(*node));
    node->message = message;
    while (mill__pb_next(&pb)) {
        if (pb.wire != 2) {
            continue;
        }
        if (pb.field == 1 && node->input_count < sizeof(node->inputs) / sizeof(node->inputs[0])) {
            node->inputs[node->input_count++] = pb.bytes;
        } else if (pb.field == 2 && node->output_count < sizeof(node->outputs) / sizeof(node->outputs[0])) {
            node->outputs[node->output_count++] = pb.bytes;
        } else if (pb.field == 1 || pb.field == 2) {
            return mill_fail(err, MILL_EDATA, "a node with more than 64 inputs or 8 outputs");
        } else if (pb.field == 3) {
            node->name = pb.bytes;
        } else if (pb.field == 4) {
            node->op = pb.bytes;
        } else if (pb.field == 7) {
            node->domain = pb.bytes;
        }
    }
    return pb.at.bad ? mill_fail(err, MILL_EDATA, "a node is cut or malformed") : 0;
}

static struct matrix *find_matrix(struct walk *w, struct mill_slice name)
{
    for (uint32_t i = 0; i < w->matrix_count; i++) {
        if (mill_slice_equal(w->matrices[i].name, name)) {
            return &w->matrices[i];
        }
    }
    return NULL;
}

static bool is_derived(const struct walk *w, struct mill_slice name)
{
    for (uint32_t i = 0; i < w->derived_count; i++) {
        if (mill_slice_equal(w->derived[i], name)) {
            return true;
        }
    }
    return false;
}

/* Columns and their steps are cheap to write and dear to hold. */
static int check_columns(const struct walk *w)
{
    size_t n = w->columns.n > w->chain.n ? w->columns.n : w->chain.n;
    if (n > COLUMNS_FREE && n > w->x->graph.n / 8) {
        return mill_fail(w->x->err, MILL_EDATA, "%zu columns on their way in a graph of %zu bytes", n, w->x->graph.n);
    }
    return 0;
}

static int add_matrix(struct walk *w, struct mill_slice name, uint32_t first, uint32_t count)
{
    MILL_TRY(check_columns(w));
    if (w->matrix_count == MATRICES_MAX) {
        return mill_fail(w->x->err, MILL_EDATA, "more than %d tensors in front of the ensemble", MATRICES_MAX);
    }
    w->matrices[w->matrix_count++] = (struct matrix){name, first, count};
    return 0;
}

/* ValueInfoProto.type.tensor_type: the second dimension, or 0 where it is not fixed. */
static bool tensor_width(struct mill_slice type, uint64_t *ret_width)
{
    struct mill__pb pb = mill__pb_open(type), inner;
    struct mill_slice shape = {NULL, 0};
    bool tensor = false;
    while (mill__pb_next(&pb)) {
        if (pb.field == 1 && pb.wire == 2) {
            tensor = true;
            inner = mill__pb_open(pb.bytes);
            while (mill__pb_next(&inner)) {
                shape = inner.field == 2 && inner.wire == 2 ? inner.bytes : shape;
            }
        }
    }
    uint32_t dimension = 0;
    *ret_width = 0;
    pb = mill__pb_open(shape);
    while (mill__pb_next(&pb)) {
        if (pb.field == 1 && pb.wire == 2 && dimension++ == 1) {
            inner = mill__pb_open(pb.bytes);
            while (mill__pb_next(&inner)) {
                *ret_width = inner.field == 1 && inner.wire == 0 ? inner.value : *ret_width;
            }
        }
    }
    return tensor;
}

static int add_input(struct walk *w, struct mill_slice message)
{
    struct mill__pb pb = mill__pb_open(message);
    struct mill_slice name = {NULL, 0}, type = {NULL, 0};
    uint64_t width = 0;
    while (mill__pb_next(&pb)) {
        name = pb.field == 1 && pb.wire == 2 ? pb.bytes : name;
        type = pb.field == 2 && pb.wire == 2 ? pb.bytes : type;
    }
    if (!tensor_width(type, &width) || width > MILL__FEATURES_MAX / 64 || w->input_names.n == INPUTS_MAX) {
        return mill_fail(w->x->err, MILL_EDATA, "the input '%.*s' is not a matrix of numbers of known width",
                         (int)(name.n < 60 ? name.n : 60), name.p);
    }
    mill__push(&w->input_names, name);
    w->narrow &= width == 1;
    w->unknown_width |= width == 0;
    if (width == 0) {
        width = 4096; /* narrowed to the features that trees test, at the end */
    }
    if (w->feature_count + width > COLUMNS_FREE && w->feature_count + width > w->x->graph.n / 8) {
        return mill_fail(w->x->err, MILL_EDATA, "%llu columns in a graph of %zu bytes",
                         (unsigned long long)(w->feature_count + width), w->x->graph.n);
    }
    MILL_TRY(add_matrix(w, name, w->columns.n, (uint32_t)width));
    for (uint32_t i = 0; i < width; i++) {
        struct column column = {.feature = w->feature_count++, .last = (uint32_t)NONE};
        mill__push(&w->columns, column);
    }
    return 0;
}

/* New columns after the old ones: a copy of a matrix that the operator then changes. */
static uint32_t copy_columns(struct walk *w, const struct matrix *from)
{
    uint32_t first = w->columns.n;
    for (uint32_t i = 0; i < from->count; i++) {
        struct column column = w->columns.at[from->first + i];
        mill__push(&w->columns, column);
    }
    return first;
}

/* Attribute of one number for all columns or one for each. */
static double at_column(const mill__doubles *numbers, uint32_t i, double fallback)
{
    return numbers->n == 0 ? fallback : numbers->at[numbers->n == 1 ? 0 : i];
}

/* Adds steps of one kind to the columns first .. first + count, with a number for each or one for all. */
static void chain_steps(struct walk *w, uint32_t first, uint32_t count, enum mill__step_kind kind,
                        const mill__doubles *a, const mill__doubles *b)
{
    for (uint32_t i = 0; i < count; i++) {
        struct column *column = &w->columns.at[first + i];
        struct chained link = {.step = {kind, (float)at_column(a, i, 0), (float)at_column(b, i, 0)},
                               .previous = column->last};
        column->last = w->chain.n;
        mill__push(&w->chain, link);
    }
}

static bool fits(const mill__doubles *numbers, uint32_t count)
{
    return numbers->n <= 1 || numbers->n == count;
}

static int add_scaler(struct walk *w, const struct mill__onnx_node *node, const struct matrix *from)
{
    mill__doubles offset = {0}, scale = {0};
    uint32_t count = from->count, first = copy_columns(w, from);
    int rc = mill__onnx_floats(w->x, node, "offset", &offset, NULL);
    rc = rc < 0 ? rc : mill__onnx_floats(w->x, node, "scale", &scale, NULL);
    if (rc == 0 && !(fits(&offset, count) && fits(&scale, count))) {
        rc = fail_node(w->x, node, "offset and scale do not fit the columns");
    }
    if (rc == 0) {
        if (scale.n == 0) {
            mill__push(&scale, 1.0);
        }
        chain_steps(w, first, count, MILL__STEP_SUBTRACT, &offset, &offset);
        chain_steps(w, first, count, MILL__STEP_MULTIPLY, &scale, &scale);
    }
    free(offset.at);
    free(scale.at);
    return rc < 0 ? rc : add_matrix(w, node->outputs[0], first, count);
}

static int add_imputer(struct walk *w, const struct mill__onnx_node *node, const struct matrix *from)
{
    mill__doubles imputed = {0}, replaced = {0};
    uint32_t count = from->count, first = copy_columns(w, from);
    int rc = mill__onnx_floats(w->x, node, "imputed_value_floats", &imputed, NULL);
    rc = rc < 0 ? rc : mill__onnx_floats(w->x, node, "replaced_value_float", &replaced, NULL);
    if (rc == 0 && (imputed.n == 0 || !fits(&imputed, count) || replaced.n > 1)) {
        rc = fail_node(w->x, node, "imputed_value_floats do not fit the columns");
    }
    if (rc == 0) {
        chain_steps(w, first, count, MILL__STEP_IMPUTE, &replaced, &imputed);
    }
    free(imputed.at);
    free(replaced.at);
    return rc < 0 ? rc : add_matrix(w, node->outputs[0], first, count);
}

/* The numbers of the initializer of that name; false where there is none, or none that can be read. */
static bool find_constant(const struct mill__onnx *x, struct mill_slice name, mill__doubles *out, int64_t *ret_type)
{
    struct mill__pb pb = mill__pb_open(x->graph), tensor;
    while (mill__pb_next(&pb)) {
        struct mill_slice own = {NULL, 0};
        if (pb.field != 5 || pb.wire != 2) {
            continue;
        }
        tensor = mill__pb_open(pb.bytes);
        while (mill__pb_next(&tensor)) {
            own = tensor.field == 8 && tensor.wire == 2 ? tensor.bytes : own;
        }
        if (mill_slice_equal(own, name)) {
            return mill__pb_tensor(pb.bytes, out, ret_type);
        }
    }
    return false;
}

enum { FLOAT_TENSOR = 1 };

/* Sub and Div are given only with the constant second. */
static bool arithmetic(struct mill_slice op, enum mill__step_kind *ret_kind)
{
    static const struct {
        const char *op;
        enum mill__step_kind kind;
    } kinds[] = {{"Add", MILL__STEP_ADD},
                 {"Sub", MILL__STEP_SUBTRACT},
                 {"Mul", MILL__STEP_MULTIPLY},
                 {"Div", MILL__STEP_DIVIDE}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (mill_slice_is(op, kinds[i].op)) {
            *ret_kind = kinds[i].kind;
            return true;
        }
    }
    return false;
}

static int add_arithmetic(struct walk *w, const struct mill__onnx_node *node, const struct matrix *from,
                          enum mill__step_kind kind)
{
    mill__doubles numbers = {0};
    int64_t type = 0;
    uint32_t count = from->count, first = copy_columns(w, from);
    bool known = node->input_count == 2 && find_constant(w->x, node->inputs[1], &numbers, &type) &&
                 type == FLOAT_TENSOR && numbers.n > 0 && fits(&numbers, count);
    if (known) {
        chain_steps(w, first, count, kind, &numbers, &numbers);
    }
    free(numbers.at);
    return known ? add_matrix(w, node->outputs[0], first, count)
                 : fail_node(w->x, node, "expected a constant of floats, one or one for each column, on the right");
}

static int add_clip(struct walk *w, const struct mill__onnx_node *node, const struct matrix *from)
{
    mill__doubles least = {0}, most = {0};
    int64_t least_type = 0, most_type = 0;
    uint32_t count = from->count, first = copy_columns(w, from);
    bool known = node->input_count == 3 && find_constant(w->x, node->inputs[1], &least, &least_type) &&
                 find_constant(w->x, node->inputs[2], &most, &most_type) && least.n == 1 && most.n == 1 &&
                 least_type == FLOAT_TENSOR && most_type == FLOAT_TENSOR && least.at[0] <= most.at[0];
    if (known) {
        chain_steps(w, first, count, MILL__STEP_CLIP, &least, &most);
    }
    free(least.at);
    free(most.at);
    return known ? add_matrix(w, node->outputs[0], first, count)
                 : fail_node(w->x, node, "expected two constants, the smaller first");
}

/* Columns picked by their numbers. */
static int add_extractor(struct walk *w, const struct mill__onnx_node *node, const struct matrix *from)
{
    mill__doubles picked = {0};
    int64_t type = 0;
    struct matrix source = *from;
    uint32_t first = w->columns.n, n = 0;
    bool known = node->input_count == 2 && find_constant(w->x, node->inputs[1], &picked, &type);
    for (; known && n < picked.n; n++) {
        known = picked.at[n] >= 0 && picked.at[n] < source.count;
        if (known) {
            struct column column = w->columns.at[source.first + (uint32_t)picked.at[n]];
            mill__push(&w->columns, column);
        }
    }
    free(picked.at);
    return known && n > 0 ? add_matrix(w, node->outputs[0], first, n)
                          : fail_node(w->x, node, "expected constant numbers of columns that are there");
}

static int add_concat(struct walk *w, const struct mill__onnx_node *node)
{
    uint32_t first = w->columns.n, count = 0;
    int64_t axis = 0;
    MILL_TRY(mill__onnx_int(w->x, node, "axis", 1, &axis));
    if (axis != 1 && axis != -1) {
        return fail_node(w->x, node, "only columns can be concatenated (axis 1)");
    }
    for (uint32_t i = 0; i < node->input_count; i++) {
        const struct matrix *from = find_matrix(w, node->inputs[i]);
        if (from == NULL) {
            return fail_node(w->x, node, "an input that is no matrix of features");
        }
        count += from->count;
        MILL_TRY(check_columns(w));
        copy_columns(w, from);
    }
    return add_matrix(w, node->outputs[0], first, count);
}

/* An operator in front of the ensemble. */
static int before_ensemble(struct walk *w, const struct mill__onnx_node *node, const struct matrix *from)
{
    int64_t to = 0;
    if (mill_slice_is(node->op, "Identity")) {
        return add_matrix(w, node->outputs[0], from->first, from->count);
    }
    if (mill_slice_is(node->op, "Cast")) {
        MILL_TRY(mill__onnx_int(w->x, node, "to", 0, &to));
        return to == 1 || to == 11 ? add_matrix(w, node->outputs[0], from->first, from->count)
                                   : fail_node(w->x, node, "only casts to float and double are supported");
    }
    if (mill_slice_is(node->op, "Scaler")) {
        return add_scaler(w, node, from);
    }
    if (mill_slice_is(node->op, "Imputer")) {
        return add_imputer(w, node, from);
    }
    if (mill_slice_is(node->op, "Concat") || mill_slice_is(node->op, "FeatureVectorizer")) {
        return add_concat(w, node);
    }
    if (mill_slice_is(node->op, "ArrayFeatureExtractor")) {
        return add_extractor(w, node, from);
    }
    if (mill_slice_is(node->op, "Clip")) {
        return add_clip(w, node, from);
    }
    enum mill__step_kind kind;
    if (arithmetic(node->op, &kind)) {
        return add_arithmetic(w, node, from, kind);
    }
    return fail_node(w->x, node, "the operator is not supported in front of a tree ensemble");
}

/* A step of every prediction: Exp, or arithmetic with one constant. A multiplication by one may stand behind anything;
 * what changes a classifier's probabilities may change its label. */
static bool after_step(struct walk *w, const struct mill__onnx_node *node, struct mill__step *ret_step)
{
    mill__doubles numbers = {0};
    int64_t type = 0;
    *ret_step = (struct mill__step){.kind = MILL__STEP_EXP};
    if (mill_slice_is(node->op, "Exp") && node->input_count == 1) {
        return !w->x->is_classifier;
    }
    bool known = arithmetic(node->op, &ret_step->kind) && node->input_count == 2;
    bool second = known && is_derived(w, node->inputs[0]);
    known = known && (second || ret_step->kind == MILL__STEP_MULTIPLY || ret_step->kind == MILL__STEP_ADD) &&
            find_constant(w->x, node->inputs[second ? 1 : 0], &numbers, &type) && type == FLOAT_TENSOR &&
            numbers.n == 1;
    if (known) {
        ret_step->a = (float)numbers.at[0];
        known = !w->x->is_classifier || (ret_step->kind == MILL__STEP_MULTIPLY && !(fabsf(ret_step->a - 1) > 0));
    }
    free(numbers.at);
    return known;
}

static int after_ensemble(struct walk *w, const struct mill__onnx_node *node)
{
    static const char *const harmless[] = {"Identity", "Cast", "ZipMap"};
    struct mill__forest *forest = w->x->forest;
    struct mill__step step;
    bool known = false;
    for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++) {
        known |= mill_slice_is(node->op, harmless[i]);
    }
    if (!known && after_step(w, node, &step) && forest->after.count < CHAIN_MAX) {
        known = true;
        if (!w->x->is_classifier) {
            forest->after.begin = forest->after.count == 0 ? forest->steps.n : forest->after.begin;
            forest->after.count++;
            mill__push(&forest->steps, step);
        }
    }
    if (!known) {
        return fail_node(w->x, node, "the operator is not supported behind a tree ensemble");
    }
    for (uint32_t i = 0; i < node->output_count && w->derived_count < 64; i++) {
        w->derived[w->derived_count++] = node->outputs[i];
    }
    return 0;
}

/* The steps of a column in the order in which they are done. */
static int take_chain(struct walk *w, const struct column *column, struct mill__steps *ret_steps)
{
    struct mill__forest *forest = w->x->forest;
    uint32_t order[CHAIN_MAX], n = 0;
    for (uint32_t at = column->last; at != (uint32_t)NONE; at = w->chain.at[at].previous) {
        if (n == CHAIN_MAX) {
            return mill_fail(w->x->err, MILL_EDATA, "a column goes through more than %d operators", CHAIN_MAX);
        }
        order[n++] = at;
    }
    *ret_steps = (struct mill__steps){forest->steps.n, n};
    while (n > 0) {
        mill__push(&forest->steps, w->chain.at[order[--n]].step);
    }
    return 0;
}

/* Nodes so far test columns of the ensemble; from here on features of the model. A feature that reaches the ensemble in
 * two forms would have to be two. */
static int turn_to_features(struct walk *w, const struct matrix *from, uint32_t *form)
{
    struct mill__forest *forest = w->x->forest;
    for (uint32_t i = 0; i < forest->nodes.n; i++) {
        struct mill__node *node = &forest->nodes.at[i];
        const struct column *column = &w->columns.at[from->first + node->feature];
        node->feature = column->feature;
        if (form[node->feature] == (uint32_t)UNSEEN) {
            form[node->feature] = column->last;
            MILL_TRY(take_chain(w, column, &forest->conditions[node->feature]));
        } else if (form[node->feature] != column->last) {
            return mill_fail(w->x->err, MILL_EDATA, "input column %u reaches the ensemble in two forms",
                             column->feature);
        }
    }
    return 0;
}

/* What is done to each feature, and its name. */
static int take_columns(struct walk *w, const struct matrix *from)
{
    struct mill__forest *forest = w->x->forest;
    forest->feature_count = w->feature_count;
    forest->conditions = mill_calloc((size_t)w->feature_count + 1, sizeof(*forest->conditions));
    uint32_t *form = mill_malloc(((size_t)w->feature_count + 1) * sizeof(*form));
    for (uint32_t f = 0; f < w->feature_count; f++) {
        form[f] = (uint32_t)UNSEEN;
    }
    int rc = turn_to_features(w, from, form);
    free(form);
    MILL_TRY(rc);
    if (forest->steps.n == 0) {
        free(forest->conditions);
        forest->conditions = NULL;
    }
    if (w->narrow) {
        struct mill__names names = {0};
        for (uint32_t i = 0; i < w->feature_count; i++) {
            mill__names_add(&names, w->input_names.at[i]);
        }
        forest->feature_names = mill__names_take(&names);
    }
    return 0;
}

static int enter_ensemble(struct walk *w, const struct mill__onnx_node *node, const struct matrix *from)
{
    struct mill__onnx *x = w->x;
    if (w->derived_count > 0) {
        return fail_node(x, node, "a second ensemble in the graph is not supported");
    }
    x->ensemble = node;
    x->forest->feature_count = from->count;
    int rc = mill_slice_is(node->op, "TreeEnsemble") ? mill__onnx_ensemble5(x) : mill__onnx_ensemble(x);
    if (rc < 0) {
        mill_error_prefix(x->err, "%.*s", (int)node->op.n, node->op.p);
        return rc;
    }
    MILL_TRY(take_columns(w, from));
    for (uint32_t i = 0; i < node->output_count; i++) {
        w->derived[w->derived_count++] = node->outputs[i];
    }
    return 0;
}

static bool is_ensemble(struct mill_slice op)
{
    return mill_slice_is(op, "TreeEnsembleClassifier") || mill_slice_is(op, "TreeEnsembleRegressor") ||
           mill_slice_is(op, "TreeEnsemble");
}

static int walk_node(struct walk *w, struct mill_slice message)
{
    struct mill__onnx_node node;
    MILL_TRY(mill__onnx_read_node(message, &node, w->x->err));
    if (node.input_count == 0 || node.output_count == 0) {
        return fail_node(w->x, &node, "expected inputs and outputs");
    }
    const struct matrix *from = find_matrix(w, node.inputs[0]);
    if (from != NULL) {
        struct matrix copy = *from;
        return is_ensemble(node.op) ? enter_ensemble(w, &node, &copy) : before_ensemble(w, &node, &copy);
    }
    for (uint32_t i = 0; i < node.input_count; i++) {
        if (is_derived(w, node.inputs[i])) {
            return after_ensemble(w, &node);
        }
    }
    return fail_node(w->x, &node, "an input that nothing before it gives");
}

/* Initializers may be listed among the inputs (before IR version 4). */
static bool is_initializer(const struct mill__onnx *x, struct mill_slice input)
{
    struct mill__pb pb = mill__pb_open(x->graph), inner;
    struct mill_slice name = {NULL, 0};
    inner = mill__pb_open(input);
    while (mill__pb_next(&inner)) {
        name = inner.field == 1 && inner.wire == 2 ? inner.bytes : name;
    }
    while (mill__pb_next(&pb)) {
        inner = mill__pb_open(pb.field == 5 && pb.wire == 2 ? pb.bytes : (struct mill_slice){NULL, 0});
        while (mill__pb_next(&inner)) {
            if (inner.field == 8 && inner.wire == 2 && mill_slice_equal(inner.bytes, name)) {
                return true;
            }
        }
    }
    return false;
}

/* Where the graph does not say how wide its input is, the last feature that a tree tests does. */
static void narrow_features(struct mill__forest *forest)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < forest->nodes.n; i++) {
        count = forest->nodes.at[i].feature >= count ? forest->nodes.at[i].feature + 1 : count;
    }
    forest->feature_count = count;
}

static int walk_graph(struct walk *w)
{
    struct mill__pb pb = mill__pb_open(w->x->graph);
    while (mill__pb_next(&pb)) {
        if (pb.field == 11 && pb.wire == 2 && !is_initializer(w->x, pb.bytes)) {
            MILL_TRY(add_input(w, pb.bytes));
        }
    }
    if (w->input_names.n == 0 || (w->unknown_width && w->input_names.n > 1)) {
        return mill_fail(w->x->err, MILL_EDATA, "the graph has no inputs, or several without their widths");
    }
    pb = mill__pb_open(w->x->graph);
    while (mill__pb_next(&pb)) {
        if (pb.field == 1 && pb.wire == 2) {
            MILL_TRY(walk_node(w, pb.bytes));
        }
    }
    if (pb.at.bad) {
        return mill_fail(w->x->err, MILL_EDATA, "the graph is cut or malformed");
    }
    if (w->x->ensemble == NULL) {
        return mill_fail(w->x->err, MILL_EDATA, "no tree ensemble in the graph");
    }
    if (w->unknown_width) {
        narrow_features(w->x->forest);
    }
    return 0;
}

static int import(struct mill__onnx *x, struct mill_slice bytes)
{
    struct mill__pb pb = mill__pb_open(bytes);
    while (mill__pb_next(&pb)) {
        if (pb.field == 7 && pb.wire == 2) {
            x->graph = pb.bytes;
        } else if (pb.field == 2 && pb.wire == 2 && x->forest->trainer_version == NULL) {
            x->forest->trainer_version = mill__copy_text(pb.bytes);
        }
    }
    if (pb.at.bad || x->graph.p == NULL) {
        return mill_fail(x->err, MILL_EDATA, "not an ONNX model, or cut");
    }
    struct walk *w = mill_calloc(1, sizeof(*w));
    w->x = x;
    w->narrow = true;
    int rc = walk_graph(w);
    free(w->columns.at);
    free(w->chain.at);
    free(w->input_names.at);
    free(w);
    return rc;
}

int mill__import_onnx(struct mill_slice bytes, struct mill__forest *forest, struct mill_error *err)
{
    struct mill_error ignored;
    struct mill__onnx x = {.forest = forest, .err = err == NULL ? &ignored : err};
    int rc = import(&x, bytes);
    mill__tree_builder_clear(&x.builder);
    free(x.base.at);
    free(x.weights.at);
    free(x.splits.at);
    free(x.members.at);
    free(x.labels.at);
    free(x.raw.at);
    free(x.vectors.at);
    free(x.has_target);
    free(x.is_scored);
    return rc < 0 ? MILL_EDATA : 0;
}

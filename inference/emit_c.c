/* SPDX-License-Identifier: Apache-2.0 */
/*
 * C emission: a model as one C99 source and its header, for programs that embed it. Tables and a short walk over them,
 * no dependency but libm, numbers as hexadecimal floats: the bits of every sum are those of this library. What is not
 * written is an error.
 */
#include <math.h>
#include <stdio.h>

#include "inference/emit_internal.h"
#include "inference/model_internal.h"

static void print_number(struct mill_buffer *out, double x)
{
    if (isnan(x)) {
        mill_buffer_add_string(out, "(0.0 / 0.0)");
    } else if (isinf(x)) {
        mill_buffer_add_string(out, x < 0 ? "(-1.0 / 0.0)" : "(1.0 / 0.0)");
    } else {
        mill_buffer_printf(out, "%a", x);
    }
}

static void begin_array(struct mill_buffer *out, const char *type, const char *name, uint32_t count)
{
    mill_buffer_printf(out, "static const %s %s[%u] = {", type, name, count == 0 ? 1 : count);
    if (count == 0) {
        mill_buffer_add_string(out, "0");
    }
}

static void next_element(struct mill_buffer *out, uint32_t i)
{
    mill_buffer_add_string(out, i == 0 ? "" : i % 8 == 0 ? ",\n    " : ", ");
}

static void end_array(struct mill_buffer *out)
{
    mill_buffer_add_string(out, "};\n");
}

static void emit_nodes(const struct mill__forest *f, struct mill_buffer *out)
{
    const char *cell = f->cells_f64 ? "double" : "float";
    begin_array(out, cell, "node_threshold", f->nodes.n);
    for (uint32_t i = 0; i < f->nodes.n; i++) {
        next_element(out, i);
        print_number(out, f->nodes.at[i].flags & (MILL__SET | MILL__NEVER) ? 0 : f->nodes.at[i].test.threshold);
    }
    end_array(out);
    const char *const names[] = {"node_feature", "node_left", "node_right", "node_flags", "node_set"};
    for (int which = 0; which < 5; which++) {
        begin_array(out, "int", names[which], f->nodes.n);
        for (uint32_t i = 0; i < f->nodes.n; i++) {
            const struct mill__node *n = &f->nodes.at[i];
            long long value = which == 0             ? (long long)n->feature
                              : which == 1           ? n->left
                              : which == 2           ? n->right
                              : which == 3           ? (long long)n->flags
                              : n->flags & MILL__SET ? (long long)n->test.set
                                                     : 0;
            next_element(out, i);
            mill_buffer_printf(out, "%lld", value);
        }
        end_array(out);
    }
}

static void emit_trees(const struct mill__forest *f, struct mill_buffer *out)
{
    begin_array(out, "int", "trees", f->trees.n * 4);
    mill_buffer_add_string(out, f->trees.n > 0 ? "/* first node, first leaf, leaves, output */\n    " : "");
    for (uint32_t t = 0; t < f->trees.n; t++) {
        const struct mill__tree *tree = &f->trees.at[t];
        mill_buffer_printf(out, "%s%u, %u, %u, %u", t == 0 ? "" : ",\n    ", tree->node_begin, tree->leaf_begin,
                           tree->leaf_count, tree->output);
    }
    end_array(out);
    begin_array(out, f->sums_f64 ? "double" : "float", "leaves", f->leaves.n);
    for (uint32_t l = 0; l < f->leaves.n; l++) {
        next_element(out, l);
        print_number(out, f->leaves.at[l]);
    }
    end_array(out);
    begin_array(out, f->sums_f64 ? "double" : "float", "base", f->margin_count);
    for (uint32_t k = 0; k < f->margin_count; k++) {
        next_element(out, k);
        print_number(out, f->base[k]);
    }
    end_array(out);
}

static void emit_sets(const struct mill__forest *f, struct mill_buffer *out)
{
    begin_array(out, "int", "sets", f->sets.n * 6);
    mill_buffer_add_string(out,
                           f->sets.n > 0 ? "/* kind, missing left, members left, listed, begin, count */\n    " : "");
    for (uint32_t s = 0; s < f->sets.n; s++) {
        const struct mill__set *set = &f->sets.at[s];
        mill_buffer_printf(out, "%s%d, %d, %d, %d, %u, %u", s == 0 ? "" : ",\n    ", (int)set->kind, set->nan_left,
                           set->members_left, set->listed, set->begin, set->count);
    }
    end_array(out);
    begin_array(out, "unsigned", "set_words", f->set_words.n);
    for (uint32_t i = 0; i < f->set_words.n; i++) {
        next_element(out, i);
        mill_buffer_printf(out, "%uu", f->set_words.at[i]);
    }
    end_array(out);
    begin_array(out, "double", "set_numbers", f->set_numbers.n);
    for (uint32_t i = 0; i < f->set_numbers.n; i++) {
        next_element(out, i);
        print_number(out, f->set_numbers.at[i]);
    }
    end_array(out);
}

/* Steps of an ONNX graph as a table, and the function that takes them. */
static void emit_steps(const struct mill__forest *f, struct mill_buffer *out)
{
    begin_array(out, "int", "step_kind", f->steps.n);
    for (uint32_t i = 0; i < f->steps.n; i++) {
        next_element(out, i);
        mill_buffer_printf(out, "%d", (int)f->steps.at[i].kind);
    }
    end_array(out);
    begin_array(out, "float", "step_number", 2 * f->steps.n);
    for (uint32_t i = 0; i < 2 * f->steps.n; i++) {
        next_element(out, i);
        print_number(out, (double)(i % 2 == 0 ? f->steps.at[i / 2].a : f->steps.at[i / 2].b));
    }
    end_array(out);
    mill_buffer_add_string(
        out, "\nstatic float take_steps(int i, int count, float x)\n{\n    for (; count > 0; i++, count--) {\n"
             "        float a = step_number[2 * i], b = step_number[2 * i + 1];\n        switch (step_kind[i]) {\n"
             "        case 0: x = (a != a ? x != x : x == a) ? b : x; break;\n        case 1: x = x - a; break;\n"
             "        case 2: x = x * a; break;\n        case 3: x = x + a; break;\n"
             "        case 4: x = x / a; break;\n        case 5: x = x < a ? a : x > b ? b : x; break;\n"
             "        default: x = expf(x); break;\n        }\n    }\n    return x;\n}\n");
}

/* Where the steps of each feature begin, and how many there are. */
static void emit_conditions(const struct mill__forest *f, struct mill_buffer *out)
{
    begin_array(out, "int", "condition", 2 * f->feature_count);
    for (uint32_t i = 0; i < f->feature_count; i++) {
        next_element(out, i);
        mill_buffer_printf(out, "%u, %u", f->conditions[i].begin, f->conditions[i].count);
    }
    end_array(out);
}

static void emit_linear(const struct mill__forest *f, struct mill_buffer *out)
{
    begin_array(out, "double", "linear_constant", f->linear_leaves.n);
    for (uint32_t i = 0; i < f->linear_leaves.n; i++) {
        next_element(out, i);
        print_number(out, f->linear_leaves.at[i].constant);
    }
    end_array(out);
    begin_array(out, "int", "linear_terms", 2 * f->linear_leaves.n);
    for (uint32_t i = 0; i < f->linear_leaves.n; i++) {
        next_element(out, i);
        mill_buffer_printf(out, "%u, %u", f->linear_leaves.at[i].begin, f->linear_leaves.at[i].count);
    }
    end_array(out);
    begin_array(out, "int", "term_feature", f->linear_terms.n);
    for (uint32_t i = 0; i < f->linear_terms.n; i++) {
        next_element(out, i);
        mill_buffer_printf(out, "%u", f->linear_terms.at[i].feature);
    }
    end_array(out);
    begin_array(out, "double", "term_coefficient", f->linear_terms.n);
    for (uint32_t i = 0; i < f->linear_terms.n; i++) {
        next_element(out, i);
        print_number(out, f->linear_terms.at[i].coefficient);
    }
    end_array(out);
    mill_buffer_printf(out,
                       "\nstatic double leaf_value(int leaf, const double *row)\n{\n"
                       "    double sum = linear_constant[leaf];\n    int j = linear_terms[2 * leaf];\n"
                       "    for (; j < linear_terms[2 * leaf] + linear_terms[2 * leaf + 1]; j++) {\n"
                       "        double x = row[term_feature[j]];\n        if (x != x) {\n"
                       "            return leaves[leaf]; /* missing */\n        }\n"
                       "        sum += term_coefficient[j] * (x <= %a && x >= %a ? 0 : x);\n    }\n"
                       "    return sum;\n}\n",
                       MILL__ZERO_MAX, -MILL__ZERO_MAX);
}

static void emit_walk(const struct mill__forest *f, struct mill_buffer *out)
{
    const char *cell = f->cells_f64 ? "double" : "float";
    if (f->sets.n > 0) {
        mill_buffer_add_string(
            out,
            "\nstatic int in_set(const int *set, double x)\n{\n    int i;\n    if (set[3]) {\n"
            "        for (i = 0; i < set[5]; i++) {\n            if (set_numbers[set[4] + i] == x) {\n"
            "                return 1;\n            }\n        }\n        return 0;\n    }\n"
            "    i = (int)x;\n    return i / 32 < set[5] && (set_words[set[4] + i / 32] >> (i % 32) & 1u) != 0;\n}\n"
            "\nstatic int set_left(const int *set, double x)\n{\n    if (x != x) {\n        return set[1];\n    }\n"
            "    if (set[0] == 0) { /* XGBoost: the set goes right, what is no category left */\n"
            "        return x < 0 || x >= 16777216 || !in_set(set, (int)x);\n    }\n"
            "    if (set[0] == 1) { /* LightGBM: the set goes left */\n"
            "        return x > -1 && x < 2147483648.0 && in_set(set, (int)x);\n    }\n"
            "    return in_set(set, x) == set[2];\n}\n");
    }
    mill_buffer_printf(
        out,
        "\nstatic int leaf_of(const int *tree, const %s *row)\n{\n    int at = tree[2] > 1 ? 0 : -1;\n"
        "    while (at >= 0) {\n        int i = tree[0] + at, left;\n        %s x = row[node_feature[i]];\n",
        cell, cell);
    if (f->conditions != NULL) {
        mill_buffer_add_string(out, "        x = take_steps(condition[2 * node_feature[i]], "
                                    "condition[2 * node_feature[i] + 1], (float)x);\n");
    }
    if (f->sets.n > 0) {
        mill_buffer_add_string(out, "        if (node_flags[i] & 4) {\n"
                                    "            left = set_left(sets + 6 * node_set[i], x);\n        } else\n");
    } else {
        mill_buffer_add_string(out, "        (void)node_set;\n");
    }
    mill_buffer_printf(out,
                       "        if (x != x || ((node_flags[i] & 2) && x <= %a && x >= %a)) {\n"
                       "            left = node_flags[i] & 1; /* missing */\n        } else {\n"
                       "            left = !(node_flags[i] & 8) && x <= node_threshold[i];\n        }\n"
                       "        at = left ? node_left[i] : node_right[i];\n    }\n    return ~at;\n}\n",
                       MILL__ZERO_MAX, -MILL__ZERO_MAX);
}

static void emit_margin(const struct mill__forest *f, const char *name, struct mill_buffer *out)
{
    const char *cell = f->cells_f64 ? "double" : "float", *sum = f->sums_f64 ? "double" : "float";
    mill_buffer_printf(out, "\nvoid %s_margin(const %s *row, %s *out)\n{\n    int t, k;\n", name, cell, sum);
    mill_buffer_printf(out, "    for (k = 0; k < %u; k++) {\n        out[k] = %s;\n    }\n", f->margin_count,
                       f->base_last ? "0" : "base[k]");
    mill_buffer_printf(out,
                       "    for (t = 0; t < %u; t++) {\n        const int *tree = trees + 4 * t;\n"
                       "        int leaf = tree[1] + leaf_of(tree, row);\n",
                       f->trees.n);
    const char *value = f->vector_size > 1       ? "leaves[leaf * VECTOR + k]"
                        : f->linear_leaves.n > 0 ? "leaf_value(leaf, row)"
                                                 : "leaves[leaf]";
    if (f->vector_size > 1) {
        mill_buffer_printf(out, "        for (k = 0; k < VECTOR; k++)\n    ");
    } else {
        mill_buffer_add_string(out, "        k = tree[3];\n");
    }
    if (f->combine == MILL__MIN || f->combine == MILL__MAX) {
        mill_buffer_printf(out, "        out[k] = t == 0 || %s %s out[k] ? %s : out[k];\n    }\n", value,
                           f->combine == MILL__MIN ? "<" : ">", value);
    } else {
        mill_buffer_printf(out, "        out[k] += %s;\n    }\n", value);
    }
    if (f->combine == MILL__AVERAGE) {
        mill_buffer_printf(out, "    for (k = 0; k < %u; k++) {\n        out[k] /= %u;\n    }\n", f->margin_count,
                           f->trees.n == 0 ? 1 : f->trees.n);
    }
    if (f->base_last) {
        mill_buffer_printf(out, "    for (k = 0; k < %u; k++) {\n        out[k] = ", f->margin_count);
        if (f->scale != 1) {
            print_number(out, f->scale);
            mill_buffer_add_string(out, " * ");
        }
        mill_buffer_add_string(out, "out[k] + base[k];\n    }\n");
    }
    mill_buffer_add_string(out, "}\n");
}

static bool is_name(const char *name)
{
    bool ok = name[0] != 0 && !(name[0] >= '0' && name[0] <= '9');
    for (const char *p = name; *p != 0; p++) {
        ok &= (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || *p == '_';
    }
    return ok;
}

/* The objective stands in a comment, and comes from the file. */
static void print_word(struct mill_buffer *out, const char *word)
{
    for (const char *p = word; *p != 0; p++) {
        bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || *p == ':';
        mill_buffer_add_byte(out, plain ? (unsigned char)*p : '_');
    }
}

static void emit_header(const struct mill_model *model, const char *name, struct mill_buffer *out)
{
    const struct mill__forest *f = &model->forest;
    const char *cell = f->cells_f64 ? "double" : "float", *sum = f->sums_f64 ? "double" : "float";
    mill_buffer_printf(out, "/* Written by tidemill model compile. Source: %s, ", model->info.format_name);
    print_word(out, model->info.objective);
    mill_buffer_printf(
        out,
        ", sha256 %s.\n"
        " * row: %u values in the model's order, NaN where missing. Margins: %u values; predictions: %u. */\n"
        "#ifndef %s_H\n#define %s_H\n\n"
        "enum { %s_FEATURES = %u, %s_MARGINS = %u, %s_PREDICTIONS = %u };\n\n"
        "void %s_margin(const %s *row, %s *out);\nvoid %s_predict(const %s *row, %s *out);\n\n#endif\n",
        model->info.sha256, f->feature_count, f->margin_count, f->output_count, name, name, name, f->feature_count,
        name, f->margin_count, name, f->output_count, name, cell, sum, name, cell, sum);
}

int mill_model_emit_c(const struct mill_model *model, const char *name, struct mill_buffer *source,
                      struct mill_buffer *header, struct mill_error *err)
{
    const struct mill__forest *f = &model->forest;
    if (!is_name(name)) {
        return mill_fail(err, MILL_EUSAGE, "'%s' is not a name in C: letters, digits and '_', no digit first", name);
    }
    mill_buffer_printf(
        source,
        "/* Written by tidemill model compile; standalone C99. The order of additions is part of the result: do not\n"
        " * compile with -ffast-math, and give -ffp-contract=off where the compiler fuses by itself. */\n"
        "#include \"%s.h\"\n\n#include <math.h>\n\n",
        name);
    if (f->vector_size > 1) {
        mill_buffer_printf(source, "enum { VECTOR = %u };\n", f->vector_size);
    }
    emit_nodes(f, source);
    emit_trees(f, source);
    if (f->sets.n > 0) {
        emit_sets(f, source);
    }
    if (f->steps.n > 0) {
        emit_steps(f, source);
    }
    if (f->conditions != NULL) {
        emit_conditions(f, source);
    }
    if (f->linear_leaves.n > 0) {
        emit_linear(f, source);
    }
    emit_walk(f, source);
    emit_margin(f, name, source);
    MILL_TRY(mill__emit_link(f, name, source, err));
    emit_header(model, name, header);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Forest: checks trees as importers read them and stores them in canonical order (forest_internal.h). */
#include "inference/forest_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

void *mill__vector_grow(void *at, uint32_t n, uint32_t *capacity, size_t element_size)
{
    mill_assert(n < UINT32_C(1) << 31);
    *capacity = n < 8 ? 8 : n + n / 2;
    return mill_realloc(at, (size_t)*capacity * element_size);
}

void mill__forest_init(struct mill__forest *forest)
{
    memset(forest, 0, sizeof(*forest));
    forest->vector_size = 1;
    forest->prediction_divisor = 1;
    forest->scale = 1;
}

void mill__forest_clear(struct mill__forest *forest)
{
    free(forest->feature_names);
    free(forest->base);
    free(forest->trees.at);
    free(forest->nodes.at);
    free(forest->leaves.at);
    free(forest->sets.at);
    free(forest->set_words.at);
    free(forest->set_numbers.at);
    free(forest->linear_leaves.at);
    free(forest->linear_terms.at);
    free(forest->node_covers.at);
    free(forest->leaf_covers.at);
    free(forest->steps.at);
    free(forest->conditions);
    free(forest->labels);
    free(forest->objective);
    free(forest->trainer_version);
}

int mill__forest_set_outputs(struct mill__forest *forest, uint64_t margin_count, uint32_t vector_size,
                             struct mill_error *err)
{
    if (margin_count == 0 || margin_count > MILL__OUTPUTS_MAX) {
        return mill_fail(err, MILL_EDATA, "%llu outputs a row, expected 1 to %d", (unsigned long long)margin_count,
                         MILL__OUTPUTS_MAX);
    }
    mill_assert(vector_size == 1 || vector_size == margin_count);
    forest->margin_count = forest->output_count = (uint32_t)margin_count;
    forest->vector_size = vector_size;
    free(forest->base);
    forest->base = mill_calloc((size_t)margin_count, sizeof(*forest->base));
    return 0;
}

/* One step of the walk: raw node `raw` hangs below the canonical node `parent` (or is the root) at `depth` tests. */
struct mill__walk_step {
    uint32_t raw;
    uint32_t parent;
    uint32_t depth;
    bool is_right;
};

void mill__tree_builder_clear(struct mill__tree_builder *builder)
{
    free(builder->seen.at);
    free(builder->stack);
    free(builder->leaf_origin.at);
}

static void reset_builder(struct mill__tree_builder *builder, uint32_t raw_count, bool keep_seen)
{
    builder->leaf_origin.n = 0;
    if (keep_seen && builder->stack != NULL) {
        mill_assert(builder->seen.capacity >= raw_count);
        return;
    }
    if (builder->seen.capacity < raw_count) {
        builder->seen.at = mill_realloc(builder->seen.at, raw_count);
        builder->seen.capacity = raw_count;
    }
    memset(builder->seen.at, 0, raw_count);
    if (builder->stack == NULL) {
        /* A walk keeps one pending right child for each level above it. */
        builder->stack_capacity = MILL__DEPTH_MAX + 2;
        builder->stack = mill_malloc(builder->stack_capacity * sizeof(*builder->stack));
    }
}

static void add_leaf(struct mill__forest *forest, struct mill__tree_builder *builder, const struct mill__raw_tree *raw,
                     uint32_t index)
{
    const struct mill__raw_node *node = &raw->nodes[index];
    mill__push(&builder->leaf_origin, index);
    if (forest->vector_size == 1) {
        mill__push(&forest->leaves, node->value);
    } else {
        const double *row = raw->vectors + (size_t)node->leaf_row * forest->vector_size;
        for (uint32_t k = 0; k < forest->vector_size; k++) {
            mill__push(&forest->leaves, row[k]);
        }
    }
    if (raw->has_covers) {
        mill__push(&forest->leaf_covers, node->cover);
    }
}

static int check_inner(const struct mill__forest *forest, const struct mill__raw_tree *raw, uint32_t index,
                       uint32_t depth, struct mill_error *err)
{
    const struct mill__raw_node *node = &raw->nodes[index];
    if (node->feature >= forest->feature_count) {
        return mill_fail(err, MILL_EDATA, "node %u tests feature %u, expected one below %u", index, node->feature,
                         forest->feature_count);
    }
    if ((node->flags & (MILL__SET | MILL__NEVER)) == 0 && isnan(node->value)) {
        return mill_fail(err, MILL_EDATA, "node %u has the threshold NaN, expected a number", index);
    }
    if (depth >= MILL__DEPTH_MAX) {
        return mill_fail(err, MILL_EDATA, "node %u is deeper than %d tests", index, MILL__DEPTH_MAX);
    }
    const uint32_t children[2] = {node->left, node->right};
    for (int i = 0; i < 2; i++) {
        if (children[i] >= raw->node_count) {
            return mill_fail(err, MILL_EDATA, "node %u has the %s child %d, expected one below %u", index,
                             i == 0 ? "left" : "right", (int)children[i], raw->node_count);
        }
    }
    return 0;
}

static void hang(struct mill__forest *forest, uint32_t node_begin, const struct mill__walk_step *step, int32_t child)
{
    if (step->parent == UINT32_MAX) {
        return;
    }
    struct mill__node *parent = &forest->nodes.at[node_begin + step->parent];
    *(step->is_right ? &parent->right : &parent->left) = child;
}

static void add_inner(struct mill__forest *forest, const struct mill__raw_tree *raw, uint32_t index)
{
    const struct mill__raw_node *node = &raw->nodes[index];
    struct mill__node inner = {.feature = node->feature, .flags = node->flags};
    if (node->flags & MILL__SET) {
        inner.test.set = node->set;
    } else {
        inner.test.threshold = node->value;
    }
    mill__push(&forest->nodes, inner);
    if (raw->has_covers) {
        mill__push(&forest->node_covers, node->cover);
    }
}

int mill__forest_add_tree(struct mill__forest *forest, struct mill__tree_builder *builder,
                          const struct mill__raw_tree *raw, struct mill_error *err)
{
    if (raw->node_count == 0 || raw->root >= raw->node_count) {
        return mill_fail(err, MILL_EDATA, "no root node");
    }
    if (raw->output >= forest->margin_count) {
        return mill_fail(err, MILL_EDATA, "adds to output %u, expected one below %u", raw->output,
                         forest->margin_count);
    }
    reset_builder(builder, raw->node_count, raw->shares_nodes);
    struct mill__tree tree = {
        .node_begin = forest->nodes.n, .leaf_begin = forest->leaves.n / forest->vector_size, .output = raw->output};
    uint32_t pending = 0;
    builder->stack[pending++] = (struct mill__walk_step){.raw = raw->root, .parent = UINT32_MAX};
    while (pending > 0) {
        struct mill__walk_step step = builder->stack[--pending];
        const struct mill__raw_node *node = &raw->nodes[step.raw];
        if (builder->seen.at[step.raw]) {
            return mill_fail(err, MILL_EDATA, "node %u has two parents or lies on a cycle", step.raw);
        }
        builder->seen.at[step.raw] = 1;
        if (node->is_leaf) {
            hang(forest, tree.node_begin, &step, ~(int32_t)tree.leaf_count++);
            add_leaf(forest, builder, raw, step.raw);
            tree.depth = step.depth > tree.depth ? step.depth : tree.depth;
            continue;
        }
        MILL_TRY(check_inner(forest, raw, step.raw, step.depth, err));
        uint32_t slot = forest->nodes.n - tree.node_begin;
        hang(forest, tree.node_begin, &step, (int32_t)slot);
        add_inner(forest, raw, step.raw);
        mill_assert(pending + 2 <= builder->stack_capacity);
        builder->stack[pending++] = (struct mill__walk_step){node->right, slot, step.depth + 1, true};
        builder->stack[pending++] = (struct mill__walk_step){node->left, slot, step.depth + 1, false};
    }
    mill_assert(forest->nodes.n - tree.node_begin == tree.leaf_count - 1);
    forest->depth_max = tree.depth > forest->depth_max ? tree.depth : forest->depth_max;
    mill__push(&forest->trees, tree);
    return 0;
}

static bool list_has(const double *numbers, uint32_t n, double x)
{
    while (n > 0) {
        uint32_t half = n / 2;
        if (numbers[half] == x) {
            return true;
        }
        if (numbers[half] < x) {
            numbers += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return false;
}

static bool set_has(const struct mill__forest *forest, const struct mill__set *set, uint32_t category)
{
    if (set->listed) {
        return list_has(forest->set_numbers.at + set->begin, set->count, category);
    }
    return category / 32 < set->count && (forest->set_words.at[set->begin + category / 32] >> (category % 32) & 1) != 0;
}

bool mill__set_goes_left(const struct mill__forest *forest, const struct mill__set *set, double x)
{
    if (isnan(x)) {
        return set->nan_left;
    }
    switch (set->kind) {
    case MILL__SET_XGBOOST:
        /* Not a category: left. The set lists what goes right. */
        return x < 0 || x >= 16777216 || !set_has(forest, set, (uint32_t)x);
    case MILL__SET_LIGHTGBM:
        /* Truncated first, so -0.5 is category 0; what is no category goes right. */
        return x > -1 && x < 2147483648.0 && set_has(forest, set, (uint32_t)(int32_t)x);
    case MILL__SET_EXACT:
        return list_has(forest->set_numbers.at + set->begin, set->count, x) == set->members_left;
    }
    return false;
}

bool mill__node_goes_left(const struct mill__forest *forest, const struct mill__node *node, double x)
{
    if (node->flags & MILL__SET) {
        return mill__set_goes_left(forest, &forest->sets.at[node->test.set], x);
    }
    if (isnan(x) || ((node->flags & MILL__ZERO_MISSING) && fabs(x) <= MILL__ZERO_MAX)) {
        return (node->flags & MILL__NAN_LEFT) != 0;
    }
    return (node->flags & MILL__NEVER) == 0 && x <= node->test.threshold;
}

static float take_step(const struct mill__step *step, float x)
{
    switch (step->kind) {
    case MILL__STEP_IMPUTE:
        return (isnan(step->a) ? isnan(x) : x == step->a) ? step->b : x;
    case MILL__STEP_SUBTRACT:
        return x - step->a;
    case MILL__STEP_MULTIPLY:
        return x * step->a;
    case MILL__STEP_ADD:
        return x + step->a;
    case MILL__STEP_DIVIDE:
        return x / step->a;
    case MILL__STEP_CLIP:
        return x < step->a ? step->a : x > step->b ? step->b : x;
    case MILL__STEP_EXP:
        return expf(x);
    }
    return x;
}

float mill__forest_take_steps(const struct mill__forest *forest, const struct mill__steps *steps, float x)
{
    for (uint32_t i = 0; i < steps->count; i++) {
        x = take_step(&forest->steps.at[steps->begin + i], x);
    }
    return x;
}

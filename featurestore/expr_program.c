/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expressions: building a program. Equal steps become one (the text `a / b > 1 and a / b < 2` divides once), steps over
 * constants are computed on the spot by the kernel that would compute them later, so folding cannot disagree with
 * running. Called by the rules while the text is read, and once at the end to lay the program out.
 */
#include <stdlib.h>

#include "base/hash.h"
#include "featurestore/expr_internal.h"

enum { SEEN_SIZE = 2 * MILL__EXPR_STEPS_MAX };

size_t mill__expr_type_size(enum mill_type type)
{
    switch (type) {
    case MILL_BOOL:
        return 1;
    case MILL_STRING:
        return sizeof(struct mill_slice);
    case MILL_INT64:
    case MILL_FLOAT64:
    case MILL_TIMESTAMP:
    default:
        return 8;
    }
}

unsigned mill__expr_width(enum mill_type type)
{
    return type == MILL_BOOL ? 0 : type == MILL_STRING ? 2 : 1;
}

void mill__expr_builder_init(struct mill__expr_builder *b, struct mill_arena *arena, const struct mill_timezone *zone)
{
    *b = (struct mill__expr_builder){.arena = arena, .zone = zone};
    b->seen = mill_calloc(SEEN_SIZE, sizeof(b->seen[0]));
}

void mill__expr_builder_clear(struct mill__expr_builder *b)
{
    free(b->steps);
    free(b->inputs);
    free(b->seen);
    *b = (struct mill__expr_builder){0};
}

/* ---- one step per meaning ---- */

static bool same_value(const struct mill__expr_value *a, const struct mill__expr_value *b)
{
    if (a->type != b->type || a->valid != b->valid) {
        return false;
    }
    if (a->type == MILL_STRING) {
        return mill_slice_equal(a->at.s, b->at.s);
    }
    /* Bits, not values: -0.0 is not 0.0 here. */
    return a->type == MILL_BOOL ? a->at.b == b->at.b : a->at.i == b->at.i;
}

static bool same_step(const struct mill__expr_builder *b, const struct mill__expr_step *x, const uint32_t *x_in,
                      const struct mill__expr_step *y)
{
    if (x->kind != y->kind || x->type != y->type) {
        return false;
    }
    switch (x->kind) {
    case MILL__EXPR_COLUMN:
        return x->column == y->column;
    case MILL__EXPR_VALUE:
        return same_value(&x->value, &y->value);
    case MILL__EXPR_OP:
    default:
        return x->op == y->op && x->set == y->set && x->in_count == y->in_count &&
               memcmp(x_in, b->inputs + y->in_first, sizeof(x_in[0]) * x->in_count) == 0;
    }
}

static uint64_t hash_step(const struct mill__expr_step *s, const uint32_t *in)
{
    uint64_t words[4] = {s->kind, s->type, 0, 0};
    switch (s->kind) {
    case MILL__EXPR_COLUMN:
        words[2] = s->column;
        break;
    case MILL__EXPR_VALUE:
        words[2] = s->value.valid;
        if (s->type == MILL_STRING) {
            words[3] = mill_hash64(s->value.at.s.p, s->value.at.s.n);
        } else {
            words[3] = s->type == MILL_BOOL ? s->value.at.b : (uint64_t)s->value.at.i;
        }
        break;
    case MILL__EXPR_OP:
    default:
        words[2] = (uint64_t)(uintptr_t)s->op;
        words[3] = mill_hash64(in, sizeof(in[0]) * s->in_count);
        break;
    }
    return mill_hash64(words, sizeof(words));
}

static void append_inputs(struct mill__expr_builder *b, const uint32_t *in, uint32_t count)
{
    while (b->input_capacity - b->input_count < count) {
        b->input_capacity = b->input_capacity == 0 ? 64 : b->input_capacity * 2;
        b->inputs = mill_realloc(b->inputs, b->input_capacity * sizeof(b->inputs[0]));
    }
    if (count > 0) {
        memcpy(b->inputs + b->input_count, in, sizeof(in[0]) * count);
    }
    b->input_count += count;
}

static uint32_t add_step(struct mill__expr_builder *b, struct mill__expr_step step, const uint32_t *in)
{
    uint32_t place = (uint32_t)(hash_step(&step, in) % SEEN_SIZE);
    while (b->seen[place] != 0) {
        if (same_step(b, &step, in, &b->steps[b->seen[place] - 1])) {
            return b->seen[place] - 1;
        }
        place = (place + 1) % SEEN_SIZE;
    }
    if (b->step_count == MILL__EXPR_STEPS_MAX) {
        b->full = true;
        return 0;
    }
    if (b->step_count == b->step_capacity) {
        b->step_capacity = b->step_capacity == 0 ? 16 : b->step_capacity * 2;
        b->steps = mill_realloc(b->steps, b->step_capacity * sizeof(b->steps[0]));
    }
    step.in_first = b->input_count;
    append_inputs(b, in, step.in_count);
    b->steps[b->step_count++] = step;
    b->seen[place] = b->step_count;
    return b->step_count - 1;
}

uint32_t mill__expr_add_column(struct mill__expr_builder *b, uint32_t column, enum mill_type type)
{
    struct mill__expr_step step = {.kind = MILL__EXPR_COLUMN, .type = type, .column = column};
    return add_step(b, step, NULL);
}

uint32_t mill__expr_add_value(struct mill__expr_builder *b, struct mill__expr_value value)
{
    struct mill__expr_step step = {.kind = MILL__EXPR_VALUE, .type = value.type, .value = value};
    return add_step(b, step, NULL);
}

const struct mill__expr_value *mill__expr_constant(const struct mill__expr_builder *b, uint32_t reg)
{
    if (b->full || b->steps[reg].kind != MILL__EXPR_VALUE) {
        return NULL;
    }
    return &b->steps[reg].value;
}

/* ---- computing constants now ---- */

static struct mill__expr_value value_of(const struct mill_column *column, struct mill_arena *arena)
{
    struct mill__expr_value value = {column->type, mill_bit_get(column->valid, 0), {.i = 0}};
    if (!value.valid) {
        return value;
    }
    switch (column->type) {
    case MILL_BOOL:
        value.at.b = column->at.b[0];
        break;
    case MILL_STRING:
        value.at.s = mill_arena_slice(arena, column->at.s[0]);
        break;
    case MILL_INT64:
    case MILL_FLOAT64:
    case MILL_TIMESTAMP:
    default:
        memcpy(&value.at, column->at.raw, sizeof(value.at.i));
        break;
    }
    return value;
}

/* A column of `rows` times the value. */
static struct mill_column column_of(const struct mill__expr_value *value, uint32_t rows, struct mill_arena *arena)
{
    struct mill_column column;
    mill_column_init(&column, value->type, rows, arena);
    if (!value->valid) {
        return column;
    }
    memset(column.valid, 0xff, mill_bit_words(rows) * sizeof(column.valid[0]));
    size_t size = mill__expr_type_size(value->type);
    for (uint32_t i = 0; i < rows; i++) {
        memcpy((char *)column.at.raw + i * size, &value->at, size);
    }
    return column;
}

static uint32_t fold(struct mill__expr_builder *b, const struct mill__expr_step *step, const uint32_t *in)
{
    struct mill_arena scratch;
    mill_arena_init(&scratch, 0);
    const struct mill_column **columns = mill_arena_array(&scratch, const struct mill_column *, step->in_count);
    struct mill_column out;
    mill_column_init(&out, step->type, 1, &scratch);
    out.valid[0] = 1;
    for (uint32_t k = 0; k < step->in_count; k++) {
        struct mill_column *column = mill_arena_alloc(&scratch, sizeof(*column));
        *column = column_of(&b->steps[in[k]].value, 1, &scratch);
        out.valid[0] &= column->valid[0];
        columns[k] = column;
    }
    struct mill__expr_call call = {columns, step->in_count, 1, &out, step->set, b->zone, &scratch};
    step->op->kernel(&call);
    struct mill__expr_value value = value_of(&out, b->arena);
    mill_arena_clear(&scratch);
    return mill__expr_add_value(b, value);
}

uint32_t mill__expr_add_op(struct mill__expr_builder *b, const struct mill__expr_op *op, const uint32_t *in,
                           uint32_t in_count, const struct mill__expr_set *set)
{
    struct mill__expr_step step = {.kind = MILL__EXPR_OP, .type = op->type, .op = op, .set = set, .in_count = in_count};
    bool constant = !b->full;
    mill_assert(in_count > 0);
    for (uint32_t k = 0; k < in_count && constant; k++) {
        constant = b->steps[in[k]].kind == MILL__EXPR_VALUE;
    }
    if (b->full) {
        return 0;
    }
    return constant ? fold(b, &step, in) : add_step(b, step, in);
}

/* ---- laying out ---- */

/* last_use[k]: the last step that reads register k; 0 where nothing that matters does. */
static void find_uses(const struct mill__expr_builder *b, uint32_t result, uint32_t *last_use)
{
    last_use[result] = UINT32_MAX;
    for (uint32_t k = result + 1; k-- > 0;) {
        const struct mill__expr_step *step = &b->steps[k];
        if (last_use[k] == 0) {
            continue;
        }
        for (uint32_t j = 0; j < step->in_count; j++) {
            uint32_t *use = &last_use[b->inputs[step->in_first + j]];
            *use = *use == 0 ? k : *use; /* steps are visited from the last on */
        }
    }
}

/* Temporaries that are free, one stack per width. */
struct slots {
    uint32_t *free[MILL__EXPR_WIDTHS];
    uint32_t free_count[MILL__EXPR_WIDTHS], count[MILL__EXPR_WIDTHS];
};

static uint32_t take_slot(struct slots *slots, unsigned width)
{
    if (slots->free_count[width] > 0) {
        return slots->free[width][--slots->free_count[width]];
    }
    return slots->count[width]++;
}

/* Gives back temporaries that step k was the last to read. A register is given back once even where it is an input
 * twice: its last use is reset. */
static void give_back_slots(struct slots *slots, const struct mill__expr_builder *b, uint32_t k, uint32_t *last_use)
{
    const struct mill__expr_step *step = &b->steps[k];
    for (uint32_t j = 0; j < step->in_count; j++) {
        uint32_t reg = b->inputs[step->in_first + j];
        const struct mill__expr_step *input = &b->steps[reg];
        if (input->kind == MILL__EXPR_OP && last_use[reg] == k) {
            unsigned width = mill__expr_width(input->type);
            slots->free[width][slots->free_count[width]++] = input->slot;
            last_use[reg] = UINT32_MAX;
        }
    }
}

/* The output's slot is taken before the inputs' are given back: no kernel writes over what it reads. */
static void assign_slots(struct mill__expr_builder *b, uint32_t result, uint32_t *last_use, struct mill_expr *expr)
{
    struct slots slots = {0};
    for (unsigned w = 0; w < MILL__EXPR_WIDTHS; w++) {
        slots.free[w] = mill_malloc(sizeof(uint32_t) * (result + 1));
    }
    for (uint32_t k = 0; k <= result; k++) {
        if (b->steps[k].kind == MILL__EXPR_OP && last_use[k] != 0) {
            b->steps[k].slot = take_slot(&slots, mill__expr_width(b->steps[k].type));
            give_back_slots(&slots, b, k, last_use);
        }
    }
    for (unsigned w = 0; w < MILL__EXPR_WIDTHS; w++) {
        expr->slot_count[w] = slots.count[w];
        free(slots.free[w]);
    }
}

/* Copies the steps that are used, in order, with inputs renumbered. */
static void copy_steps(const struct mill__expr_builder *b, uint32_t result, const uint32_t *last_use,
                       struct mill_expr *expr)
{
    uint32_t *number = mill_malloc(sizeof(uint32_t) * (result + 1));
    uint32_t input_count = 0;
    expr->steps = mill_arena_array(&expr->arena, struct mill__expr_step, result + 1);
    expr->inputs = mill_arena_array(&expr->arena, uint32_t, b->input_count);
    expr->constants = mill_arena_zarray(&expr->arena, struct mill_column, result + 1);
    for (uint32_t k = 0; k <= result; k++) {
        if (last_use[k] == 0) {
            continue;
        }
        struct mill__expr_step step = b->steps[k];
        for (uint32_t j = 0; j < step.in_count; j++) {
            expr->inputs[input_count + j] = number[b->inputs[step.in_first + j]];
        }
        step.in_first = input_count;
        input_count += step.in_count;
        number[k] = expr->step_count;
        if (step.kind == MILL__EXPR_VALUE) {
            expr->constants[expr->step_count] = column_of(&step.value, MILL__EXPR_BLOCK, &expr->arena);
        }
        expr->column_count += step.kind == MILL__EXPR_COLUMN;
        expr->in_count_max = step.in_count > expr->in_count_max ? step.in_count : expr->in_count_max;
        expr->steps[expr->step_count++] = step;
    }
    free(number);
}

void mill__expr_finish(struct mill__expr_builder *b, uint32_t result, struct mill_expr *expr)
{
    mill_assert(!b->full && result < b->step_count);
    uint32_t *last_use = mill_calloc(result + 1, sizeof(uint32_t));
    find_uses(b, result, last_use);
    assign_slots(b, result, last_use, expr);
    copy_steps(b, result, last_use, expr);
    free(last_use);
    mill_assert(expr->step_count > 0);
}

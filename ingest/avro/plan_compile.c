/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiles Avro decode plans (plan_internal.h): schema resolution of the wanted top-level fields, and programs that
 * pass over everything else. Recursion here follows the nesting of the schema's JSON text, which its reader bounds;
 * named types are called, not copied, so that a program is no longer than its schema.
 */
#include <stdio.h>
#include <stdlib.h>

#include "ingest/avro/plan_compile_internal.h"

/* ---- ops and labels ---- */

struct mill__avro_op *mill__emit(struct mill__avro_compiler *c, enum mill__avro_op_code code)
{
    if (c->op_count == c->op_capacity) {
        c->op_capacity = c->op_capacity == 0 ? 64 : c->op_capacity * 2;
        c->ops = mill_realloc(c->ops, c->op_capacity * sizeof(*c->ops));
    }
    struct mill__avro_op *op = &c->ops[c->op_count++];
    memset(op, 0, sizeof(*op));
    op->code = (uint8_t)code;
    op->field = c->field;
    return op;
}

/* Where the next op will be; nothing may be merged over it, because something jumps there. */
static uint32_t label(struct mill__avro_compiler *c)
{
    c->barrier = c->op_count;
    return c->op_count;
}

static void emit_skip_fixed(struct mill__avro_compiler *c, int64_t size)
{
    if (c->op_count > c->barrier && c->ops[c->op_count - 1].code == MILL__OP_SKIP_FIXED) {
        c->ops[c->op_count - 1].as.size += size; /* at most 10,000 sizes below 2^31 */
        return;
    }
    mill__emit(c, MILL__OP_SKIP_FIXED)->as.size = size;
}

/* ---- values that are not wanted ---- */

enum width { WIDTH_UNKNOWN, WIDTH_BEING_FOUND, WIDTH_NONE, WIDTH_SOME };

/* True where values of the type take no bytes. A record that holds itself is as good as endless, so not empty. */
static bool is_empty(struct mill__avro_compiler *c, const struct mill__avro_node *node)
{
    if (node->type == MILL__AVRO_NULL || (node->type == MILL__AVRO_FIXED && node->size == 0)) {
        return true;
    }
    if (node->type != MILL__AVRO_RECORD) {
        return false;
    }
    if (c->width[node->id] == WIDTH_UNKNOWN) {
        bool empty = true;
        c->width[node->id] = WIDTH_BEING_FOUND;
        for (uint32_t i = 0; i < node->count && empty; i++) {
            empty = is_empty(c, node->fields[i].type);
        }
        c->width[node->id] = empty ? WIDTH_NONE : WIDTH_SOME;
    }
    return c->width[node->id] == WIDTH_NONE;
}

static void emit_skip(struct mill__avro_compiler *c, const struct mill__avro_node *node);

static void emit_skip_union(struct mill__avro_compiler *c, const struct mill__avro_node *node)
{
    struct mill__avro_branches branches;

    mill__begin_branches(c, node->count, &branches);
    for (uint32_t i = 0; i < node->count; i++) {
        mill__begin_branch(c, &branches, i);
        emit_skip(c, node->branches[i]);
    }
    mill__end_branches(c, &branches);
}

static void emit_skip_items(struct mill__avro_compiler *c, const struct mill__avro_node *node)
{
    if (node->type == MILL__AVRO_ARRAY && is_empty(c, node->item)) {
        mill__emit(c, MILL__OP_SKIP_EMPTY_ITEMS);
        return;
    }
    uint32_t begin = c->op_count;
    mill__emit(c, MILL__OP_ITEMS);
    label(c);
    if (node->type == MILL__AVRO_MAP) {
        mill__emit(c, MILL__OP_SKIP_BYTES); /* the key */
    }
    emit_skip(c, node->item);
    mill__emit(c, MILL__OP_NEXT_ITEM)->as.target = begin;
    c->ops[begin].as.target = label(c);
}

/* The target is the node's id until all records have been laid out. */
static void emit_call(struct mill__avro_compiler *c, const struct mill__avro_node *record)
{
    mill__emit(c, MILL__OP_CALL)->as.target = record->id;
    if (!c->is_called[record->id]) {
        c->is_called[record->id] = true;
        c->called[c->called_count++] = record;
    }
}

static void emit_skip(struct mill__avro_compiler *c, const struct mill__avro_node *node)
{
    if (is_empty(c, node)) {
        return;
    }
    switch (node->type) {
    case MILL__AVRO_NULL:
        break;
    case MILL__AVRO_BOOLEAN:
        emit_skip_fixed(c, 1);
        break;
    case MILL__AVRO_INT:
    case MILL__AVRO_LONG:
    case MILL__AVRO_ENUM:
        mill__emit(c, MILL__OP_SKIP_VARINT);
        break;
    case MILL__AVRO_FLOAT:
        emit_skip_fixed(c, 4);
        break;
    case MILL__AVRO_DOUBLE:
        emit_skip_fixed(c, 8);
        break;
    case MILL__AVRO_FIXED:
        emit_skip_fixed(c, node->size);
        break;
    case MILL__AVRO_BYTES:
    case MILL__AVRO_STRING:
        mill__emit(c, MILL__OP_SKIP_BYTES);
        break;
    case MILL__AVRO_RECORD:
        emit_call(c, node);
        break;
    case MILL__AVRO_ARRAY:
    case MILL__AVRO_MAP:
        emit_skip_items(c, node);
        break;
    case MILL__AVRO_UNION:
        emit_skip_union(c, node);
        break;
    }
}

/* The programs of the nested records, behind the main one; each may call further ones. */
static void emit_called_records(struct mill__avro_compiler *c)
{
    c->field = c->writer->root->count; /* they serve several fields */
    for (uint32_t i = 0; i < c->called_count; i++) {
        const struct mill__avro_node *record = c->called[i];
        c->entry[record->id] = label(c);
        for (uint32_t f = 0; f < record->count; f++) {
            emit_skip(c, record->fields[f].type);
        }
        mill__emit(c, MILL__OP_RETURN);
    }
    for (uint32_t i = 0; i < c->op_count; i++) {
        if (c->ops[i].code == MILL__OP_CALL) {
            c->ops[i].as.target = c->entry[c->ops[i].as.target];
        }
    }
}

/* ---- unions ---- */

void mill__begin_branches(struct mill__avro_compiler *c, uint32_t count, struct mill__avro_branches *ret_branches)
{
    ret_branches->op = c->op_count;
    ret_branches->count = count;
    ret_branches->targets = mill_arena_zarray(&c->plan->arena, uint32_t, count);
    ret_branches->jumps = mill_calloc(count, sizeof(uint32_t));
    struct mill__avro_op *op = mill__emit(c, MILL__OP_BRANCH);
    op->as.branch.targets = ret_branches->targets;
    op->as.branch.count = count;
}

/* Branches are laid out one behind the other, each but the first behind a jump from its predecessor to the end. */
void mill__begin_branch(struct mill__avro_compiler *c, struct mill__avro_branches *branches, uint32_t index)
{
    if (index > 0) {
        branches->jumps[index - 1] = c->op_count;
        mill__emit(c, MILL__OP_JUMP);
    }
    branches->targets[index] = label(c);
}

void mill__end_branches(struct mill__avro_compiler *c, struct mill__avro_branches *branches)
{
    uint32_t end = label(c);

    for (uint32_t i = 0; i + 1 < branches->count; i++) {
        c->ops[branches->jumps[i]].as.target = end;
    }
    free(branches->jumps);
}

/* ---- the whole record ---- */

static bool has_alias(const struct mill__avro_field *field, struct mill_slice name)
{
    for (uint32_t a = 0; a < field->alias_count; a++) {
        if (mill_slice_equal(field->aliases[a], name)) {
            return true;
        }
    }
    return false;
}

/* The reader's field that the writer's field of that name fills: by its own name, or by an alias where the writer has
 * no field of the own name. */
static const struct mill__avro_field *find_reader_field(const struct mill__avro_compiler *c, struct mill_slice name)
{
    const struct mill__avro_node *reader = c->reader->root;
    const struct mill__avro_field *found = mill__avro_find_field(reader, name);

    for (uint32_t i = 0; i < reader->count && found == NULL; i++) {
        if (has_alias(&reader->fields[i], name) &&
            mill__avro_find_field(c->writer->root, reader->fields[i].name) == NULL) {
            found = &reader->fields[i];
        }
    }
    return found;
}

static int emit_field(struct mill__avro_compiler *c, uint32_t index, bool *filled)
{
    const struct mill__avro_field *from = &c->writer->root->fields[index];
    const struct mill__avro_field *to = find_reader_field(c, from->name);
    int column = to == NULL ? -1 : mill_schema_find(&c->spec->schema, to->name);

    c->field = index;
    if (column < 0 || filled[column]) { /* not wanted, or the second of two aliases */
        emit_skip(c, from->type);
        return 0;
    }
    filled[column] = true;
    return mill__emit_value(c, from, to, (uint32_t)column);
}

static int emit_record(struct mill__avro_compiler *c, bool *filled)
{
    const struct mill__avro_node *writer = c->writer->root;

    if (writer->type != MILL__AVRO_RECORD) {
        return mill_fail(c->err, MILL_EDATA, "the writer's schema is of type %s, expected record",
                         mill__avro_type_name(writer->type));
    }
    for (uint32_t i = 0; i < writer->count; i++) {
        MILL_TRY(emit_field(c, i, filled));
    }
    c->field = writer->count;
    for (uint32_t column = 0; column < c->spec->schema.field_count; column++) {
        if (!filled[column]) {
            MILL_TRY(mill__emit_default(c, column));
        }
    }
    mill__emit(c, MILL__OP_END);
    emit_called_records(c);
    return 0;
}

static void keep_field_names(struct mill__avro_compiler *c)
{
    const struct mill__avro_node *writer = c->writer->root;
    struct mill_slice *names = mill_arena_array(&c->plan->arena, struct mill_slice, writer->count + 1);

    for (uint32_t i = 0; i < writer->count; i++) {
        names[i] = writer->fields[i].name;
    }
    names[writer->count] = (struct mill_slice){"", 0};
    c->plan->field_names = names;
    c->plan->field_count = writer->count;
}

int mill__avro_plan_compile(const struct mill_source_spec *spec, const struct mill__avro_schema *writer,
                            const struct mill__avro_schema *reader, struct mill__avro_plan **ret_plan,
                            struct mill_error *err)
{
    struct mill__avro_compiler c = {.spec = spec, .writer = writer, .reader = reader, .err = err};

    mill_assert(spec->schema.field_count <= UINT16_MAX);
    c.plan = mill_calloc(1, sizeof(*c.plan));
    mill_arena_init(&c.plan->arena, 0);
    c.plan->allow_non_finite = spec->allow_non_finite;
    c.width = mill_calloc(writer->node_count, sizeof(*c.width));
    c.is_called = mill_calloc(writer->node_count, sizeof(*c.is_called));
    c.entry = mill_calloc(writer->node_count, sizeof(*c.entry));
    c.called = mill_calloc(writer->node_count, sizeof(*c.called));
    bool *filled = mill_calloc(spec->schema.field_count, sizeof(bool));

    int rc = emit_record(&c, filled);
    if (rc == 0) {
        struct mill__avro_op *ops = mill_arena_array(&c.plan->arena, struct mill__avro_op, c.op_count);
        memcpy(ops, c.ops, sizeof(*ops) * c.op_count);
        c.plan->ops = ops;
        c.plan->op_count = c.op_count;
        keep_field_names(&c);
        *ret_plan = c.plan;
    } else {
        mill__avro_plan_free(c.plan);
    }
    free(filled);
    free(c.called);
    free(c.entry);
    free(c.is_called);
    free(c.width);
    free(c.ops);
    return rc;
}

void mill__avro_plan_free(struct mill__avro_plan *plan)
{
    if (plan != NULL) {
        mill_arena_clear(&plan->arena);
        free(plan);
    }
}

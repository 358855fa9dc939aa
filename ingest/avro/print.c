/* SPDX-License-Identifier: Apache-2.0 */
/* Avro single objects as JSON for people: see mill_avro_printer_new. Bytes come from anywhere. */
#include <stdlib.h>

#include "base/timestamp.h"
#include "ingest/avro/schema_internal.h"
#include "ingest/ingest.h"

enum { DEPTH_MAX = 32 };

struct known {
    struct mill__avro_schema *schema;
    uint64_t fingerprint;
};

struct mill_avro_printer {
    uint32_t count;
    struct known *known;
};

int mill_avro_printer_new(const struct mill_slice *schemas, uint32_t count, struct mill_avro_printer **ret_printer,
                          struct mill_error *err)
{
    struct mill_avro_printer *printer = mill_calloc(1, sizeof(*printer));

    printer->known = mill_calloc(count, sizeof(*printer->known));
    for (; printer->count < count; printer->count++) {
        struct known *known = &printer->known[printer->count];
        int rc = mill__avro_schema_parse(&schemas[printer->count], 1, &known->schema, err);
        if (rc < 0) {
            mill_avro_printer_free(printer);
            return rc;
        }
        known->fingerprint = mill__avro_schema_fingerprint(known->schema);
    }
    *ret_printer = printer;
    return MILL_OK;
}

void mill_avro_printer_free(struct mill_avro_printer *printer)
{
    if (printer != NULL) {
        for (uint32_t i = 0; i < printer->count; i++) {
            mill__avro_schema_free(printer->known[i].schema);
        }
        free(printer->known);
        free(printer);
    }
}

/* ------------------------------------------------------------------ values */

struct run {
    struct mill_cursor in;
    struct mill_json_writer out;
    unsigned depth;
};

static void print_value(struct run *run, const struct mill__avro_node *type);

static struct mill_slice take_slice(struct run *run)
{
    int64_t n = mill_cursor_zigzag(&run->in);
    const char *p = n < 0 ? NULL : mill_cursor_take(&run->in, (size_t)n);

    run->in.bad |= n < 0;
    return (struct mill_slice){p, p == NULL ? 0 : (size_t)n};
}

/* A number of 0 to count - 1. */
static uint32_t take_index(struct run *run, uint32_t count)
{
    int64_t index = mill_cursor_zigzag(&run->in);

    if (index < 0 || index >= count) {
        run->in.bad = true;
        return 0;
    }
    return (uint32_t)index;
}

static void print_long(struct run *run, const struct mill__avro_node *type)
{
    int64_t v = mill_cursor_zigzag(&run->in), scale = type->logical == MILL__AVRO_TIMESTAMP_MILLIS ? 1000 : 1;
    char text[32];

    if (type->logical == MILL__AVRO_PLAIN || v < MILL_TIMESTAMP_MIN / scale || v > MILL_TIMESTAMP_MAX / scale) {
        mill_json_write_int64(&run->out, v);
    } else {
        mill_json_write_string(&run->out, (struct mill_slice){text, mill_timestamp_print(v * scale, text)});
    }
}

static void print_float(struct run *run, const struct mill__avro_node *type)
{
    float narrow = 0;
    double v = 0;
    const char *p = mill_cursor_take(&run->in, type->type == MILL__AVRO_FLOAT ? sizeof(narrow) : sizeof(v));

    if (p != NULL && type->type == MILL__AVRO_FLOAT) {
        memcpy(&narrow, p, sizeof(narrow));
        v = (double)narrow;
    } else if (p != NULL) {
        memcpy(&v, p, sizeof(v));
    }
    mill_json_write_double(&run->out, v);
}

static void print_record(struct run *run, const struct mill__avro_node *type)
{
    mill_json_write_object_begin(&run->out);
    for (uint32_t i = 0; i < type->count && !run->in.bad; i++) {
        mill_json_write_key_slice(&run->out, type->fields[i].name);
        print_value(run, type->fields[i].type);
    }
    mill_json_write_object_end(&run->out);
}

/* How many items follow; of a block that says its size, too. */
static int64_t take_block(struct run *run)
{
    int64_t count = mill_cursor_zigzag(&run->in);

    if (count < 0) {
        (void)mill_cursor_zigzag(&run->in);
        run->in.bad |= count == INT64_MIN;
        return run->in.bad ? 0 : -count;
    }
    return count;
}

/* An item is a byte at least: where it is none a few bytes could stand for any number of them. */
static void print_item(struct run *run, const struct mill__avro_node *type)
{
    const char *before = run->in.p;

    if (type->type == MILL__AVRO_MAP) {
        mill_json_write_key_slice(&run->out, take_slice(run));
    }
    print_value(run, type->item);
    run->in.bad |= run->in.p == before;
}

static void print_items(struct run *run, const struct mill__avro_node *type)
{
    for (int64_t count = take_block(run); count > 0; count = take_block(run)) {
        for (; count > 0 && !run->in.bad; count--) {
            print_item(run, type);
        }
    }
}

static void print_container(struct run *run, const struct mill__avro_node *type)
{
    if (type->type == MILL__AVRO_RECORD) {
        print_record(run, type);
    } else if (type->type == MILL__AVRO_UNION) {
        print_value(run, type->branches[take_index(run, type->count)]);
    } else if (type->type == MILL__AVRO_MAP) {
        mill_json_write_object_begin(&run->out);
        print_items(run, type);
        mill_json_write_object_end(&run->out);
    } else {
        mill_json_write_array_begin(&run->out);
        print_items(run, type);
        mill_json_write_array_end(&run->out);
    }
}

static void print_value(struct run *run, const struct mill__avro_node *type)
{
    switch (type->type) {
    case MILL__AVRO_NULL:
        mill_json_write_null(&run->out);
        break;
    case MILL__AVRO_BOOLEAN:
        mill_json_write_bool(&run->out, mill_cursor_byte(&run->in) != 0);
        break;
    case MILL__AVRO_INT:
    case MILL__AVRO_LONG:
        print_long(run, type);
        break;
    case MILL__AVRO_FLOAT:
    case MILL__AVRO_DOUBLE:
        print_float(run, type);
        break;
    case MILL__AVRO_BYTES:
    case MILL__AVRO_STRING:
        mill_json_write_string(&run->out, take_slice(run));
        break;
    case MILL__AVRO_FIXED: {
        const char *p = mill_cursor_take(&run->in, (size_t)type->size);
        mill_json_write_string(&run->out, (struct mill_slice){p, p == NULL ? 0 : (size_t)type->size});
        break;
    }
    case MILL__AVRO_ENUM:
        mill_json_write_string(&run->out, type->symbols[take_index(run, type->count)]);
        break;
    case MILL__AVRO_RECORD:
    case MILL__AVRO_ARRAY:
    case MILL__AVRO_MAP:
    case MILL__AVRO_UNION:
        if (run->depth == DEPTH_MAX) {
            run->in.bad = true;
            mill_json_write_null(&run->out);
            break;
        }
        run->depth++;
        print_container(run, type);
        run->depth--;
        break;
    }
}

static const struct mill__avro_node *find_schema(const struct mill_avro_printer *printer, struct mill_cursor *in)
{
    const char *mark = mill_cursor_take(in, 2);
    uint64_t fingerprint = mill_cursor_u64(in);

    for (uint32_t i = 0; i < printer->count && !in->bad && memcmp(mark, "\xc3\x01", 2) == 0; i++) {
        if (printer->known[i].fingerprint == fingerprint) {
            return printer->known[i].schema->root;
        }
    }
    return NULL;
}

bool mill_avro_print(const struct mill_avro_printer *printer, struct mill_slice record, struct mill_buffer *out)
{
    struct run run = {.in = mill_cursor_of(record)};
    const struct mill__avro_node *root = find_schema(printer, &run.in);
    size_t before = out->n;

    if (root == NULL) {
        return false;
    }
    mill_json_writer_init(&run.out, out, false);
    print_value(&run, root);
    if (run.in.bad || run.in.p != run.in.end) {
        out->n = before;
        return false;
    }
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Avro from anywhere. The first byte chooses:
 *   0: a schema: what is accepted has a canonical form that is accepted and is its own canonical form, and a plan that
 *      survives any record;
 *   1: a record of a schema with everything in it that is passed over, recursion too;
 *   2: a record of a flat schema with avro-c as the oracle: what the plan accepts, avro-c reads to the same values.
 * (Only then is avro-c asked: it leaks on broken records, and hangs and crashes on hostile ones of nested schemas.)
 */
#include <avro.h>
#include <stdlib.h>

#include "ingest/avro/plan_internal.h"

static const char nested_text[] = "{\"type\":\"record\",\"name\":\"R\",\"fields\":["
                                  "{\"name\":\"i\",\"type\":\"long\"},"
                                  "{\"name\":\"list\",\"type\":{\"type\":\"record\",\"name\":\"L\",\"fields\":["
                                  "{\"name\":\"v\",\"type\":\"int\"},{\"name\":\"next\",\"type\":[\"null\",\"L\"]}]}},"
                                  "{\"name\":\"maps\",\"type\":{\"type\":\"map\",\"values\":"
                                  "{\"type\":\"array\",\"items\":[\"null\",\"L\",\"bytes\"]}}},"
                                  "{\"name\":\"nulls\",\"type\":{\"type\":\"array\",\"items\":\"null\"}},"
                                  "{\"name\":\"s\",\"type\":[\"null\",\"string\"]},"
                                  "{\"name\":\"fixed\",\"type\":{\"type\":\"fixed\",\"name\":\"F\",\"size\":3}},"
                                  "{\"name\":\"d\",\"type\":[\"int\",\"double\",\"L\",\"null\"]}]}";
static struct mill_field nested_fields[] = {{"s", MILL_STRING}, {"i", MILL_INT64}};

static const char flat_text[] =
    "{\"type\":\"record\",\"name\":\"R\",\"fields\":["
    "{\"name\":\"b\",\"type\":\"boolean\"},{\"name\":\"i\",\"type\":\"int\"},{\"name\":\"l\",\"type\":\"long\"},"
    "{\"name\":\"f\",\"type\":\"float\"},{\"name\":\"d\",\"type\":\"double\"},{\"name\":\"s\",\"type\":\"string\"},"
    "{\"name\":\"e\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\",\"C\"]}},"
    "{\"name\":\"nd\",\"type\":[\"null\",\"double\"]},{\"name\":\"skipped\",\"type\":\"bytes\"},"
    "{\"name\":\"ns\",\"type\":[\"string\",\"null\"]},"
    "{\"name\":\"u\",\"type\":[\"long\",\"string\",\"null\"]}]}";
static struct mill_field flat_fields[] = {
    {"ns", MILL_STRING}, {"b", MILL_BOOL},   {"i", MILL_INT64},  {"l", MILL_INT64},    {"f", MILL_FLOAT64},
    {"d", MILL_FLOAT64}, {"s", MILL_STRING}, {"e", MILL_STRING}, {"nd", MILL_FLOAT64},
};
static const enum mill_time_unit units[16];

struct subject {
    struct mill_source_spec spec;
    struct mill__avro_schema *schema;
    struct mill__avro_plan *plan;
};

static void open_subject(struct subject *s, const char *text, struct mill_field *fields, uint32_t count)
{
    struct mill_slice slice = mill_slice_of(text);

    s->spec = (struct mill_source_spec){.name = "fuzz",
                                        .schema = {fields, count},
                                        .time_unit = units,
                                        .timestamp_column = UINT32_MAX,
                                        .allow_non_finite = true};
    mill_assert(mill__avro_schema_parse(&slice, 1, &s->schema, NULL) == 0);
    mill_assert(mill__avro_plan_compile(&s->spec, s->schema, s->schema, &s->plan, NULL) == 0);
}

/* True where the record was accepted into row 0 of the batch. */
static bool run(const struct subject *s, struct mill_slice body, struct mill_batch *batch, struct mill_arena *arena)
{
    struct mill__fault fault = {0};

    mill_batch_init(batch, &s->spec.schema, 1, arena);
    if (!mill__avro_plan_run(s->plan, body, batch, 0, NULL, &fault)) {
        mill_assert(fault.text[0] != '\0');
        return false;
    }
    for (uint32_t c = 0; c < s->spec.schema.field_count; c++) {
        if (batch->columns[c].type == MILL_STRING && mill_bit_get(batch->columns[c].valid, 0)) {
            mill_assert(mill_utf8_is_valid(batch->columns[c].at.s[0]));
        }
    }
    return true;
}

/* ---- schemas ---- */

static void canonical_again(const struct mill_buffer *first)
{
    struct mill_slice text = mill_buffer_slice(first);
    struct mill__avro_schema *schema;
    struct mill_buffer second = {0};

    mill_assert(mill__avro_schema_parse(&text, 1, &schema, NULL) == 0);
    mill__avro_schema_canonical(schema, &second);
    mill_assert(mill_slice_equal(text, mill_buffer_slice(&second)));
    mill_buffer_clear(&second);
    mill__avro_schema_free(schema);
}

static void fuzz_schema(struct mill_slice text)
{
    struct mill_source_spec nothing = {.name = "fuzz", .time_unit = units, .timestamp_column = UINT32_MAX};
    struct mill_buffer canonical = {0};
    struct mill__avro_schema *schema;
    struct mill__avro_plan *plan;
    struct mill_error err = {0};
    struct mill_batch batch;
    struct mill_arena arena;
    struct mill__fault fault;

    if (mill__avro_schema_parse(&text, 1, &schema, &err) < 0) {
        mill_assert(err.msg[0] != '\0');
        return;
    }
    mill__avro_schema_canonical(schema, &canonical);
    if (canonical.n <= MILL__AVRO_TEXT_MAX) { /* full names may make it longer than the text */
        canonical_again(&canonical);
    }
    if (mill__avro_plan_compile(&nothing, schema, schema, &plan, NULL) == 0) {
        mill_arena_init(&arena, 0);
        mill_batch_init(&batch, &nothing.schema, 1, &arena);
        (void)mill__avro_plan_run(plan, text, &batch, 0, NULL, &fault);
        mill_arena_clear(&arena);
        mill__avro_plan_free(plan);
    }
    mill_buffer_clear(&canonical);
    mill__avro_schema_free(schema);
}

/* ---- the oracle ---- */

struct oracle {
    avro_value_t value;
    avro_reader_t reader;
};

static void open_oracle(struct oracle *oracle)
{
    avro_schema_t schema = NULL;

    mill_assert(avro_schema_from_json_length(flat_text, sizeof(flat_text) - 1, &schema) == 0);
    mill_assert(avro_generic_value_new(avro_generic_class_from_schema(schema), &oracle->value) == 0);
    oracle->reader = avro_reader_memory("", 0);
}

static bool same_double(double a, double b)
{
    return memcmp(&a, &b, sizeof(a)) == 0 || (a != a && b != b);
}

static void compare_column(avro_value_t *v, const struct mill_column *column)
{
    const char *text = NULL;
    size_t n = 0;
    double d = 0;
    float f = 0;
    int64_t l = 0;
    int32_t i = 0;

    switch ((int)avro_value_get_type(v)) {
    case AVRO_BOOLEAN:
        mill_assert(avro_value_get_boolean(v, &i) == 0 && column->at.b[0] == i);
        break;
    case AVRO_INT32:
        mill_assert(avro_value_get_int(v, &i) == 0 && column->at.i[0] == i);
        break;
    case AVRO_INT64:
        mill_assert(avro_value_get_long(v, &l) == 0 && column->at.i[0] == l);
        break;
    case AVRO_FLOAT:
        mill_assert(avro_value_get_float(v, &f) == 0 && same_double(column->at.f[0], (double)f));
        break;
    case AVRO_DOUBLE:
        mill_assert(avro_value_get_double(v, &d) == 0 && same_double(column->at.f[0], d));
        break;
    case AVRO_ENUM:
        mill_assert(avro_value_get_enum(v, &i) == 0);
        mill_assert(mill_slice_is(column->at.s[0], avro_schema_enum_get(avro_value_get_schema(v), i)));
        break;
    default:
        mill_assert(avro_value_get_string(v, &text, &n) == 0 && column->at.s[0].n == n - 1);
        mill_assert(memcmp(column->at.s[0].p, text, n - 1) == 0);
        break;
    }
}

static void compare_row(struct oracle *oracle, struct mill_slice body, const struct mill_batch *batch)
{
    avro_value_t v, branch;

    avro_reader_memory_set_source(oracle->reader, body.p, (int64_t)body.n);
    mill_assert(avro_value_read(oracle->reader, &oracle->value) == 0);
    for (uint32_t c = 0; c < batch->schema->field_count; c++) {
        mill_assert(avro_value_get_by_name(&oracle->value, batch->schema->fields[c].name, &v, NULL) == 0);
        if (avro_value_get_type(&v) == AVRO_UNION) {
            mill_assert(avro_value_get_current_branch(&v, &branch) == 0);
            v = branch;
        }
        bool is_null = avro_value_get_type(&v) == AVRO_NULL;
        mill_assert(mill_bit_get(batch->columns[c].valid, 0) == !is_null);
        if (!is_null) {
            compare_column(&v, &batch->columns[c]);
        }
    }
    /* avro-c keeps pointers at odd addresses, where the leak sanitizer does not see them: nothing may be left at exit.
     */
    avro_value_reset(&oracle->value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct subject nested, flat;
    static struct oracle oracle;
    struct mill_batch batch;
    struct mill_arena arena;

    if (nested.plan == NULL) {
        open_subject(&nested, nested_text, nested_fields, sizeof(nested_fields) / sizeof(nested_fields[0]));
        open_subject(&flat, flat_text, flat_fields, sizeof(flat_fields) / sizeof(flat_fields[0]));
        open_oracle(&oracle);
    }
    if (size == 0) {
        return 0;
    }
    struct mill_slice rest = {(const char *)data + 1, size - 1};
    if (data[0] % 3 == 0) {
        fuzz_schema(rest);
        return 0;
    }
    mill_arena_init(&arena, 0);
    if (data[0] % 3 == 1) {
        (void)run(&nested, rest, &batch, &arena);
    } else if (run(&flat, rest, &batch, &arena)) {
        compare_row(&oracle, rest, &batch);
    }
    mill_arena_clear(&arena);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Avro decode plans against avro-c: random schemas (nested, with unions, enums, arrays, maps), random values written by
 * avro-c, read back by a plan that wants some of the fields in another order, and by the encoder.
 */
#include "tests/ingest/decode_fixture.h"

#include <avro.h>

#include "ingest/avro/encode_internal.h"
#include "ingest/avro/plan_internal.h"
#include "tests/base/random.h"

enum { ROUNDS = 1500, VALUES = 10, BYTES_MAX = 1 << 20 };

/* ---- random schemas ---- */

struct generator {
    struct mill_buffer *out;
    unsigned named; /* types so far: E1, P2, ... */
};

static const char *const primitives[] = {"boolean", "int", "long", "float", "double", "string", "bytes"};

static void add_type(struct generator *g, unsigned depth);

static void add_record(struct generator *g, const char *prefix, unsigned depth)
{
    unsigned fields = 1 + random_below(depth == 0 ? 12 : 3);

    mill_buffer_printf(g->out, "{\"type\":\"record\",\"name\":\"%s%u\",\"fields\":[", prefix, g->named++);
    for (unsigned i = 0; i < fields; i++) {
        mill_buffer_printf(g->out, "%s{\"name\":\"f%u\",\"type\":", i == 0 ? "" : ",", i);
        add_type(g, depth + 1);
        mill_buffer_add_byte(g->out, '}');
    }
    mill_buffer_add_string(g->out, "]}");
}

static void add_union(struct generator *g)
{
    static const char *const unions[] = {
        "[\"null\",\"double\"]",         "[\"string\",\"null\"]",  "[\"null\",\"long\"]",  "[\"boolean\",\"null\"]",
        "[\"null\",\"int\",\"string\"]", "[\"double\",\"bytes\"]", "[\"null\",\"float\"]", "[\"int\"]",
    };
    mill_buffer_add_string(g->out, unions[random_below(sizeof(unions) / sizeof(unions[0]))]);
}

static void add_type(struct generator *g, unsigned depth)
{
    uint32_t kind = random_below(depth > 3 ? 9 : 14);

    if (kind < 6) {
        mill_buffer_printf(g->out, "\"%s\"", primitives[random_below(sizeof(primitives) / sizeof(primitives[0]))]);
    } else if (kind < 8) {
        add_union(g);
    } else if (kind == 8) {
        mill_buffer_printf(g->out, "{\"type\":\"enum\",\"name\":\"E%u\",\"symbols\":[\"A\",\"BB\",\"CCC\"]}",
                           g->named++);
    } else if (kind == 9) {
        mill_buffer_printf(g->out, "{\"type\":\"fixed\",\"name\":\"F%u\",\"size\":%u}", g->named++,
                           1 + random_below(20));
    } else if (kind < 12) {
        mill_buffer_add_string(g->out, kind == 10 ? "{\"type\":\"array\",\"items\":" : "{\"type\":\"map\",\"values\":");
        add_type(g, depth + 1);
        mill_buffer_add_byte(g->out, '}');
    } else {
        add_record(g, "P", depth);
    }
}

/* ---- random values, by avro-c ---- */

static void check(int rc)
{
    if (rc != 0) {
        fail_msg("avro-c: %s", avro_strerror());
    }
}

static void fill(avro_value_t *v);

static void fill_string(avro_value_t *v)
{
    static const char *const texts[] = {"",
                                        "a",
                                        "N14228",
                                        "fifteen letters",
                                        "sixteen letters!",
                                        "\xc3\xa9t\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
                                        "a text of more than thirty-two bytes in all"};
    check(avro_value_set_string(v, texts[random_below(sizeof(texts) / sizeof(texts[0]))]));
}

static void fill_items(avro_value_t *v, bool map)
{
    uint32_t count = random_below(4);
    char key[16];

    for (uint32_t i = 0; i < count; i++) {
        avro_value_t item;
        snprintf(key, sizeof(key), "key%u", i);
        check(map ? avro_value_add(v, key, &item, NULL, NULL) : avro_value_append(v, &item, NULL));
        fill(&item);
    }
}

static void fill_record(avro_value_t *v)
{
    size_t count = 0;

    check(avro_value_get_size(v, &count));
    for (size_t i = 0; i < count; i++) {
        avro_value_t field;
        check(avro_value_get_by_index(v, i, &field, NULL));
        fill(&field);
    }
}

static void fill_union(avro_value_t *v)
{
    avro_value_t branch;
    avro_schema_t schema = avro_value_get_schema(v);

    check(avro_value_set_branch(v, (int)random_below((uint32_t)avro_schema_union_size(schema)), &branch));
    fill(&branch);
}

static void fill(avro_value_t *v)
{
    uint64_t bits = random_u64() >> random_below(64);
    int64_t number = random_below(2) == 0 ? (int64_t)bits : -(int64_t)bits;
    char bytes[32] = "any bytes at all \xff\xfe\x80";

    switch (avro_value_get_type(v)) {
    case AVRO_NULL:
        check(avro_value_set_null(v));
        break;
    case AVRO_BOOLEAN:
        check(avro_value_set_boolean(v, (int)random_below(2)));
        break;
    case AVRO_INT32:
        check(avro_value_set_int(v, (int32_t)number));
        break;
    case AVRO_INT64:
        check(avro_value_set_long(v, number));
        break;
    case AVRO_FLOAT:
        check(avro_value_set_float(v, (float)number / 8));
        break;
    case AVRO_DOUBLE:
        check(avro_value_set_double(v, (double)number / 8));
        break;
    case AVRO_STRING:
        fill_string(v);
        break;
    case AVRO_BYTES:
        check(avro_value_set_bytes(v, bytes, random_below(sizeof(bytes))));
        break;
    case AVRO_ENUM:
        check(avro_value_set_enum(v, (int)random_below(3)));
        break;
    case AVRO_FIXED:
        check(avro_value_set_fixed(v, bytes, (size_t)avro_schema_fixed_size(avro_value_get_schema(v))));
        break;
    case AVRO_ARRAY:
    case AVRO_MAP:
        fill_items(v, avro_value_get_type(v) == AVRO_MAP);
        break;
    case AVRO_RECORD:
        fill_record(v);
        break;
    case AVRO_UNION:
        fill_union(v);
        break;
    case AVRO_LINK:
        break;
    }
}

/* ---- what the plan must give ---- */

static void compare_text(const struct mill_slice *found, const char *expected, size_t size)
{
    assert_int_equal(found->n, size);
    assert_memory_equal(found->p, expected, size);
}

static void compare_value(avro_value_t *v, const struct mill_column *column)
{
    const char *text = NULL;
    double d = 0;
    float f = 0;
    int64_t l = 0;
    int32_t i = 0;
    size_t n = 0;

    switch ((int)avro_value_get_type(v)) {
    case AVRO_BOOLEAN:
        check(avro_value_get_boolean(v, &i));
        assert_int_equal(column->at.b[0], i);
        break;
    case AVRO_INT32:
        check(avro_value_get_int(v, &i));
        assert_true(column->at.i[0] == i);
        break;
    case AVRO_INT64:
        check(avro_value_get_long(v, &l));
        assert_true(column->at.i[0] == (column->type == MILL_TIMESTAMP ? l * 1000 : l)); /* of timestamp-millis */
        break;
    case AVRO_FLOAT:
        check(avro_value_get_float(v, &f));
        assert_true(column->at.f[0] == (double)f);
        break;
    case AVRO_DOUBLE:
        check(avro_value_get_double(v, &d));
        assert_true(column->at.f[0] == d);
        break;
    case AVRO_STRING:
        check(avro_value_get_string(v, &text, &n));
        compare_text(&column->at.s[0], text, n - 1); /* avro-c counts the null */
        break;
    case AVRO_ENUM:
        check(avro_value_get_enum(v, &i));
        text = avro_schema_enum_get(avro_value_get_schema(v), i);
        compare_text(&column->at.s[0], text, strlen(text));
        break;
    default:
        fail_msg("a column of a type that cannot be one");
    }
}

static void compare_row(const struct fixture *f, avro_value_t *record)
{
    for (uint32_t c = 0; c < f->spec.schema.field_count; c++) {
        avro_value_t v, branch;
        check(avro_value_get_by_name(record, f->fields[c].name, &v, NULL));
        if (avro_value_get_type(&v) == AVRO_UNION) {
            check(avro_value_get_current_branch(&v, &branch));
            v = branch;
        }
        bool is_null = avro_value_get_type(&v) == AVRO_NULL;
        assert_int_equal(mill_bit_get(f->batch.columns[c].valid, 0), !is_null);
        if (!is_null) {
            compare_value(&v, &f->batch.columns[c]);
        }
    }
}

/* Some of the fields that can be columns, in any order. False where there are none. */
static bool choose_columns(struct fixture *f, const char *schema)
{
    const enum mill_time_unit *units;
    struct mill_schema all;

    assert_int_equal(mill_source_fields_from_avro(mill_slice_of(schema), &f->names, &all, &units, &f->err), 0);
    f->spec.schema.field_count = 0;
    for (uint32_t i = 0; i < all.field_count; i++) {
        if (random_below(4) != 0) {
            uint32_t at = random_below(f->spec.schema.field_count + 1);
            f->fields[f->spec.schema.field_count++] = f->fields[at];
            f->fields[at] = all.fields[i];
        }
    }
    return f->spec.schema.field_count > 0;
}

static void run_value(struct fixture *f, const struct mill__avro_plan *plan, avro_value_t *value, char *bytes)
{
    avro_writer_t writer = avro_writer_memory(bytes, BYTES_MAX);
    struct mill__fault fault;

    fill(value);
    check(avro_value_write(writer, value));
    size_t n = (size_t)avro_writer_tell(writer);
    avro_writer_free(writer);
    char *exact = malloc(n > 0 ? n : 1);
    memcpy(exact, bytes, n);
    fixture_batch(f, 1);
    if (!mill__avro_plan_run(plan, (struct mill_slice){exact, n}, &f->batch, 0, NULL, &fault)) {
        fail_msg("%s", fault.text);
    }
    compare_row(f, value);
    if (n > 0) { /* one byte less is an error, whatever was in it */
        fixture_batch(f, 1);
        assert_false(mill__avro_plan_run(plan, (struct mill_slice){exact, n - 1}, &f->batch, 0, NULL, &fault));
    }
    free(exact);
    avro_value_reset(value);
}

static void run_schema(struct fixture *f, const char *text, char *bytes)
{
    struct mill_slice slice = mill_slice_of(text);
    struct mill__avro_schema *schema;
    struct mill__avro_plan *plan;
    avro_schema_t peer = NULL;
    avro_value_t value;

    check(avro_schema_from_json_length(text, strlen(text), &peer));
    avro_value_iface_t *iface = avro_generic_class_from_schema(peer);
    check(avro_generic_value_new(iface, &value));
    if (mill__avro_schema_parse(&slice, 1, &schema, &f->err) < 0 ||
        mill__avro_plan_compile(&f->spec, schema, schema, &plan, &f->err) < 0) {
        fail_msg("%s: %s", text, f->err.msg);
    }
    for (int i = 0; i < VALUES; i++) {
        run_value(f, plan, &value, bytes);
    }
    mill__avro_plan_free(plan);
    mill__avro_schema_free(schema);
    avro_value_decref(&value);
    avro_value_iface_decref(iface);
    avro_schema_decref(peer);
}

static void test_random_schemas(void **state)
{
    char *bytes = malloc(BYTES_MAX);
    struct mill_buffer text = {0};
    struct fixture f;
    int used = 0;

    (void)state;
    random_seed("test_random_schemas");
    for (int round = 0; round < ROUNDS; round++) {
        struct generator g = {&text, 0};
        mill_buffer_reset(&text);
        add_record(&g, "R", 0);
        fixture_init(&f, MILL_FORMAT_AVRO, "");
        if (choose_columns(&f, mill_buffer_cstr(&text))) {
            run_schema(&f, mill_buffer_cstr(&text), bytes);
            used++;
        }
        fixture_clear(&f);
    }
    assert_true(used > ROUNDS / 2);
    mill_buffer_clear(&text);
    free(bytes);
}

/* What the encoder writes, avro-c reads, and the plan reads back the same. */
static void test_encoder(void **state)
{
    static const char schema_text[] =
        "{\"type\":\"record\",\"name\":\"R\",\"fields\":["
        "{\"name\":\"skipped\",\"type\":{\"type\":\"array\",\"items\":\"int\"},\"default\":[]},"
        "{\"name\":\"ts\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}},"
        "{\"name\":\"s\",\"type\":[\"string\",\"null\"]},{\"name\":\"l\",\"type\":\"long\"},"
        "{\"name\":\"d\",\"type\":[\"null\",\"double\"]},{\"name\":\"b\",\"type\":\"boolean\"},"
        "{\"name\":\"e\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]}},"
        "{\"name\":\"x\",\"type\":[\"null\",\"bytes\"]}]}";
    struct mill_slice slice = mill_slice_of(schema_text);
    struct mill__avro_schema *schema;
    struct mill__avro_plan *plan;
    struct mill_buffer out = {0};
    struct mill__fault fault;
    avro_schema_t peer = NULL;
    avro_value_t value;
    struct fixture f;

    (void)state;
    fixture_init(&f, MILL_FORMAT_JSON, "ts:timestamp/ms s:string l:int64 d:float64 b:bool e:string");
    fixture_open(&f);
    assert_int_equal(mill__avro_schema_parse(&slice, 1, &schema, &f.err), 0);
    assert_int_equal(mill__avro_plan_compile(&f.spec, schema, schema, &plan, &f.err), 0);
    check(avro_schema_from_json_length(schema_text, strlen(schema_text), &peer));
    avro_value_iface_t *iface = avro_generic_class_from_schema(peer);
    check(avro_generic_value_new(iface, &value));
    static const char *const rows[] = {
        "{\"ts\":1500,\"s\":\"\xc3\xa9\",\"l\":-9223372036854775808,\"d\":0.1,\"b\":true,\"e\":\"B\"}",
        "{\"ts\":-1,\"s\":null,\"l\":7,\"d\":null,\"b\":false,\"e\":\"A\"}",
    };
    for (size_t i = 0; i < 2; i++) {
        struct mill_record record = {.value = mill_slice_of(rows[i])};
        assert_int_equal(fixture_decode(&f, &record, 1), 0);
        const char *before = mill_arena_strdup(&f.names, fixture_row(&f, 0));
        mill_buffer_reset(&out);
        assert_int_equal(mill__avro_encode_record(&f.spec, schema, &f.batch, 0, &out, &f.err), 0);
        avro_reader_t reader = avro_reader_memory(out.p, (int64_t)out.n);
        check(avro_value_read(reader, &value));
        avro_reader_free(reader);
        compare_row(&f, &value);
        fixture_batch(&f, 1);
        assert_true(mill__avro_plan_run(plan, mill_buffer_slice(&out), &f.batch, 0, NULL, &fault));
        mill_bit_set(f.batch.live, 0);
        assert_string_equal(fixture_row(&f, 0), before);
    }
    struct mill_record wrong = {.value = mill_slice_of("{\"ts\":0,\"l\":1,\"b\":true,\"e\":\"C\"}")};
    assert_int_equal(fixture_decode(&f, &wrong, 1), 0);
    assert_int_equal(mill__avro_encode_record(&f.spec, schema, &f.batch, 0, &out, &f.err), MILL_EDATA);
    assert_string_equal(f.err.msg, "field 'e': the value cannot be written as enum 'E'");
    struct mill_record missing = {.value = mill_slice_of("{\"ts\":0,\"b\":true,\"e\":\"A\"}")};
    assert_int_equal(fixture_decode(&f, &missing, 1), 0);
    assert_int_equal(mill__avro_encode_record(&f.spec, schema, &f.batch, 0, &out, &f.err), MILL_EDATA);
    assert_string_equal(f.err.msg, "field 'l': null cannot be written as long");
    mill__avro_plan_free(plan);
    mill__avro_schema_free(schema);
    avro_value_decref(&value);
    avro_value_iface_decref(iface);
    avro_schema_decref(peer);
    mill_buffer_clear(&out);
    fixture_clear(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_schemas),
        cmocka_unit_test(test_encoder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

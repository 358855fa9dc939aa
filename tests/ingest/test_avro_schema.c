/* SPDX-License-Identifier: Apache-2.0 */
/* Avro schemas: what is accepted, what is refused with which words, canonical forms and fingerprints. */
#include "tests/ingest/decode_fixture.h"

#include "ingest/avro/schema_internal.h"

static int parse(const char *text, struct mill__avro_schema **ret_schema, struct mill_error *err)
{
    struct mill_slice s = mill_slice_of(text);
    return mill__avro_schema_parse(&s, 1, ret_schema, err);
}

static void expect_canonical(const char *text, const char *expected)
{
    struct mill__avro_schema *schema;
    struct mill_buffer out = {0};
    struct mill_error err;

    if (parse(text, &schema, &err) < 0) {
        fail_msg("%s: %s", text, err.msg);
    }
    mill__avro_schema_canonical(schema, &out);
    assert_string_equal(mill_buffer_cstr(&out), expected);
    mill_buffer_clear(&out);
    mill__avro_schema_free(schema);
}

static void test_canonical_form(void **state)
{
    (void)state;
    expect_canonical("\"int\"", "\"int\"");
    expect_canonical("{\"type\":\"string\",\"logicalType\":\"uuid\",\"x\":[1]}", "\"string\"");
    expect_canonical("{\"type\":{\"type\":\"long\"}}", "\"long\"");
    expect_canonical("[ \"null\", {\"type\":\"double\"} ]", "[\"null\",\"double\"]");
    expect_canonical("{\"items\":\"long\",\"type\":\"array\"}", "{\"type\":\"array\",\"items\":\"long\"}");
    expect_canonical("{\"type\":\"map\",\"values\":[\"null\",\"bytes\"]}",
                     "{\"type\":\"map\",\"values\":[\"null\",\"bytes\"]}");
    expect_canonical(
        "{\"type\":\"fixed\",\"doc\":\"d\",\"size\":16,\"namespace\":\"x.y\",\"name\":\"md5\",\"aliases\":[\"h\"]}",
        "{\"name\":\"x.y.md5\",\"type\":\"fixed\",\"size\":16}");
    expect_canonical("{\"type\":\"enum\",\"name\":\"a.E\",\"symbols\":[\"A\",\"B\"],\"default\":\"B\"}",
                     "{\"name\":\"a.E\",\"type\":\"enum\",\"symbols\":[\"A\",\"B\"]}");
    /* attributes in any order, the enclosing namespace, a second use by name, a use of itself */
    expect_canonical(
        "{\"fields\":[{\"type\":{\"type\":\"enum\",\"symbols\":[\"X\"],\"name\":\"E\"},\"name\":\"e\","
        "\"default\":\"X\",\"doc\":\"\"},{\"name\":\"f\",\"type\":\"E\"},{\"name\":\"g\",\"type\":"
        "[\"null\",\"n.R\"],\"default\":null}],\"name\":\"R\",\"namespace\":\"n\",\"type\":\"record\"}",
        "{\"name\":\"n.R\",\"type\":\"record\",\"fields\":[{\"name\":\"e\",\"type\":{\"name\":\"n.E\",\"type\":"
        "\"enum\",\"symbols\":[\"X\"]}},{\"name\":\"f\",\"type\":\"n.E\"},{\"name\":\"g\",\"type\":[\"null\","
        "\"n.R\"]}]}");
    /* a full name overrides the namespace, an empty namespace ends the inheritance */
    expect_canonical(
        "{\"type\":\"record\",\"name\":\"a.b.R\",\"namespace\":\"c\",\"fields\":[{\"name\":\"f\",\"type\":"
        "{\"type\":\"fixed\",\"name\":\"F\",\"namespace\":\"\",\"size\":1}},{\"name\":\"g\",\"type\":"
        "{\"type\":\"fixed\",\"name\":\"G\",\"size\":1}}]}",
        "{\"name\":\"a.b.R\",\"type\":\"record\",\"fields\":[{\"name\":\"f\",\"type\":{\"name\":\"F\",\"type\":"
        "\"fixed\",\"size\":1}},{\"name\":\"g\",\"type\":{\"name\":\"a.b.G\",\"type\":\"fixed\",\"size\":1}}]}");
}

/* CRC-64-AVRO of the primitive types, from the schema tests of Apache Avro (share/test/data/schema-tests.txt). */
static void test_fingerprints(void **state)
{
    static const struct {
        const char *text;
        int64_t fingerprint;
    } known[] = {
        {"\"null\"", 7195948357588979594},  {"\"boolean\"", -6970731678124411036}, {"\"int\"", 8247732601305521295},
        {"\"long\"", -3434872931120570953}, {"\"float\"", 5583340709985441680},    {"\"double\"", -8181574048448539266},
        {"\"bytes\"", 5746618253357095269}, {"\"string\"", -8142146995180207161},
    };
    struct mill__avro_schema *schema;
    struct mill_error err;

    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        assert_int_equal(parse(known[i].text, &schema, &err), 0);
        assert_true(mill__avro_schema_fingerprint(schema) == (uint64_t)known[i].fingerprint);
        mill__avro_schema_free(schema);
    }
}

#define RECORD(fields) "{\"type\":\"record\",\"name\":\"R\",\"fields\":[" fields "]}"

static const struct {
    const char *text, *message;
} broken[] = {
    {"", "avro schema: not JSON: unexpected end of the text"},
    {"5", "avro schema: a type must be a name, an object or an array of types"},
    {"\"int\" \"int\"", "avro schema: not JSON: expected nothing behind the document, found '\"'"},
    {"{\"type\":\"int\"", "avro schema: not JSON: unexpected end of the text"},
    {"\"strng\"", "avro schema: unknown type 'strng'; hint: did you mean 'string'?"},
    {"\"zzz\"", "avro schema: unknown type 'zzz'"},
    {"\"record\"", "avro schema: 'record' needs attributes: write {\"type\": \"record\", ...}"},
    {"{}", "avro schema: attribute 'type' is missing"},
    {"{\"type\":5}", "avro schema: a type must be a name, an object or an array of types"},
    {"{\"type\":\"int\",\"type\":\"int\"}", "avro schema: attribute 'type' is written twice"},
    {"{\"type\":\"array\"}", "avro schema: type 'array' needs attribute 'items'"},
    {"{\"type\":\"map\",\"items\":\"int\"}", "avro schema: type 'map' needs attribute 'values'"},
    {"{\"type\":\"record\",\"fields\":[]}", "avro schema: attribute 'name' is missing"},
    {"{\"type\":\"record\",\"name\":5,\"fields\":[]}", "avro schema: attribute 'name' must be a string"},
    {"{\"type\":\"record\",\"name\":\"9\",\"fields\":[]}",
     "avro schema: '9' is not a name: letters, digits and underscores, not a digit first"},
    {"{\"type\":\"record\",\"name\":\"a..b\",\"fields\":[]}",
     "avro schema: 'a..b' is not a name: letters, digits and underscores, not a digit first"},
    {"{\"type\":\"record\",\"name\":\"R\",\"namespace\":\"a-b\",\"fields\":[]}",
     "avro schema: 'a-b' is not a namespace"},
    {"{\"type\":\"record\",\"name\":\"int\",\"fields\":[]}", "avro schema: 'int' is the name of a built-in type"},
    {"{\"type\":\"record\",\"name\":\"R\"}", "avro schema: record 'R' needs 'fields', an array"},
    {RECORD("5"), "avro schema: a field must be an object with 'name' and 'type'"},
    {RECORD("{\"type\":\"int\"}"), "avro schema: attribute 'name' is missing"},
    {RECORD("{\"name\":\"a\"}"), "avro schema, field 'a': attribute 'type' is missing"},
    {RECORD("{\"name\":\"a.b\",\"type\":\"int\"}"),
     "avro schema: 'a.b' is not a field name: letters, digits and underscores, not a digit first"},
    {RECORD("{\"name\":\"a\",\"type\":\"int\"},{\"name\":\"a\",\"type\":\"int\"}"),
     "avro schema, field 'a': is declared twice in record 'R'"},
    {RECORD("{\"name\":\"a\",\"type\":\"lon\"}"),
     "avro schema, field 'a': unknown type 'lon'; hint: did you mean 'long'?"},
    {RECORD("{\"name\":\"a\",\"type\":\"int\",\"aliases\":[5]}"),
     "avro schema, field 'a': attribute 'aliases' must be an array of strings"},
    {RECORD("{\"name\":\"a\",\"type\":\"int\",\"aliases\":[\"a b\"]}"),
     "avro schema, field 'a': alias 'a b' is not a name"},
    {RECORD("{\"name\":\"a\",\"type\":{\"type\":\"record\",\"name\":\"R\",\"fields\":[]}}"),
     "avro schema, field 'a': type 'R' is declared twice"},
    {"[]", "avro schema: a union needs at least one type"},
    {"[\"int\",\"int\"]", "avro schema: a union holds type 'int' twice"},
    {"[\"int\",[\"null\"]]", "avro schema: a union may not hold a union directly"},
    {"{\"type\":\"enum\",\"name\":\"E\"}", "avro schema: enum 'E' needs 'symbols', an array of strings"},
    {"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"a-b\"]}", "avro schema: symbol 'a-b' of enum 'E' is not a name"},
    {"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"A\"]}", "avro schema: symbol 'A' is twice in enum 'E'"},
    {"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"],\"default\":\"B\"}",
     "avro schema: default 'B' is not a symbol of enum 'E'"},
    {"{\"type\":\"fixed\",\"name\":\"F\"}", "avro schema: fixed 'F' needs 'size', a whole number of bytes"},
    {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":-1}", "avro schema: fixed 'F' needs 'size', a whole number of bytes"},
    {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":1e3}",
     "avro schema: fixed 'F' needs 'size', a whole number of bytes"},
};

static void test_broken(void **state)
{
    struct mill__avro_schema *schema = NULL;
    struct mill_error err;

    (void)state;
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        if (parse(broken[i].text, &schema, &err) != MILL_EDATA) {
            fail_msg("%s: was accepted", broken[i].text);
        }
        assert_null(schema);
        if (strcmp(err.msg, broken[i].message) != 0) {
            fail_msg("%s: expected \"%s\", found \"%s\"", broken[i].text, broken[i].message, err.msg);
        }
    }
}

/* Every prefix of a schema is refused. */
static void test_prefixes(void **state)
{
    static const char text[] = "{\"type\":\"record\",\"name\":\"n.R\",\"fields\":[{\"name\":\"a\",\"type\":[\"null\",{"
                               "\"type\":\"array\",\"items\":"
                               "{\"type\":\"map\",\"values\":\"n.R\"}}],\"default\":null}]}";
    struct mill__avro_schema *schema;
    struct mill_error err;

    (void)state;
    for (size_t n = 0; n < sizeof(text) - 1; n++) {
        char *exact = malloc(n + 1);
        memcpy(exact, text, n);
        struct mill_slice s = {exact, n};
        assert_int_equal(mill__avro_schema_parse(&s, 1, &schema, &err), MILL_EDATA);
        free(exact);
    }
    assert_int_equal(parse(text, &schema, &err), 0);
    mill__avro_schema_free(schema);
}

static void expect_refused(struct mill_buffer *text, const char *message)
{
    struct mill__avro_schema *schema;
    struct mill_error err;
    struct mill_slice s = mill_buffer_slice(text);

    assert_int_equal(mill__avro_schema_parse(&s, 1, &schema, &err), MILL_EDATA);
    assert_non_null(strstr(err.msg, message));
    mill_buffer_reset(text);
}

static void test_limits(void **state)
{
    struct mill__avro_schema *schema;
    struct mill_buffer text = {0};
    struct mill_error err;

    (void)state;
    for (int depth = 0; depth < 200; depth++) {
        mill_buffer_add_string(&text, "{\"type\":\"array\",\"items\":");
    }
    expect_refused(&text, "nested more than 64 levels deep");

    mill_buffer_add_string(&text, "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"s\"");
    for (int i = 0; i < MILL__AVRO_NODES_MAX; i++) {
        mill_buffer_printf(&text, ",\"s%d\"", i);
    }
    mill_buffer_add_string(&text, "]}");
    expect_refused(&text, "more than 10000 types, fields and symbols");

    mill_buffer_add_string(&text, "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"f\",\"type\":\"int\"}");
    for (int i = 0; i < MILL__AVRO_NODES_MAX / 2; i++) {
        mill_buffer_printf(&text, ",{\"name\":\"f%d\",\"type\":\"int\"}", i);
    }
    mill_buffer_add_string(&text, "]}");
    expect_refused(&text, "more than 10000 types, fields and symbols");

    while (text.n <= MILL__AVRO_TEXT_MAX) {
        mill_buffer_add_string(&text, "                ");
    }
    expect_refused(&text, "more than 1048576");
    mill_buffer_clear(&text);

    assert_int_equal(parse("{\"type\":\"fixed\",\"name\":\"F\",\"size\":2147483647}", &schema, &err), 0);
    mill__avro_schema_free(schema);
}

static void test_several_texts(void **state)
{
    struct mill_slice texts[2];
    struct mill__avro_schema *schema;
    struct mill_buffer out = {0};
    struct mill_error err;

    (void)state;
    texts[0] = mill_slice_of("{\"type\":\"fixed\",\"name\":\"a.F\",\"size\":2}");
    texts[1] = mill_slice_of(RECORD("{\"name\":\"f\",\"type\":\"a.F\"}"));
    assert_int_equal(mill__avro_schema_parse(texts, 2, &schema, &err), 0);
    mill__avro_schema_canonical(schema, &out);
    assert_string_equal(mill_buffer_cstr(&out),
                        "{\"name\":\"R\",\"type\":\"record\",\"fields\":[{\"name\":\"f\",\"type\":"
                        "{\"name\":\"a.F\",\"type\":\"fixed\",\"size\":2}}]}");
    mill_buffer_clear(&out);
    mill__avro_schema_free(schema);
    assert_int_equal(mill__avro_schema_parse(texts + 1, 1, &schema, &err), MILL_EDATA);
}

static void test_source_fields(void **state)
{
    static const struct {
        const char *name;
        enum mill_type type;
        enum mill_time_unit unit;
    } expected[] = {
        {"b", MILL_BOOL, MILL_TIME_TEXT},         {"i", MILL_INT64, MILL_TIME_TEXT},
        {"l", MILL_INT64, MILL_TIME_TEXT},        {"f", MILL_FLOAT64, MILL_TIME_TEXT},
        {"d", MILL_FLOAT64, MILL_TIME_TEXT},      {"s", MILL_STRING, MILL_TIME_TEXT},
        {"u", MILL_STRING, MILL_TIME_TEXT},       {"e", MILL_STRING, MILL_TIME_TEXT},
        {"tm", MILL_TIMESTAMP, MILL_TIME_MILLIS}, {"tu", MILL_TIMESTAMP, MILL_TIME_MICROS},
        {"lm", MILL_TIMESTAMP, MILL_TIME_MILLIS}, {"ns", MILL_STRING, MILL_TIME_TEXT},
        {"sn", MILL_FLOAT64, MILL_TIME_TEXT},     {"one", MILL_INT64, MILL_TIME_TEXT},
        {"date", MILL_INT64, MILL_TIME_TEXT},
    };
    static const char text[] = RECORD(
        "{\"name\":\"b\",\"type\":\"boolean\"},{\"name\":\"i\",\"type\":\"int\"},{\"name\":\"l\",\"type\":\"long\"},"
        "{\"name\":\"f\",\"type\":\"float\"},{\"name\":\"d\",\"type\":\"double\"},{\"name\":\"s\",\"type\":\"string\"},"
        "{\"name\":\"u\",\"type\":{\"type\":\"string\",\"logicalType\":\"uuid\"}},"
        "{\"name\":\"e\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"]}},"
        "{\"name\":\"tm\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}},"
        "{\"name\":\"tu\",\"type\":[\"null\",{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}]},"
        "{\"name\":\"lm\",\"type\":{\"type\":\"long\",\"logicalType\":\"local-timestamp-millis\"}},"
        "{\"name\":\"ns\",\"type\":[\"null\",\"string\"]},{\"name\":\"sn\",\"type\":[\"double\",\"null\"]},"
        "{\"name\":\"one\",\"type\":[\"long\"]},"
        "{\"name\":\"date\",\"type\":{\"type\":\"int\",\"logicalType\":\"date\"}},"
        /* no columns: */
        "{\"name\":\"x1\",\"type\":\"null\"},{\"name\":\"x2\",\"type\":\"bytes\"},"
        "{\"name\":\"x3\",\"type\":{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":4}},"
        "{\"name\":\"x4\",\"type\":{\"type\":\"array\",\"items\":\"int\"}},"
        "{\"name\":\"x5\",\"type\":{\"type\":\"map\",\"values\":\"int\"}},"
        "{\"name\":\"x6\",\"type\":[\"int\",\"string\"]},{\"name\":\"x7\",\"type\":[\"null\",\"int\",\"string\"]},"
        "{\"name\":\"x8\",\"type\":{\"type\":\"fixed\",\"name\":\"F\",\"size\":2}},"
        "{\"name\":\"x9\",\"type\":[\"null\"]},"
        "{\"name\":\"x0\",\"type\":[\"null\",\"R\"]}");
    const enum mill_time_unit *units;
    struct mill_schema schema;
    struct mill_arena arena;
    struct mill_error err;

    (void)state;
    mill_arena_init(&arena, 0);
    assert_int_equal(mill_source_fields_from_avro(mill_slice_of(text), &arena, &schema, &units, &err), 0);
    assert_int_equal(schema.field_count, sizeof(expected) / sizeof(expected[0]));
    for (uint32_t i = 0; i < schema.field_count; i++) {
        assert_string_equal(schema.fields[i].name, expected[i].name);
        assert_int_equal(schema.fields[i].type, expected[i].type);
        assert_int_equal(units[i], expected[i].unit);
    }
    assert_int_equal(mill_source_fields_from_avro(mill_slice_of("\"int\""), &arena, &schema, &units, &err), MILL_EDATA);
    assert_string_equal(err.msg, "the avro schema is of type int, expected record");
    mill_arena_clear(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_canonical_form), cmocka_unit_test(test_fingerprints),
        cmocka_unit_test(test_broken),         cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_limits),         cmocka_unit_test(test_several_texts),
        cmocka_unit_test(test_source_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

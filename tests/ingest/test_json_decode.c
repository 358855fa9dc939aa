/* SPDX-License-Identifier: Apache-2.0 */
/* JSON records into rows: a table of records with the rows or rejects they must give, and random objects against
 * jansson. */
#include "tests/ingest/decode_fixture.h"

#include <jansson.h>
#include <math.h>

#include "tests/base/random.h"

static const char columns[] = "ts:timestamp/ms name:string n:int64 x:float64 ok:bool at:timestamp";

struct json_case {
    const char *text, *row;
};

#define TS "\"ts\":0"

static const struct json_case cases[] = {
    /* all there, in order, out of order, with others between */
    {"{\"ts\":1000,\"name\":\"a\",\"n\":5,\"x\":1.5,\"ok\":true,\"at\":\"2013-01-01T10:17Z\"}",
     "[\"1970-01-01T00:00:01Z\",\"a\",5,1.5,true,\"2013-01-01T10:17:00Z\"]"},
    {" { \"ok\" : false , \"x\" : -2 , \"ts\" : 1.5e3 } ", "[\"1970-01-01T00:00:01.500Z\",null,null,-2.0,false,null]"},
    {"{\"a\":{\"ts\":9,\"b\":[1,{\"n\":2}]}," TS ",\"z\":[[],{}],\"n\":3,\"q\":null}",
     "[\"1970-01-01T00:00:00Z\",null,3,null,null,null]"},
    {"{" TS ",\"name\":null,\"n\":null,\"x\":null,\"ok\":null,\"at\":null}",
     "[\"1970-01-01T00:00:00Z\",null,null,null,null,null]"},
    /* the last of several counts, null too */
    {"{" TS ",\"n\":1,\"n\":2}", "[\"1970-01-01T00:00:00Z\",null,2,null,null,null]"},
    {"{" TS ",\"n\":1,\"n\":null,\"name\":\"a\",\"name\":null,\"x\":1,\"x\":null,\"ok\":true,\"ok\":null}",
     "[\"1970-01-01T00:00:00Z\",null,null,null,null,null]"},
    /* integers, however written */
    {"{" TS ",\"n\":5.0}", "[\"1970-01-01T00:00:00Z\",null,5,null,null,null]"},
    {"{" TS ",\"n\":5e0}", "[\"1970-01-01T00:00:00Z\",null,5,null,null,null]"},
    {"{" TS ",\"n\":-1.50e1}", "[\"1970-01-01T00:00:00Z\",null,-15,null,null,null]"},
    {"{" TS ",\"n\":-0.0}", "[\"1970-01-01T00:00:00Z\",null,0,null,null,null]"},
    {"{" TS ",\"n\":9007199254740993.0}", "[\"1970-01-01T00:00:00Z\",null,9007199254740993,null,null,null]"},
    {"{" TS ",\"n\":9223372036854775807}", "[\"1970-01-01T00:00:00Z\",null,9223372036854775807,null,null,null]"},
    {"{" TS ",\"n\":-9223372036854775808.0}", "[\"1970-01-01T00:00:00Z\",null,-9223372036854775808,null,null,null]"},
    {"{" TS ",\"n\":1000000000000000000000e-3}", "[\"1970-01-01T00:00:00Z\",null,1000000000000000000,null,null,null]"},
    {"{" TS ",\"n\":0.000000000000000000000001e24}", "[\"1970-01-01T00:00:00Z\",null,1,null,null,null]"},
    {"{" TS ",\"n\":0e999999999999}", "[\"1970-01-01T00:00:00Z\",null,0,null,null,null]"},
    {"{" TS ",\"n\":9223372036854775808}", "wrong_type: field 'n': expected int64, found number '9223372036854775808'"},
    {"{" TS ",\"n\":-9223372036854775809}",
     "wrong_type: field 'n': expected int64, found number '-9223372036854775809'"},
    {"{" TS ",\"n\":5.5}", "wrong_type: field 'n': expected int64, found number '5.5'"},
    {"{" TS ",\"n\":1e99}", "wrong_type: field 'n': expected int64, found number '1e99'"},
    {"{" TS ",\"n\":1e-1}", "wrong_type: field 'n': expected int64, found number '1e-1'"},
    /* wrong types */
    {"{" TS ",\"n\":\"5\"}", "wrong_type: field 'n': expected int64, found string '5'"},
    {"{" TS ",\"n\":true}", "wrong_type: field 'n': expected int64, found true"},
    {"{" TS ",\"n\":[1]}", "wrong_type: field 'n': expected int64, found an array"},
    {"{" TS ",\"n\":{}}", "wrong_type: field 'n': expected int64, found an object"},
    {"{" TS ",\"name\":5}", "wrong_type: field 'name': expected string, found number '5'"},
    {"{" TS ",\"ok\":1}", "wrong_type: field 'ok': expected bool, found number '1'"},
    {"{" TS ",\"ok\":\"true\"}", "wrong_type: field 'ok': expected bool, found string 'true'"},
    {"{" TS ",\"x\":\"1\"}", "wrong_type: field 'x': expected float64, found string '1'"},
    {"{" TS ",\"x\":false}", "wrong_type: field 'x': expected float64, found false"},
    /* doubles */
    {"{" TS ",\"x\":9007199254740993}", "[\"1970-01-01T00:00:00Z\",null,null,9007199254740992.0,null,null]"},
    {"{" TS ",\"x\":5e-324}", "[\"1970-01-01T00:00:00Z\",null,null,5e-324,null,null]"},
    {"{" TS ",\"x\":1e309}", "not_finite: field 'x': '1e309' is too large for a float64"},
    {"{" TS ",\"x\":NaN}", "malformed: not JSON: expected a value, found 'N' (line 1, column 13)"},
    {"{" TS ",\"x\":\"NaN\"}",
     "not_finite: field 'x': NaN or infinity where a finite number is expected; hint: the source can allow them"},
    /* times */
    {"{\"ts\":\"2013-01-01T10:17:00.25+01:00\"}", "[\"2013-01-01T09:17:00.250Z\",null,null,null,null,null]"},
    {"{\"ts\":-1}", "[\"1969-12-31T23:59:59.999Z\",null,null,null,null,null]"},
    {"{\"ts\":253402300799999.999}", "[\"9999-12-31T23:59:59.999999Z\",null,null,null,null,null]"},
    {"{\"ts\":253402300800000}",
     "no_event_time: field 'ts': '253402300800000' is out of the range of times (years 1 to 9999)"},
    {"{\"ts\":1e30}", "no_event_time: field 'ts': '1e30' is out of the range of times (years 1 to 9999)"},
    {"{\"ts\":null}", "no_event_time: timestamp field 'ts' is null or missing"},
    {"{}", "no_event_time: timestamp field 'ts' is null or missing"},
    {"{\"ts\":\"yesterday\"}",
     "wrong_type: field 'ts': expected a time such as 2013-01-01T10:17:00Z, found 'yesterday'"},
    {"{" TS ",\"at\":5}",
     "wrong_type: field 'at': expected a time as text, found number '5'; hint: declare its time unit"},
    /* strings */
    {"{" TS ",\"name\":\"a\\u00e9\\n\\ud83d\\ude00\"}",
     "[\"1970-01-01T00:00:00Z\",\"a\xc3\xa9\\n\xf0\x9f\x98\x80\",null,null,null,null]"},
    {"{" TS ",\"n\\u0061me\":\"b\"}", "[\"1970-01-01T00:00:00Z\",\"b\",null,null,null,null]"},
    {"{" TS ",\"name\":\"\"}", "[\"1970-01-01T00:00:00Z\",\"\",null,null,null,null]"},
    {"{" TS ",\"name\":\"\\u0000\"}", "[\"1970-01-01T00:00:00Z\",\"\\u0000\",null,null,null,null]"},
    {"{" TS ",\"name\":\"\xff\"}", "malformed: not JSON: a string is not UTF-8 (line 1, column 17)"},
    {"{" TS ",\"name\":\"\\ud800\"}", NULL},
    /* no JSON, or no object */
    {"", NULL},
    {"  ", NULL},
    {"[]", "malformed: not an event: expected a JSON object"},
    {"5", "malformed: not an event: expected a JSON object"},
    {"null", "malformed: not an event: expected a JSON object"},
    {"{" TS, NULL},
    {"{" TS ",}", NULL},
    {"{" TS "}x", NULL},
    {"{" TS "}{" TS "}", NULL},
    {"{" TS ",\"n\":01}", NULL},
    {"{" TS ",\"n\":+1}", NULL},
    {"{" TS ",\"n\":.5}", NULL},
    {"{" TS ",\"n\":5.}", NULL},
    {"{" TS ",\"q\":tru}", NULL},
    {"{" TS ",\"q\":\"a\nb\"}", NULL},
    {"{" TS ",\"q\":NaN}", NULL},
    {"{ts:0}", NULL},
    {"{'ts':0}", NULL},
};

static void test_cases(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f, MILL_FORMAT_JSON, columns);
    fixture_open(&f);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (cases[i].row != NULL) {
            fixture_expect(&f, cases[i].text, strlen(cases[i].text), cases[i].row);
            continue;
        }
        struct mill_record record = {.value = mill_slice_of(cases[i].text)};
        assert_int_equal(fixture_decode(&f, &record, 1), 0);
        assert_int_equal(f.rejects.count, 1);
        if (f.rejects.at[0].reason != MILL_REJECT_MALFORMED) {
            fail_msg("'%s': expected malformed, found %s", cases[i].text, fixture_row(&f, 0));
        }
        fixture_assert_erased(&f, 0);
    }
    fixture_clear(&f);
}

/* Every prefix of a record is malformed, and reading one never looks behind its end. */
static void test_prefixes(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f, MILL_FORMAT_JSON, columns);
    fixture_open(&f);
    const char *text = cases[0].text;
    for (size_t n = 0; n < strlen(text); n++) {
        char *exact = malloc(n + 1);
        memcpy(exact, text, n);
        struct mill_record record = {.value = {exact, n}};
        assert_int_equal(fixture_decode(&f, &record, 1), 0);
        assert_int_equal(f.rejects.count, 1);
        fixture_assert_erased(&f, 0);
        free(exact);
    }
    fixture_clear(&f);
}

static void test_deep_nesting(void **state)
{
    static char text[400];
    struct fixture f;

    (void)state;
    fixture_init(&f, MILL_FORMAT_JSON, columns);
    fixture_open(&f);
    for (int depth = 50; depth < 90; depth++) { /* of arrays inside the object */
        int n = snprintf(text, sizeof(text), "{" TS ",\"q\":");
        memset(text + n, '[', (size_t)depth);
        memset(text + n + depth, ']', (size_t)depth);
        text[n + 2 * depth] = '}';
        struct mill_record record = {.value = {text, (size_t)n + 2 * (size_t)depth + 1}};
        assert_int_equal(fixture_decode(&f, &record, 1), 0);
        assert_int_equal(f.rejects.count, depth + 1 > MILL_JSON_DEPTH_MAX);
    }
    fixture_clear(&f);
}

static void test_allowed_non_finite(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f, MILL_FORMAT_JSON, columns);
    f.spec.allow_non_finite = true;
    fixture_open(&f);
    fixture_expect(&f, "{" TS ",\"x\":NaN}", 16, "[\"1970-01-01T00:00:00Z\",null,null,\"NaN\",null,null]");
    fixture_expect(&f, "{" TS ",\"x\":\"-Infinity\"}", 24,
                   "[\"1970-01-01T00:00:00Z\",null,null,\"-Infinity\",null,null]");
    fixture_expect(&f, "{" TS ",\"x\":-Infinity}", 22, "[\"1970-01-01T00:00:00Z\",null,null,\"-Infinity\",null,null]");
    fixture_expect(&f, "{" TS ",\"n\":NaN}", 16, "wrong_type: field 'n': expected int64, found NaN or infinity");
    fixture_expect(&f, "{" TS ",\"x\":1e309}", 18, "not_finite: field 'x': '1e309' is too large for a float64");
    fixture_clear(&f);
}

static void test_batch(void **state)
{
    struct mill_record records[5] = {
        {.value = {"{" TS ",\"n\":1}", 14}, .offset = 10}, {.offset = 11}, /* tombstone */
        {.value = {"{" TS ",\"n\":x}", 14}, .offset = 12}, {.value = {"", 0}, .offset = 13},
        {.value = {"{" TS ",\"n\":2}", 14}, .offset = 15},
    };
    struct fixture f;

    (void)state;
    records[0].value.n = records[2].value.n = records[4].value.n = strlen("{" TS ",\"n\":1}");
    fixture_init(&f, MILL_FORMAT_JSON, columns);
    f.spec.record_bytes_max = 20;
    fixture_open(&f);
    assert_int_equal(fixture_decode(&f, records, 5), 0);
    assert_int_equal(f.batch.row_count, 5);
    assert_int_equal(f.rejects.count, 2);
    assert_string_equal(fixture_row(&f, 0), "[\"1970-01-01T00:00:00Z\",null,1,null,null,null]");
    assert_string_equal(fixture_row(&f, 1), "dead");
    assert_int_equal(f.rejects.at[0].row, 2);
    assert_int_equal(f.rejects.at[1].row, 3);
    assert_string_equal(fixture_row(&f, 4), "[\"1970-01-01T00:00:00Z\",null,2,null,null,null]");
    assert_int_equal(f.batch.offset[4], 15);
    assert_int_equal(f.batch.event_time_us[4], 0);
    fixture_expect(&f, "{" TS ",\"n\":1      }", 21, "too_large: record of 21 bytes, the limit is 20");
    fixture_clear(&f);
}

static void test_framings(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f, MILL_FORMAT_JSON, "ts:timestamp/ms");
    f.spec.framing = MILL_FRAMING_CONFLUENT;
    fixture_open(&f);
    fixture_expect(&f, "\0\0\0\0\x7{" TS "}", 13, "[\"1970-01-01T00:00:00Z\"]");
    fixture_expect(&f, "{" TS "}", 8,
                   "framing: expected a Confluent prefix, which starts with byte 00 or 01, found 7b");
    fixture_clear(&f);
    fixture_init(&f, MILL_FORMAT_JSON, "ts:timestamp/ms");
    f.spec.framing = MILL_FRAMING_SINGLE_OBJECT;
    assert_int_equal(mill_decoder_open(&f.spec, &f.decoder, &f.err), MILL_ECONFIG);
    assert_string_equal(f.err.msg, "source 'test': single-object framing is for avro, not for json");
    fixture_clear(&f);
}

/* ---- random objects against jansson ---- */

enum { RANDOM_COLUMNS = 24, RANDOM_ROUNDS = 3000 };

static void add_random_value(struct mill_buffer *b)
{
    static const char *const values[] = {
        "true",
        "false",
        "null",
        "0",
        "-7",
        "12345678901",
        "0.1",
        "-2.5e-3",
        "1e22",
        "\"\"",
        "\"text\"",
        "\"\\\"q\\\\\\u20ac\"",
        "[1,[2],{\"k0\":3}]",
        "{}",
        "{\"k1\":{\"k2\":[]}}",
    };
    mill_buffer_add_string(b, values[random_below(sizeof(values) / sizeof(values[0]))]);
}

static void make_random_object(struct mill_buffer *b)
{
    uint32_t members = random_below(30);

    mill_buffer_reset(b);
    mill_buffer_add_string(b, "{\"ts\":0");
    for (uint32_t i = 0; i < members; i++) {
        /* keys that are wanted, near misses and others; sometimes twice */
        mill_buffer_printf(b, ",%s\"k%u%s\":%s", random_below(4) == 0 ? " " : "", random_below(RANDOM_COLUMNS + 6),
                           random_below(8) == 0 ? "x" : "", random_below(4) == 0 ? "\t" : "");
        add_random_value(b);
    }
    mill_buffer_add_byte(b, '}');
}

static bool json_fits(const json_t *v, enum mill_type type)
{
    switch (type) {
    case MILL_BOOL:
        return json_is_boolean(v);
    case MILL_INT64:
        return json_is_integer(v) ||
               (json_is_real(v) && fabs(json_real_value(v)) < 9e18 && json_real_value(v) == floor(json_real_value(v)));
    case MILL_FLOAT64:
        return json_is_number(v);
    case MILL_STRING:
    case MILL_TIMESTAMP:
        break;
    }
    return json_is_string(v);
}

static void check_value(const struct fixture *f, uint32_t c, const json_t *v)
{
    const struct mill_column *column = &f->batch.columns[c];

    assert_int_equal(mill_bit_get(column->valid, 0), v != NULL && !json_is_null(v));
    if (v == NULL || json_is_null(v)) {
        return;
    }
    if (column->type == MILL_BOOL) {
        assert_int_equal(column->at.b[0], json_is_true(v));
    } else if (column->type == MILL_INT64) {
        assert_true(column->at.i[0] == (json_is_integer(v) ? json_integer_value(v) : (int64_t)json_real_value(v)));
    } else if (column->type == MILL_FLOAT64) {
        assert_true(column->at.f[0] == json_number_value(v));
    } else {
        assert_int_equal(column->at.s[0].n, json_string_length(v));
        assert_memory_equal(column->at.s[0].p, json_string_value(v), json_string_length(v));
    }
}

static void test_random_against_jansson(void **state)
{
    static const char *const types[] = {"bool", "int64", "float64", "string"};
    struct mill_buffer text = {0}, spec = {0};
    struct fixture f;
    unsigned accepted = 0;

    (void)state;
    random_seed("test_random_against_jansson");
    mill_buffer_add_string(&spec, "ts:timestamp/ms");
    for (unsigned c = 1; c < RANDOM_COLUMNS; c++) {
        mill_buffer_printf(&spec, " k%u:%s", c, types[c % 4]);
    }
    fixture_init(&f, MILL_FORMAT_JSON, mill_buffer_cstr(&spec));
    fixture_open(&f);
    for (int round = 0; round < RANDOM_ROUNDS; round++) {
        make_random_object(&text);
        json_t *root = json_loadb(text.p, text.n, 0, NULL); /* of duplicates the last counts there too */
        assert_non_null(root);
        struct mill_record record = {.value = mill_buffer_slice(&text)};
        assert_int_equal(fixture_decode(&f, &record, 1), 0);
        if (mill_bit_get(f.batch.live, 0)) {
            for (uint32_t c = 1; c < f.spec.schema.field_count; c++) {
                check_value(&f, c, json_object_get(root, f.fields[c].name));
            }
            accepted++;
        } else {
            /* Some value of a wanted key, perhaps an earlier one of the same name, must have another type. */
            json_t *strict = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, NULL);
            bool all_fit = strict != NULL;
            for (uint32_t c = 1; strict != NULL && c < f.spec.schema.field_count; c++) {
                json_t *v = json_object_get(strict, f.fields[c].name);
                all_fit = all_fit && (v == NULL || json_is_null(v) || json_fits(v, f.fields[c].type));
            }
            assert_int_equal(f.rejects.at[0].reason, MILL_REJECT_WRONG_TYPE);
            assert_false(all_fit);
            json_decref(strict);
        }
        json_decref(root);
    }
    assert_true(accepted > RANDOM_ROUNDS / 20);
    mill_buffer_clear(&text);
    mill_buffer_clear(&spec);
    fixture_clear(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_deep_nesting),
        cmocka_unit_test(test_allowed_non_finite),
        cmocka_unit_test(test_batch),
        cmocka_unit_test(test_framings),
        cmocka_unit_test(test_random_against_jansson),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

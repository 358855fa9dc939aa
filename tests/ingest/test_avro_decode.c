/* SPDX-License-Identifier: Apache-2.0 */
/* Avro decode plans: schema resolution by a table of writer's and reader's types, values that are passed over, hostile
 * bytes. */
#include "tests/ingest/decode_fixture.h"

#include "ingest/avro/plan_internal.h"

#define RECORD(fields)    "{\"type\":\"record\",\"name\":\"R\",\"fields\":[" fields "]}"
#define FIELD(name, type) "{\"name\":\"" name "\",\"type\":" type "}"
#define TIME              "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}"
#define ENUM(symbols)     "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[" symbols "]}"

/* One writer's and one reader's schema, compiled; rows are decoded one by one. */
struct pair {
    struct fixture f;
    struct mill__avro_schema *writer, *reader;
    struct mill__avro_plan *plan;
};

static struct mill__avro_schema *parse(const char *text)
{
    struct mill__avro_schema *schema = NULL;
    struct mill_slice s = mill_slice_of(text);
    struct mill_error err;

    if (mill__avro_schema_parse(&s, 1, &schema, &err) < 0) {
        fail_msg("%s: %s", text, err.msg);
    }
    return schema;
}

static int pair_open(struct pair *p, const char *writer, const char *reader, const char *columns)
{
    fixture_init(&p->f, MILL_FORMAT_AVRO, columns);
    p->writer = parse(writer);
    p->reader = parse(reader);
    p->plan = NULL;
    int rc = mill__avro_check_reader(&p->f.spec, p->reader, &p->f.err);
    return rc < 0 ? rc : mill__avro_plan_compile(&p->f.spec, p->writer, p->reader, &p->plan, &p->f.err);
}

static void pair_close(struct pair *p)
{
    mill__avro_plan_free(p->plan);
    mill__avro_schema_free(p->writer);
    mill__avro_schema_free(p->reader);
    fixture_clear(&p->f);
}

/* The row as JSON, or the reject. */
static const char *pair_run(struct pair *p, const void *bytes, size_t n)
{
    struct mill__fault fault;
    char *exact = malloc(n > 0 ? n : 1);
    memcpy(exact, bytes, n);
    struct mill_slice body = {exact, n};

    fixture_batch(&p->f, 1);
    p->f.batch.row_count = 1;
    if (mill__avro_plan_run(p->plan, body, &p->f.batch, 0, NULL, &fault)) {
        mill_bit_set(p->f.batch.live, 0);
    } else {
        mill_reject_row(&p->f.rejects, &p->f.batch, 0, fault.reason, "%s", fault.text);
    }
    const char *row = fixture_row(&p->f, 0);
    free(exact);
    return row;
}

struct avro_case {
    const char *writer, *reader; /* types of field "v" */
    const char *column;
    const char *bytes;
    size_t size;
    const char *row; /* "[value]", a reject, or the error of the compiler behind "!" */
};

#define BYTES(text) (text), sizeof(text) - 1

static const struct avro_case cases[] = {
    /* the same type */
    {"\"boolean\"", "\"boolean\"", "bool", BYTES("\x01"), "[true]"},
    {"\"boolean\"", "\"boolean\"", "bool", BYTES("\x00"), "[false]"},
    {"\"boolean\"", "\"boolean\"", "bool", BYTES("\x02"),
     "malformed: field 'v', byte 1: a boolean must be 0 or 1, found 2"},
    {"\"int\"", "\"int\"", "int64", BYTES("\x01"), "[-1]"},
    {"\"int\"", "\"int\"", "int64", BYTES("\xfe\xff\xff\xff\x0f"), "[2147483647]"},
    {"\"int\"", "\"int\"", "int64", BYTES("\xff\xff\xff\xff\x0f"), "[-2147483648]"},
    {"\"int\"", "\"int\"", "int64", BYTES("\x80\x80\x80\x80\x10"),
     "malformed: field 'v', byte 5: 2147483648 is out of the range of an int"},
    {"\"long\"", "\"long\"", "int64", BYTES("\x80\x80\x80\x80\x10"), "[2147483648]"},
    {"\"long\"", "\"long\"", "int64", BYTES("\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "[9223372036854775807]"},
    {"\"long\"", "\"long\"", "int64", BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "[-9223372036854775808]"},
    {"\"long\"", "\"long\"", "int64", BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),
     "malformed: field 'v', byte 0: a variable-length number has more than 64 bits"},
    {"\"long\"", "\"long\"", "int64", BYTES("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"),
     "malformed: field 'v', byte 0: a variable-length number has more than 64 bits"},
    {"\"long\"", "\"long\"", "int64", BYTES("\x80\x00"), "[0]"},
    {"\"long\"", "\"long\"", "int64", BYTES("\x80"), "malformed: field 'v', byte 0: the record ends inside the value"},
    {"\"long\"", "\"long\"", "int64", BYTES(""), "malformed: field 'v', byte 0: the record ends inside the value"},
    {"\"long\"", "\"long\"", "int64", BYTES("\x02\x02"),
     "malformed: avro record, byte 1: 1 bytes are left over behind the record"},
    {"\"float\"", "\"float\"", "float64", BYTES("\x00\x00\xc0\x3f"), "[1.5]"},
    {"\"double\"", "\"double\"", "float64", BYTES("\x9a\x99\x99\x99\x99\x99\xb9\x3f"), "[0.1]"},
    {"\"double\"", "\"double\"", "float64", BYTES("\x9a\x99\x99\x99\x99\x99\xb9"),
     "malformed: field 'v', byte 0: the record ends inside the value"},
    {"\"double\"", "\"double\"", "float64", BYTES("\x00\x00\x00\x00\x00\x00\xf8\x7f"),
     "not_finite: field 'v', byte 8: NaN or infinity where a finite number is expected; hint: the source can allow "
     "them"},
    {"\"float\"", "\"double\"", "float64", BYTES("\x00\x00\x80\xff"),
     "not_finite: field 'v', byte 4: NaN or infinity where a finite number is expected; hint: the source can allow "
     "them"},
    {"\"string\"", "\"string\"", "string",
     BYTES("\x06"
           "abc"),
     "[\"abc\"]"},
    {"\"string\"", "\"string\"", "string", BYTES("\x00"), "[\"\"]"},
    {"\"string\"", "\"string\"", "string",
     BYTES("\x06"
           "ab"),
     "malformed: field 'v', byte 1: a length of 3 bytes, 2 are left"},
    {"\"string\"", "\"string\"", "string", BYTES("\x01"),
     "malformed: field 'v', byte 1: a length of -1 bytes, 0 are left"},
    {"\"string\"", "\"string\"", "string", BYTES("\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
     "malformed: field 'v', byte 10: a length of 9223372036854775807 bytes, 0 are left"},
    {"\"string\"", "\"string\"", "string", BYTES("\x04\xc3\xa9"), "[\"\xc3\xa9\"]"},
    {"\"string\"", "\"string\"", "string", BYTES("\x04\xc3\x28"),
     "malformed: field 'v', byte 3: '\\xc3(' is not UTF-8"},
    {"\"string\"", "\"string\"", "string",
     BYTES("\x14"
           "abcdefgh\xed\xa0"),
     "malformed: field 'v', byte 11: 'abcdefgh\\xed\\xa0' is not UTF-8"},
    /* promotions */
    {"\"int\"", "\"long\"", "int64", BYTES("\x03"), "[-2]"},
    {"\"int\"", "\"float\"", "float64", BYTES("\xfe\xff\xff\xff\x0f"), "[2147483648.0]"},
    {"\"int\"", "\"double\"", "float64", BYTES("\xfe\xff\xff\xff\x0f"), "[2147483647.0]"},
    {"\"long\"", "\"float\"", "float64", BYTES("\x82\x80\x80\x10"), "[16777216.0]"},
    {"\"long\"", "\"double\"", "float64", BYTES("\x82\x80\x80\x10"), "[16777217.0]"},
    {"\"float\"", "\"double\"", "float64", BYTES("\xcd\xcc\xcc\x3d"), "[0.10000000149011612]"},
    {"\"int\"", "\"int\"", "float64", BYTES("\x06"), "[3.0]"},
    {"\"bytes\"", "\"string\"", "string",
     BYTES("\x02"
           "a"),
     "[\"a\"]"},
    {"\"long\"", "\"int\"", "int64", NULL, 0, "!field 'v' was written as long, which cannot be read as int"},
    {"\"double\"", "\"float\"", "float64", NULL, 0, "!field 'v' was written as double, which cannot be read as float"},
    {"\"double\"", "\"long\"", "float64", NULL, 0, "!field 'v' was written as double, which cannot be read as long"},
    {"\"boolean\"", "\"int\"", "int64", NULL, 0, "!field 'v' was written as boolean, which cannot be read as int"},
    {"\"string\"", "\"double\"", "float64", NULL, 0,
     "!field 'v' was written as string, which cannot be read as double"},
    {"\"null\"", "\"string\"", "string", NULL, 0, "!field 'v' was written as null, which cannot be read as string"},
    {"{\"type\":\"array\",\"items\":\"int\"}", "\"int\"", "int64", NULL, 0,
     "!field 'v' was written as array, which cannot be read as int"},
    /* unions on either side */
    {"[\"null\",\"double\"]", "[\"null\",\"double\"]", "float64", BYTES("\x00"), "[null]"},
    {"[\"null\",\"double\"]", "[\"null\",\"double\"]", "float64", BYTES("\x02\x00\x00\x00\x00\x00\x00\xf8\x3f"),
     "[1.5]"},
    {"[\"double\",\"null\"]", "[\"null\",\"double\"]", "float64", BYTES("\x02"), "[null]"},
    {"[\"null\",\"long\"]", "[\"null\",\"long\"]", "int64", BYTES("\x04"),
     "malformed: field 'v', byte 1: branch 2 of a union that has 2"},
    {"[\"null\",\"long\"]", "[\"null\",\"long\"]", "int64", BYTES("\x01"),
     "malformed: field 'v', byte 1: branch -1 of a union that has 2"},
    {"\"long\"", "[\"null\",\"long\"]", "int64", BYTES("\x0a"), "[5]"},
    {"\"null\"", "[\"null\",\"long\"]", "int64", BYTES(""), "[null]"},
    {"[\"null\",\"int\"]", "[\"null\",\"double\"]", "float64", BYTES("\x02\x0a"), "[5.0]"},
    {"[\"null\",\"int\"]", "\"int\"", "int64", BYTES("\x02\x0a"), "[5]"},
    {"[\"null\",\"int\"]", "\"int\"", "int64", BYTES("\x00"),
     "wrong_type: field 'v', byte 1: expected int, found null"},
    {"[\"int\",\"string\"]", "\"int\"", "int64", BYTES("\x00\x0a"), "[5]"},
    {"[\"int\",\"string\"]", "\"int\"", "int64",
     BYTES("\x02\x02"
           "a"),
     "wrong_type: field 'v', byte 1: expected int, found string"},
    {"[\"int\",\"string\",\"null\"]", "[\"null\",\"string\"]", "string", BYTES("\x04"), "[null]"},
    {"[\"int\",\"string\",\"null\"]", "[\"null\",\"string\"]", "string",
     BYTES("\x02\x02"
           "a"),
     "[\"a\"]"},
    {"[\"int\",\"string\",\"null\"]", "[\"null\",\"string\"]", "string", BYTES("\x00\x0a"),
     "wrong_type: field 'v', byte 1: expected union of null, string, found int"},
    {"[\"int\",\"string\",\"null\"]", "[\"null\",\"string\"]", "string", BYTES("\x06"),
     "malformed: field 'v', byte 1: branch 3 of a union that has 3"},
    {"[\"int\",\"long\",\"float\",\"double\"]", "\"double\"", "float64", BYTES("\x04\x00\x00\xc0\x3f"), "[1.5]"},
    {"[\"string\",\"bytes\"]", "\"int\"", "int64", NULL, 0,
     "!field 'v' was written as union of string, bytes, which cannot be read as int"},
    /* enums */
    {ENUM("\"A\",\"B\""), ENUM("\"A\",\"B\""), "string", BYTES("\x02"), "[\"B\"]"},
    {ENUM("\"A\",\"B\""), ENUM("\"B\",\"A\",\"C\""), "string", BYTES("\x00"), "[\"A\"]"},
    {ENUM("\"A\",\"B\""), ENUM("\"B\""), "string", BYTES("\x00"),
     "wrong_type: field 'v', byte 1: 'A' is not a symbol of the reader's enum, which has no default"},
    {ENUM("\"A\",\"B\""), "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"B\",\"X\"],\"default\":\"X\"}", "string",
     BYTES("\x00"), "[\"X\"]"},
    {ENUM("\"A\",\"B\""), ENUM("\"A\",\"B\""), "string", BYTES("\x04"),
     "malformed: field 'v', byte 1: symbol 2 of an enum that has 2"},
    {ENUM("\"A\",\"B\""), ENUM("\"A\",\"B\""), "string", BYTES("\x01"),
     "malformed: field 'v', byte 1: symbol -1 of an enum that has 2"},
    {"{\"type\":\"enum\",\"name\":\"x.E\",\"symbols\":[\"A\"]}", ENUM("\"A\""), "string", BYTES("\x00"), "[\"A\"]"},
    {"{\"type\":\"enum\",\"name\":\"Old\",\"symbols\":[\"A\"]}", ENUM("\"A\""), "string", NULL, 0,
     "!field 'v' was written as enum 'Old', which cannot be read as enum 'E'"},
    {"{\"type\":\"enum\",\"name\":\"Old\",\"symbols\":[\"A\"]}",
     "{\"type\":\"enum\",\"name\":\"E\",\"aliases\":[\"Old\"],\"symbols\":[\"A\"]}", "string", BYTES("\x00"),
     "[\"A\"]"},
    {"\"string\"", ENUM("\"A\""), "string", NULL, 0,
     "!field 'v' was written as string, which cannot be read as enum 'E'"},
    /* times */
    {TIME, TIME, "timestamp", BYTES("\xd0\x0f"), "[\"1970-01-01T00:00:01Z\"]"},
    {"{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}", TIME, "timestamp", BYTES("\x02"),
     "[\"1970-01-01T00:00:00.000001Z\"]"}, /* the number means what its writer says */
    {"\"long\"", TIME, "timestamp", BYTES("\x01"), "[\"1969-12-31T23:59:59.999Z\"]"},
    {"\"int\"", TIME, "timestamp", BYTES("\x01"), "[\"1969-12-31T23:59:59.999Z\"]"},
    {"\"long\"", "\"long\"", "timestamp/s", BYTES("\x78"), "[\"1970-01-01T00:01:00Z\"]"},
    {TIME, TIME, "timestamp", BYTES("\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
     "no_event_time: field 'v', byte 10: 9223372036854775807 is out of the range of times (years 1 to 9999)"},
    {"\"string\"", "\"string\"", "timestamp",
     BYTES("\x22"
           "2013-01-01T10:17Z"),
     "[\"2013-01-01T10:17:00Z\"]"},
    {"\"string\"", "\"string\"", "timestamp",
     BYTES("\x02"
           "x"),
     "wrong_type: field 'v', byte 2: expected a time such as 2013-01-01T10:17:00Z, found 'x'"},
    {"\"long\"", "\"long\"", "timestamp", NULL, 0,
     "!avro field 'v' is of type long, which cannot fill a column of type timestamp; hint: give it a logicalType such "
     "as "
     "timestamp-millis, or the source a time unit"},
    {"\"string\"", "\"string\"", "int64", NULL, 0,
     "!avro field 'v' is of type string, which cannot fill a column of type int64"},
};

static void test_resolution(void **state)
{
    char writer[400], reader[400], columns[40];
    struct pair p;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(writer, sizeof(writer), RECORD(FIELD("v", "%s")), cases[i].writer);
        snprintf(reader, sizeof(reader), RECORD(FIELD("v", "%s")), cases[i].reader);
        snprintf(columns, sizeof(columns), "v:%s", cases[i].column);
        int rc = pair_open(&p, writer, reader, columns);
        bool refused = cases[i].row[0] == '!';
        if (rc < 0 && (!refused || strcmp(p.f.err.msg, cases[i].row + 1) != 0)) {
            fail_msg("%s to %s: %s", cases[i].writer, cases[i].reader, p.f.err.msg);
        }
        assert_int_equal(rc < 0, refused);
        if (rc == 0) {
            const char *row = pair_run(&p, cases[i].bytes, cases[i].size);
            if (strcmp(row, cases[i].row) != 0) {
                fail_msg("%s to %s: expected %s, found %s", cases[i].writer, cases[i].reader, cases[i].row, row);
            }
        }
        pair_close(&p);
    }
}

static void expect_row(const char *writer, const char *reader, const char *columns, const void *bytes, size_t n,
                       const char *expected)
{
    struct pair p;

    if (pair_open(&p, writer, reader, columns) < 0) {
        fail_msg("%s", p.f.err.msg);
    }
    assert_string_equal(pair_run(&p, bytes, n), expected);
    pair_close(&p);
}

static void expect_refused(const char *writer, const char *reader, const char *columns, const char *message)
{
    struct pair p;

    assert_int_equal(pair_open(&p, writer, reader, columns), MILL_EDATA);
    assert_string_equal(p.f.err.msg, message);
    pair_close(&p);
}

#define DEFAULT(name, type, value) "{\"name\":\"" name "\",\"type\":" type ",\"default\":" value "}"

static void test_fields(void **state)
{
    (void)state;
    /* another order, a field that nobody wants, one that only the reader has */
    expect_row(RECORD(FIELD("b", "\"string\"") "," FIELD("x", "\"double\"") "," FIELD("a", "\"int\"")),
               RECORD(FIELD("a", "\"long\"") "," FIELD("b", "\"string\"") "," DEFAULT("c", "\"int\"", "7")),
               "a:int64 b:string c:int64",
               BYTES("\x02"
                     "q"
                     "12345678"
                     "\x0a"),
               "[5,\"q\",7]");
    /* aliases of the reader's; the own name comes first wherever it stands */
    expect_row(RECORD(FIELD("old", "\"int\"")),
               RECORD("{\"name\":\"a\",\"type\":\"int\",\"aliases\":[\"older\",\"old\"]}"), "a:int64", BYTES("\x0a"),
               "[5]");
    expect_row(RECORD(FIELD("old", "\"int\"") "," FIELD("a", "\"int\"")),
               RECORD("{\"name\":\"a\",\"type\":\"int\",\"aliases\":[\"old\"]}"), "a:int64", BYTES("\x02\x0a"), "[5]");
    expect_refused(RECORD(FIELD("b", "\"int\"")), RECORD(FIELD("a", "\"int\"")), "a:int64",
                   "the writer's schema has no field 'a', and it has no default");
    expect_refused(RECORD(FIELD("a", "\"int\"")), RECORD(FIELD("amount", "\"int\"")), "amonut:int64",
                   "the avro schema has no field 'amonut'; hint: did you mean 'amount'?");
    expect_refused("\"int\"", RECORD(FIELD("a", "\"int\"")), "a:int64",
                   "the writer's schema is of type int, expected record");
    expect_refused(RECORD(FIELD("a", "\"int\"")), "\"int\"", "a:int64",
                   "the avro schema is of type int, expected record");
}

static void test_defaults(void **state)
{
    static const struct {
        const char *type, *value, *column, *row;
    } defaults[] = {
        {"\"boolean\"", "true", "bool", "[true]"},
        {"\"long\"", "-9223372036854775808", "int64", "[-9223372036854775808]"},
        {"\"double\"", "1e2", "float64", "[100.0]"},
        {"\"string\"", "\"a\\u00e9\"", "string", "[\"a\xc3\xa9\"]"},
        {"[\"null\",\"long\"]", "null", "int64", "[null]"},
        {"[\"long\",\"null\"]", "3", "int64", "[3]"},
        {ENUM("\"A\",\"B\""), "\"B\"", "string", "[\"B\"]"},
        {TIME, "1500", "timestamp", "[\"1970-01-01T00:00:01.500Z\"]"},
        {"\"string\"", "\"2013-01-01\"", "timestamp", "[\"2013-01-01T00:00:00Z\"]"},
        {"\"long\"", "\"3\"", "int64", NULL},
        {"\"long\"", "3.5", "int64", NULL},
        {"\"long\"", "null", "int64", NULL},
        {"\"double\"", "1e999", "float64", NULL},
        {"\"boolean\"", "0", "bool", NULL},
        {ENUM("\"A\""), "\"B\"", "string", NULL},
        {TIME, "9223372036854775807", "timestamp", NULL},
    };
    char reader[400], columns[40];

    (void)state;
    for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
        snprintf(reader, sizeof(reader), RECORD(DEFAULT("v", "%s", " %s ")), defaults[i].type, defaults[i].value);
        snprintf(columns, sizeof(columns), "v:%s", defaults[i].column);
        if (defaults[i].row != NULL) {
            expect_row(RECORD(""), reader, columns, "", 0, defaults[i].row);
        } else {
            expect_refused(RECORD(""), reader, columns, "the default of field 'v' does not fit its type");
        }
    }
}

/* Nested values between two wanted ones: the second is right only if the skip is. */
static void test_skips(void **state)
{
    static const struct {
        const char *type;
        const char *bytes;
        size_t size;
    } skips[] = {
        {"\"null\"", BYTES("")},
        {"\"boolean\"", BYTES("\x01")},
        {"\"long\"", BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")},
        {"\"bytes\"", BYTES("\x04\xff\xfe")},
        {"\"float\"", BYTES("abcd")},
        {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":3}", BYTES("abc")},
        {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":0}", BYTES("")},
        {ENUM("\"A\""), BYTES("\x00")},
        {"[\"null\",\"string\",{\"type\":\"array\",\"items\":\"int\"}]", BYTES("\x00")},
        {"[\"null\",\"string\",{\"type\":\"array\",\"items\":\"int\"}]", BYTES("\x02\x02z")},
        {"[\"null\",\"string\",{\"type\":\"array\",\"items\":\"int\"}]", BYTES("\x04\x04\x02\x04\x02\x06\x00")},
        {"{\"type\":\"array\",\"items\":\"int\"}", BYTES("\x00")},
        /* a block that states its size, then one that does not */
        {"{\"type\":\"array\",\"items\":\"int\"}", BYTES("\x03\x04\x02\x04\x02\x06\x00")},
        {"{\"type\":\"array\",\"items\":\"null\"}", BYTES("\x80\x80\x80\x80\x80\x80\x80\x40\x00")},
        {"{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"Z\",\"fields\":[]}}", BYTES("\xc8\x01\x00")},
        {"{\"type\":\"map\",\"values\":\"null\"}", BYTES("\x02\x02k\x00")},
        {"{\"type\":\"map\",\"values\":{\"type\":\"array\",\"items\":\"string\"}}",
         BYTES("\x04\x02k\x02\x02z\x00\x02l\x00\x00")},
        {"{\"type\":\"record\",\"name\":\"P\",\"fields\":["
         "{\"name\":\"x\",\"type\":\"double\"},{\"name\":\"y\",\"type\":\"string\"}]}",
         BYTES("12345678\x02z")},
        /* twice the same record, by name */
        {"{\"type\":\"record\",\"name\":\"A\",\"fields\":["
         "{\"name\":\"x\",\"type\":{\"type\":\"record\",\"name\":\"B\",\"fields\":[{\"name\":\"z\",\"type\":\"int\"}]}}"
         ","
         "{\"name\":\"y\",\"type\":\"B\"}]}",
         BYTES("\x02\x04")},
        /* a list of three */
        {"{\"type\":\"record\",\"name\":\"L\",\"fields\":["
         "{\"name\":\"v\",\"type\":\"int\"},{\"name\":\"next\",\"type\":[\"null\",\"L\"]}]}",
         BYTES("\x02\x02\x04\x02\x06\x00")},
    };
    char writer[600];
    struct mill_buffer bytes = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(skips) / sizeof(skips[0]); i++) {
        struct pair p;
        snprintf(writer, sizeof(writer), RECORD(FIELD("a", "\"int\"") "," FIELD("s", "%s") "," FIELD("b", "\"int\"")),
                 skips[i].type);
        assert_int_equal(
            pair_open(&p, writer, RECORD(FIELD("a", "\"int\"") "," FIELD("b", "\"int\"")), "a:int64 b:int64"), 0);
        mill_buffer_reset(&bytes);
        mill_buffer_add_byte(&bytes, 2);
        mill_buffer_add(&bytes, skips[i].bytes, skips[i].size);
        mill_buffer_add_byte(&bytes, 4);
        assert_string_equal(pair_run(&p, bytes.p, bytes.n), "[1,2]");
        for (size_t n = 0; n < bytes.n; n++) { /* cut off anywhere it is malformed */
            const char *row = pair_run(&p, bytes.p, n);
            assert_int_equal(strncmp(row, "malformed: ", 11), 0);
        }
        pair_close(&p);
    }
    mill_buffer_clear(&bytes);
}

#define LIST "{\"type\":\"record\",\"name\":\"L\",\"fields\":[" FIELD("next", "[\"null\",\"L\"]") "]}"

/* Inputs that hang or crash decoders that recurse or trust counts. */
static void test_hostile(void **state)
{
    struct mill_buffer bytes = {0};
    struct pair p;

    (void)state;
    /* 2.7e11 values that take no bytes: its block header is all there is to read */
    assert_int_equal(pair_open(&p, RECORD(FIELD("s", "{\"type\":\"array\",\"items\":\"null\"}")),
                               RECORD(DEFAULT("a", "\"int\"", "1")), "a:int64"),
                     0);
    assert_string_equal(pair_run(&p, BYTES("\xfe\xff\xff\xff\xff\x0f\x00")), "[1]");
    assert_string_equal(pair_run(&p, BYTES("\xfe\xff\xff\xff\xff\x0f")),
                        "malformed: field 's', byte 6: the record ends inside the value");
    pair_close(&p);

    /* more items than bytes */
    assert_int_equal(pair_open(&p, RECORD(FIELD("s", "{\"type\":\"array\",\"items\":\"int\"}")),
                               RECORD(DEFAULT("a", "\"int\"", "1")), "a:int64"),
                     0);
    assert_string_equal(pair_run(&p, BYTES("\xfe\xff\xff\xff\xff\x0f\x00")),
                        "malformed: field 's', byte 6: a block of 274877906943 items, 1 bytes are left");
    /* block counts and sizes at the edges of 64 bits */
    assert_string_equal(pair_run(&p, BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00\x00")), "[1]");
    assert_string_equal(pair_run(&p, BYTES("\x01\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00")),
                        "malformed: field 's', byte 11: a length of 9223372036854775807 bytes, 1 are left");
    assert_string_equal(pair_run(&p, BYTES("\x01\x01\x00")),
                        "malformed: field 's', byte 2: a length of -1 bytes, 1 are left");
    pair_close(&p);

    /* a list as deep as the stack allows, and one deeper */
    assert_int_equal(pair_open(&p, RECORD(FIELD("s", LIST)), RECORD(DEFAULT("a", "\"int\"", "1")), "a:int64"), 0);
    for (int i = 0; i < MILL__AVRO_STACK_MAX - 1; i++) {
        mill_buffer_add_byte(&bytes, 2);
    }
    mill_buffer_add_byte(&bytes, 0);
    assert_string_equal(pair_run(&p, bytes.p, bytes.n), "[1]");
    bytes.p[bytes.n - 1] = 2;
    for (int i = 0; i < 200000; i++) {
        mill_buffer_add_byte(&bytes, 2);
    }
    assert_string_equal(pair_run(&p, bytes.p, bytes.n), "malformed: field 's', byte 64: values nest deeper than 64");
    pair_close(&p);
    mill_buffer_clear(&bytes);

    /* a record that holds itself has no end */
    expect_row(RECORD(FIELD("s", "{\"type\":\"record\",\"name\":\"S\",\"fields\":[" FIELD("s", "\"S\"") "]}")),
               RECORD(DEFAULT("a", "\"int\"", "1")), "a:int64", "", 0,
               "malformed: field 's', byte 0: values nest deeper than 64");
}

/* Records of records of nothing, two of each: 2^40 visits for a decoder that walks them. */
static void test_exponential_schema(void **state)
{
    struct mill_buffer schema = {0};
    struct pair p;

    (void)state;
    mill_buffer_add_string(&schema, "{\"type\":\"record\",\"name\":\"R\",\"fields\":[");
    for (int i = 0; i <= 40; i++) {
        mill_buffer_printf(&schema,
                           "%s{\"name\":\"f%d\",\"type\":[\"null\",{\"type\":\"record\",\"name\":\"T%d\",\"fields\":[",
                           i == 0 ? "" : ",", i, i);
        if (i > 0) {
            mill_buffer_printf(&schema, "{\"name\":\"l\",\"type\":\"T%d\"},{\"name\":\"r\",\"type\":\"T%d\"}", i - 1,
                               i - 1);
        }
        mill_buffer_add_string(&schema, "]}]}");
    }
    mill_buffer_add_string(&schema, "]}");
    assert_int_equal(pair_open(&p, mill_buffer_cstr(&schema), RECORD(DEFAULT("a", "\"int\"", "1")), "a:int64"), 0);
    char bytes[41];
    memset(bytes, 2, sizeof(bytes)); /* every union holds its record */
    assert_string_equal(pair_run(&p, bytes, sizeof(bytes)), "[1]");
    pair_close(&p);
    mill_buffer_clear(&schema);
}

/* Through the public door, bare and single-object. */
static void test_decoder(void **state)
{
    static const char schema[] = RECORD(FIELD("ts", TIME) "," FIELD("v", "[\"null\",\"string\"]"));
    static const char other[] = RECORD(FIELD("v", "\"string\"") "," FIELD("ts", TIME));
    struct mill_slice known[1] = {{other, sizeof(other) - 1}};
    struct mill__avro_schema *parsed;
    uint64_t own, of_other;
    char value[12] = "\xc3\x01";
    struct fixture f;

    (void)state;
    fixture_init(&f, MILL_FORMAT_AVRO, "ts:timestamp v:string");
    f.spec.avro_schema = mill_slice_of(schema);
    fixture_open(&f);
    fixture_expect(&f,
                   BYTES("\x02\x02\x02"
                         "a"),
                   "[\"1970-01-01T00:00:00.001Z\",\"a\"]");
    fixture_expect(&f, BYTES(""), "malformed: field 'ts', byte 0: the record ends inside the value");
    mill_decoder_close(f.decoder);

    f.spec.framing = MILL_FRAMING_SINGLE_OBJECT;
    f.spec.known_schemas = known;
    f.spec.known_schema_count = 1;
    fixture_open(&f);
    parsed = parse(schema);
    own = mill__avro_schema_fingerprint(parsed);
    mill__avro_schema_free(parsed);
    parsed = parse(other);
    of_other = mill__avro_schema_fingerprint(parsed);
    mill__avro_schema_free(parsed);
    memcpy(value + 2, &own, 8);
    memcpy(value + 10, "\x02\x00", 2);
    fixture_expect(&f, value, 12, "[\"1970-01-01T00:00:00.001Z\",null]");
    memcpy(value + 2, &of_other, 8);
    memcpy(value + 10, "\x00\x04", 2);
    fixture_expect(&f, value, 12, "[\"1970-01-01T00:00:00.002Z\",\"\"]");
    fixture_expect(
        &f, BYTES("\xc3\x01\x00\x00\x00\x00\x00\x00\x00\x00"),
        "unknown_schema: schema fingerprint 0000000000000000: not a schema of this source; hint: list it with "
        "the source");
    fixture_expect(
        &f, value, 9,
        "framing: expected Avro single-object encoding (c3 01 and an 8-byte fingerprint), found 9 bytes that "
        "start with '\\xc3\\x01'");
    fixture_clear(&f);
}

static void test_open_errors(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f, MILL_FORMAT_AVRO, "ts:timestamp v:int64");
    f.spec.avro_schema = mill_slice_of(RECORD(FIELD("ts", TIME)));
    assert_int_equal(mill_decoder_open(&f.spec, &f.decoder, &f.err), MILL_EDATA);
    assert_string_equal(f.err.msg, "source 'test': the avro schema has no field 'v'");
    f.spec.avro_schema = mill_slice_of("{");
    assert_int_equal(mill_decoder_open(&f.spec, &f.decoder, &f.err), MILL_EDATA);
    f.spec.avro_schema = mill_slice_of(RECORD(FIELD("ts", TIME) "," FIELD("v", "\"int\"")));
    f.spec.framing = MILL_FRAMING_CONFLUENT;
    assert_int_equal(mill_decoder_open(&f.spec, &f.decoder, &f.err), MILL_ECONFIG);
    assert_string_equal(f.err.msg,
                        "source 'test': confluent framing names schemas by the ids of a registry, and none is "
                        "configured");
    fixture_clear(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resolution), cmocka_unit_test(test_fields),
        cmocka_unit_test(test_defaults),   cmocka_unit_test(test_skips),
        cmocka_unit_test(test_hostile),    cmocka_unit_test(test_exponential_schema),
        cmocka_unit_test(test_decoder),    cmocka_unit_test(test_open_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

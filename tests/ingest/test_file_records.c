/* SPDX-License-Identifier: Apache-2.0 */
/* JSON lines and Avro container files as sources (containers written by avro-c), and rows as records for replay. */
#include "tests/ingest/decode_fixture.h"

#include <avro.h>
#include <unistd.h>
#include <zstd.h>

#include "ingest/avro/schema_internal.h"

static char directory[] = "/tmp/test_file_records_XXXXXX";
static char path[128];

static int make_directory(void **state)
{
    (void)state;
    return mkdtemp(directory) == NULL ? -1 : 0;
}

static int remove_directory(void **state)
{
    (void)state;
    return rmdir(directory);
}

static void write_file(const char *name, const void *bytes, size_t n)
{
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

static void read_rows(struct fixture *f, uint32_t capacity, struct mill_buffer *out)
{
    struct mill_file_source *file;
    int64_t next = 0;

    mill_buffer_reset(out);
    int rc = mill_file_source_open(&f->spec, path, &file, &f->err);
    if (rc < 0) {
        mill_buffer_printf(out, "!%s", f->err.msg);
        return;
    }
    for (;;) {
        fixture_batch(f, capacity);
        rc = mill_file_source_next(file, &f->batch, &f->rejects, &f->err);
        if (rc < 0) {
            break;
        }
        for (uint32_t i = 0; i < f->batch.row_count; i++) {
            assert_true(f->batch.offset[i] == next++);
            mill_buffer_printf(out, "%s%s", out->n == 0 ? "" : "\n", fixture_row(f, i));
        }
    }
    mill_buffer_printf(out, rc == MILL_EEND ? "" : "!%s", f->err.msg);
    mill_file_source_close(file);
}

/* ---- JSON lines ---- */

static void test_jsonl(void **state)
{
    static const char text[] =
        "{\"ts\":0,\"s\":\"a\"}\n\r\n  \n{\"ts\":1,\"s\":\"\\u00e9\"}\r\n{\"ts\":2\n[]\n{\"ts\":3}";
    static const char expected[] =
        "[\"1970-01-01T00:00:00Z\",\"a\"]\n[\"1970-01-01T00:00:00.001Z\",\"\xc3\xa9\"]\n"
        "malformed: not JSON: unexpected end of the text (line 1, column 8)\n"
        "malformed: not an event: expected a JSON object\n[\"1970-01-01T00:00:00.003Z\",null]";
    static const char *const names[] = {"a.jsonl", "a.ndjson", "a.json"};
    struct mill_buffer rows = {0};
    struct fixture f;

    (void)state;
    fixture_init(&f, MILL_FORMAT_JSON, "ts:timestamp/ms s:string");
    for (int i = 0; i < 3; i++) {
        write_file(names[i], text, sizeof(text) - 1);
        for (uint32_t capacity = 1; capacity < 7; capacity++) {
            read_rows(&f, capacity, &rows);
            assert_string_equal(mill_buffer_cstr(&rows), expected);
        }
        unlink(path);
    }
    f.spec.record_bytes_max = 16;
    write_file("long.jsonl", "{\"ts\":0,\"s\":\"abcdefgh\"}\n{\"ts\":0}\n", 33);
    read_rows(&f, 8, &rows);
    assert_string_equal(mill_buffer_cstr(&rows),
                        "too_large: row of 23 bytes, the limit is 16\n[\"1970-01-01T00:00:00Z\",null]");
    unlink(path);
    mill_buffer_clear(&rows);
    fixture_clear(&f);
}

/* ---- Avro container files ---- */

static const char schema_text[] =
    "{\"type\":\"record\",\"name\":\"R\",\"fields\":["
    "{\"name\":\"ts\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}},"
    "{\"name\":\"s\",\"type\":[\"null\",\"string\"]},{\"name\":\"x\",\"type\":\"double\"}]}";

static void check(int rc)
{
    if (rc != 0) {
        fail_msg("avro-c: %s", avro_strerror());
    }
}

/* count rows: ts = i, s = "row i" or null where i is divisible by 7, x = i / 4. */
static void write_container(const char *name, const char *codec, int count)
{
    avro_schema_t schema = NULL;
    avro_file_writer_t writer = NULL;
    avro_value_t value, field, branch;
    char text[32];

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    check(avro_schema_from_json_length(schema_text, sizeof(schema_text) - 1, &schema));
    check(avro_file_writer_create_with_codec(path, schema, &writer, codec, 2048));
    avro_value_iface_t *iface = avro_generic_class_from_schema(schema);
    check(avro_generic_value_new(iface, &value));
    for (int i = 0; i < count; i++) {
        check(avro_value_get_by_index(&value, 0, &field, NULL));
        check(avro_value_set_long(&field, i));
        check(avro_value_get_by_index(&value, 1, &field, NULL));
        check(avro_value_set_branch(&field, i % 7 != 0, &branch));
        snprintf(text, sizeof(text), "row %d", i);
        check(i % 7 != 0 ? avro_value_set_string(&branch, text) : avro_value_set_null(&branch));
        check(avro_value_get_by_index(&value, 2, &field, NULL));
        check(avro_value_set_double(&field, i / 4.0));
        check(avro_file_writer_append_value(writer, &value));
    }
    check(avro_file_writer_close(writer));
    avro_value_decref(&value);
    avro_value_iface_decref(iface);
    avro_schema_decref(schema);
}

static void expected_rows(struct mill_buffer *out, int count)
{
    char time[32];

    mill_buffer_reset(out);
    for (int i = 0; i < count; i++) {
        size_t n = mill_timestamp_print(i * 1000, time);
        mill_buffer_printf(out, "%s[\"%.*s\",", i == 0 ? "" : "\n", (int)n, time);
        mill_buffer_printf(out, i % 7 == 0 ? "null," : "\"row %d\",", i);
        mill_json_append_double(out, i / 4.0);
        mill_buffer_add_byte(out, ']');
    }
}

static void test_container(void **state)
{
    struct mill_buffer rows = {0}, expected = {0};
    struct fixture f;

    (void)state;
    /* avro-c forgets logical types, so the file says long and the unit is the source's */
    fixture_init(&f, MILL_FORMAT_JSON, "ts:timestamp/ms s:string x:float64");
    for (int count = 0; count < 1500; count = count * 3 + 1) {
        write_container("a.avro", "null", count);
        expected_rows(&expected, count);
        for (uint32_t capacity = 1; capacity <= MILL_BATCH_ROWS_MAX; capacity = capacity * 8) {
            read_rows(&f, capacity, &rows);
            assert_string_equal(mill_buffer_cstr(&rows), mill_buffer_cstr(&expected));
        }
        unlink(path);
    }
    /* with a reader's schema of the source's own */
    static const char reader[] = "{\"type\":\"record\",\"name\":\"Q\",\"fields\":[{\"name\":\"x\",\"type\":\"double\"},"
                                 "{\"name\":\"new\",\"type\":\"int\",\"default\":5},{\"name\":\"ts\",\"type\":"
                                 "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}}]}";
    struct fixture g;
    fixture_init(&g, MILL_FORMAT_AVRO, "ts:timestamp new:int64");
    g.spec.avro_schema = mill_slice_of(reader);
    write_container("b.avro", "null", 1);
    read_rows(&g, 8, &rows);
    assert_string_equal(mill_buffer_cstr(&rows), "[\"1970-01-01T00:00:00Z\",5]");
    unlink(path);
    write_container("c.avro", "deflate", 1);
    read_rows(&g, 8, &rows);
    assert_non_null(strstr(mill_buffer_cstr(&rows), "codec 'deflate' is not supported; expected null or zstandard"));
    unlink(path);
    fixture_clear(&g);
    mill_buffer_clear(&rows);
    mill_buffer_clear(&expected);
    fixture_clear(&f);
}

/* Containers by hand: avro-c writes no zstandard blocks and no broken ones. */
static void add_bytes(struct mill_buffer *b, const char *text, size_t n)
{
    mill_buffer_add_zigzag(b, (int64_t)n);
    mill_buffer_add(b, text, n);
}

static void add_header(struct mill_buffer *b, const char *codec)
{
    mill_buffer_reset(b);
    mill_buffer_add_string(b, "Obj\x01");
    mill_buffer_add_zigzag(b, 2);
    add_bytes(b, "avro.schema", 11);
    add_bytes(b, schema_text, sizeof(schema_text) - 1);
    add_bytes(b, "avro.codec", 10);
    add_bytes(b, codec, strlen(codec));
    mill_buffer_add_zigzag(b, 0);
    mill_buffer_add_string(b, "0123456789abcdef");
}

static void add_block(struct mill_buffer *b, int64_t rows, const char *bytes, size_t n)
{
    mill_buffer_add_zigzag(b, rows);
    add_bytes(b, bytes, n);
    mill_buffer_add_string(b, "0123456789abcdef");
}

/* ts, null, x = 0 */
#define ROW(ts)                                                                                                        \
    ts "\x00"                                                                                                          \
       "\0\0\0\0\0\0\0\0"
#define NAN_ROW(ts)                                                                                                    \
    ts "\x00"                                                                                                          \
       "\0\0\0\0\0\0\xf8\x7f"

/* A schema of a quarter of a megabyte is more than is read at first. */
static void test_long_container_header(void **state)
{
    static const char good[] = ROW("\x00");
    struct mill_buffer file = {0}, schema = {0}, rows = {0};
    struct fixture f;

    (void)state;
    fixture_init(&f, MILL_FORMAT_JSON, "ts:timestamp s:string x:float64");
    mill_buffer_add_string(&schema, "{\"doc\":\"");
    for (int i = 0; i < 10000; i++) {
        mill_buffer_add_string(&schema, "documentation and more of ");
    }
    mill_buffer_add_string(&schema, "it\",");
    mill_buffer_add_string(&schema, schema_text + 1);
    mill_buffer_add_string(&file, "Obj\x01");
    mill_buffer_add_zigzag(&file, 1);
    add_bytes(&file, "avro.schema", 11);
    add_bytes(&file, schema.p, schema.n);
    mill_buffer_add_zigzag(&file, 0);
    mill_buffer_add_string(&file, "0123456789abcdef");
    add_block(&file, 1, good, sizeof(good) - 1);
    write_file("h.avro", file.p, file.n);
    read_rows(&f, 8, &rows);
    assert_string_equal(mill_buffer_cstr(&rows), "[\"1970-01-01T00:00:00Z\",null,0.0]");
    write_file("h.avro", file.p, file.n / 2);
    read_rows(&f, 8, &rows);
    assert_non_null(strstr(mill_buffer_cstr(&rows), "its header is cut off"));
    unlink(path);
    mill_buffer_clear(&file);
    mill_buffer_clear(&schema);
    mill_buffer_clear(&rows);
    fixture_clear(&f);
}

static void test_container_blocks(void **state)
{
    static const char good[] = ROW("\x00") ROW("\x02"), wrong[] = ROW("\x00") NAN_ROW("\x02") ROW("\x04");
    static const char broken[] = ROW("\x00") "\x02\x08" ROW("\x04");
    struct mill_buffer file = {0}, rows = {0};
    char packed[200];
    struct fixture f;

    (void)state;
    fixture_init(&f, MILL_FORMAT_JSON, "ts:timestamp s:string x:float64");
    add_header(&file, "zstandard");
    size_t n = ZSTD_compress(packed, sizeof(packed), good, sizeof(good) - 1, 3);
    add_block(&file, 2, packed, n);
    add_block(&file, 2, packed, n);
    write_file("z.avro", file.p, file.n);
    read_rows(&f, 8, &rows);
    assert_string_equal(mill_buffer_cstr(&rows),
                        "[\"1970-01-01T00:00:00Z\",null,0.0]\n[\"1970-01-01T00:00:00.001Z\",null,0.0]\n"
                        "[\"1970-01-01T00:00:00Z\",null,0.0]\n[\"1970-01-01T00:00:00.001Z\",null,0.0]");

    /* a wrong value costs its row; bytes that cannot be read cost the rest of the block, row by row */
    add_header(&file, "null");
    add_block(&file, 3, wrong, sizeof(wrong) - 1);
    add_block(&file, 3, broken, sizeof(broken) - 1);
    add_block(&file, 2, good, sizeof(good) - 1);
    write_file("z.avro", file.p, file.n);
    for (uint32_t capacity = 1; capacity < 9; capacity++) {
        read_rows(&f, capacity, &rows);
        assert_string_equal(
            mill_buffer_cstr(&rows),
            "[\"1970-01-01T00:00:00Z\",null,0.0]\nnot_finite: field 'x', byte 10: NaN or infinity where a finite "
            "number is "
            "expected; hint: the source can allow them\n[\"1970-01-01T00:00:00.002Z\",null,0.0]\n"
            "[\"1970-01-01T00:00:00Z\",null,0.0]\nmalformed: field 's', byte 2: branch 4 of a union that has 2\n"
            "malformed: field 'ts', byte 0: the record ends inside the value\n"
            "[\"1970-01-01T00:00:00Z\",null,0.0]\n[\"1970-01-01T00:00:00.001Z\",null,0.0]");
    }

    static const struct {
        int64_t rows;
        size_t cut;
        const char *message;
    } files[] = {
        {3, 0, "malformed: field 'ts', byte 0: the record ends inside the value"},
        {1, 0, "a block has 10 bytes behind its last record"},
        {-1, 0, "a block has a wrong header"},
        {21, 0, "a block claims 21 records in 20 bytes"},
        {2, 1, "it is cut off inside a block"},
        {2, 30, "it is cut off inside a block"},
    };
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        add_header(&file, "null");
        add_block(&file, files[i].rows, good, sizeof(good) - 1);
        write_file("z.avro", file.p, file.n - files[i].cut);
        read_rows(&f, 8, &rows);
        if (strstr(mill_buffer_cstr(&rows), files[i].message) == NULL) {
            fail_msg("expected %s, found %s", files[i].message, mill_buffer_cstr(&rows));
        }
    }
    file.p[file.n - 1] ^= 1;
    write_file("z.avro", file.p, file.n);
    read_rows(&f, 8, &rows);
    assert_non_null(strstr(mill_buffer_cstr(&rows), "a block does not end with the sync marker"));
    for (size_t cut = 0; cut < 200; cut++) { /* every prefix of the header is refused */
        write_file("z.avro", file.p, cut);
        read_rows(&f, 8, &rows);
        assert_int_equal(mill_buffer_cstr(&rows)[0], '!');
    }
    unlink(path);
    mill_buffer_clear(&file);
    mill_buffer_clear(&rows);
    fixture_clear(&f);
}

/* ---- replay ---- */

/* "key=value@time" per record, values of JSON as they are. */
static void read_records(struct fixture *f, uint32_t key_column, struct mill_buffer *out)
{
    struct mill_file_source *file;
    struct mill_record record;
    int64_t time = 0;
    int rc;

    mill_buffer_reset(out);
    assert_int_equal(mill_file_source_open(&f->spec, path, &file, &f->err), 0);
    while ((rc = mill_file_source_next_record(file, key_column, &record, &time, &f->err)) == 0 || rc == MILL_EDATA) {
        if (rc < 0) {
            mill_buffer_printf(out, "!%s\n", f->err.msg);
            continue;
        }
        mill_buffer_printf(out, "%.*s=%.*s@%lld\n", record.key.p == NULL ? 1 : (int)record.key.n,
                           record.key.p == NULL ? "-" : record.key.p, (int)record.value.n, record.value.p,
                           (long long)time);
    }
    if (rc != MILL_EEND) {
        mill_buffer_printf(out, "!!%s\n", f->err.msg);
    }
    mill_file_source_close(file);
}

static void test_replay_json(void **state)
{
    static const char csv[] = "ts,s,n,at\n0,a,1,2013-01-01\n1.5,\"b \"\"q\"\"\",,\n2,c,x,\n";
    static const char jsonl[] = "{\"n\":1, \"ts\":7,\"s\":\"k\"}\n{\"broken\"\n{\"ts\":8,\"other\":[1]}\n";
    struct mill_buffer out = {0};
    struct fixture f;

    (void)state;
    fixture_init(&f, MILL_FORMAT_JSON, "ts:timestamp/ms s:string n:int64 at:timestamp");
    write_file("r.csv", csv, sizeof(csv) - 1);
    read_records(&f, 1, &out);
    assert_string_equal(
        mill_buffer_cstr(&out),
        "a={\"ts\":0,\"s\":\"a\",\"n\":1,\"at\":\"2013-01-01T00:00:00Z\"}@0\n"
        "b \"q\"={\"ts\":\"1970-01-01T00:00:00.001500Z\",\"s\":\"b \\\"q\\\"\",\"n\":null,\"at\":null}@1500\n"
        "!row 2: field 'n': expected int64, found 'x'\n");
    read_records(&f, UINT32_MAX, &out);
    assert_int_equal(strncmp(mill_buffer_cstr(&out), "-={\"ts\":0,", 10), 0);
    read_records(&f, 2, &out);
    assert_int_equal(strncmp(mill_buffer_cstr(&out), "1={\"ts\":0,", 10), 0);
    unlink(path);
    /* lines that are records already go out as they are */
    write_file("r.jsonl", jsonl, sizeof(jsonl) - 1);
    read_records(&f, 1, &out);
    assert_string_equal(
        mill_buffer_cstr(&out),
        "k={\"n\":1, \"ts\":7,\"s\":\"k\"}@7000\n-={\"broken\"@7000\n-={\"ts\":8,\"other\":[1]}@8000\n");
    write_file("r.avro", "Obj\x01", 4);
    struct mill_file_source *file;
    assert_int_equal(mill_file_source_open(&f.spec, path, &file, &f.err), MILL_EDATA);
    unlink(path);
    /* a broken file is not a broken row */
    struct mill_buffer cut = {0};
    add_header(&cut, "null");
    mill_buffer_add_string(&cut, "\x02\x7f");
    write_file("r.avro", cut.p, cut.n);
    struct fixture g;
    fixture_init(&g, MILL_FORMAT_JSON, "ts:timestamp s:string x:float64");
    read_records(&g, 1, &out);
    assert_non_null(strstr(mill_buffer_cstr(&out), "!!'"));
    assert_int_equal(g.err.code, MILL_EIO);
    fixture_clear(&g);
    mill_buffer_clear(&cut);
    unlink(path);
    write_file("r.jsonl", jsonl, sizeof(jsonl) - 1);
    f.spec.framing = MILL_FRAMING_CONFLUENT;
    read_records(&f, 1, &out);
    assert_non_null(strstr(mill_buffer_cstr(&out), "!!source 'test': its framing needs schema ids of a registry"));
    unlink(path);
    mill_buffer_clear(&out);
    fixture_clear(&f);
}

/* Records written for an Avro source are read back by its decoder to the rows of the file. */
static void expect_round_trip(struct fixture *f, const char *expected)
{
    struct mill_file_source *file;
    struct mill_record record;
    struct mill_buffer rows = {0};
    int64_t time = 0;

    fixture_open(f);
    assert_int_equal(mill_file_source_open(&f->spec, path, &file, &f->err), 0);
    while (mill_file_source_next_record(file, 1, &record, &time, &f->err) == 0) {
        assert_int_equal(fixture_decode(f, &record, 1), 0);
        assert_true(f->batch.event_time_us[0] == time);
        mill_buffer_printf(&rows, "%s%s", rows.n == 0 ? "" : "\n", fixture_row(f, 0));
    }
    assert_string_equal(mill_buffer_cstr(&rows), expected);
    mill_file_source_close(file);
    mill_decoder_close(f->decoder);
    f->decoder = NULL;
    mill_buffer_clear(&rows);
}

static void test_replay_avro(void **state)
{
    static const char csv[] = "ts,s,x\n0,a,0.5\n1000,,-1\n";
    static const char csv_rows[] = "[\"1970-01-01T00:00:00Z\",\"a\",0.5]\n[\"1970-01-01T00:00:01Z\",null,-1.0]";
    struct mill_buffer expected = {0};
    struct fixture f;

    (void)state;
    fixture_init(&f, MILL_FORMAT_AVRO, "ts:timestamp/ms s:string x:float64");
    f.spec.avro_schema = mill_slice_of(schema_text);
    write_file("r.csv", csv, sizeof(csv) - 1);
    expect_round_trip(&f, csv_rows);
    f.spec.framing = MILL_FRAMING_SINGLE_OBJECT;
    expect_round_trip(&f, csv_rows);
    unlink(path);
    write_container("r.avro", "null", 100); /* passed on byte by byte */
    expected_rows(&expected, 100);
    expect_round_trip(&f, mill_buffer_cstr(&expected));
    f.spec.framing = MILL_FRAMING_BARE;
    expect_round_trip(&f, mill_buffer_cstr(&expected));
    unlink(path);
    mill_buffer_clear(&expected);
    fixture_clear(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jsonl),
        cmocka_unit_test(test_container),
        cmocka_unit_test(test_container_blocks),
        cmocka_unit_test(test_long_container_header),
        cmocka_unit_test(test_replay_json),
        cmocka_unit_test(test_replay_avro),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* CSV files as sources: a table of files and rows, random files in small and large batches, the flights of the example.
 */
#include "tests/ingest/decode_fixture.h"

#include <unistd.h>
#include <zstd.h>

#include "tests/base/random.h"

static char directory[] = "/tmp/test_file_csv_XXXXXX";
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

static void write_file(const char *name, struct mill_slice text)
{
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text.p, 1, text.n, file), text.n);
    assert_int_equal(fclose(file), 0);
}

/* All rows, one a line, "\n" between. */
static void read_rows(struct fixture *f, uint32_t capacity, struct mill_buffer *out)
{
    struct mill_file_source *file;
    uint64_t done = 0, total = 0;
    int64_t next = 0;
    int rc;

    mill_buffer_reset(out);
    rc = mill_file_source_open(&f->spec, path, &file, &f->err);
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
        assert_true(f->batch.row_count >= 1);
        for (uint32_t i = 0; i < f->batch.row_count; i++) {
            assert_true(f->batch.offset[i] == next++);
            mill_buffer_printf(out, "%s%s", out->n == 0 ? "" : "\n", fixture_row(f, i));
        }
    }
    if (rc != MILL_EEND) {
        mill_buffer_printf(out, "%s!%s", out->n == 0 ? "" : "\n", f->err.msg);
    }
    mill_file_source_progress(file, &done, &total);
    assert_true(done == total || rc != MILL_EEND);
    mill_file_source_close(file);
}

static const struct {
    const char *text, *rows;
} cases[] = {
    {"ts,s,n\n0,a,1\n", "[\"1970-01-01T00:00:00Z\",\"a\",1]"},
    {"ts,s,n\n0,a,1", "[\"1970-01-01T00:00:00Z\",\"a\",1]"},
    {"ts,s,n\r\n0,a,1\r\n1000,b,2\r\n", "[\"1970-01-01T00:00:00Z\",\"a\",1]\n[\"1970-01-01T00:00:01Z\",\"b\",2]"},
    {"ts,s,n\r\n0,a,1\r", "[\"1970-01-01T00:00:00Z\",\"a\",1]"},
    {"\xef\xbb\xbfts,s,n\n0,a,1\n", "[\"1970-01-01T00:00:00Z\",\"a\",1]"},
    /* columns in another order, with others between; names in quotes */
    {"x,n,\"s\",y,ts\n9,1,a,9,0\n", "[\"1970-01-01T00:00:00Z\",\"a\",1]"},
    /* nulls; "" is a string, and a null elsewhere */
    {"ts,s,n\n0,,\n", "[\"1970-01-01T00:00:00Z\",null,null]"},
    {"ts,s,n\n0,\"\",\"\"\n", "[\"1970-01-01T00:00:00Z\",\"\",null]"},
    /* quotes */
    {"ts,s,n\n0,\"a,b\",1\n", "[\"1970-01-01T00:00:00Z\",\"a,b\",1]"},
    {"ts,s,n\n0,\"a\nb\r\nc\",\"1\"\n", "[\"1970-01-01T00:00:00Z\",\"a\\nb\\r\\nc\",1]"},
    {"ts,s,n\n0,\"say \"\"hi\"\"\",1\n", "[\"1970-01-01T00:00:00Z\",\"say \\\"hi\\\"\",1]"},
    {"ts,s,n\n0,\"\"\"\",1\n", "[\"1970-01-01T00:00:00Z\",\"\\\"\",1]"},
    {"ts,s,n\n0,a\"b,1\n", "[\"1970-01-01T00:00:00Z\",\"a\\\"b\",1]"},
    {"ts,s,n\n0,a,\"1\"", "[\"1970-01-01T00:00:00Z\",\"a\",1]"},
    {"ts,s,n\n0,a,\"1\"\r", "[\"1970-01-01T00:00:00Z\",\"a\",1]"},
    /* blank lines are no rows */
    {"ts,s,n\n\n0,a,1\n\r\n\n0,b,2\n\n", "[\"1970-01-01T00:00:00Z\",\"a\",1]\n[\"1970-01-01T00:00:00Z\",\"b\",2]"},
    {"ts,s,n\n", ""},
    {"ts,s,n", ""},
    /* a wrong row costs itself only */
    {"ts,s,n\n0,a\n0,b,2\n",
     "malformed: expected 3 fields as in the header, found 2\n[\"1970-01-01T00:00:00Z\",\"b\",2]"},
    {"ts,s,n\n0,a,1,\n0,b,2\n",
     "malformed: expected 3 fields as in the header, found 4\n[\"1970-01-01T00:00:00Z\",\"b\",2]"},
    {"ts,s,n\n0,\"a\"x,1\n0,b,2\n",
     "malformed: expected a comma or the end of the row behind a closing quote\n[\"1970-01-01T00:00:00Z\",\"b\",2]"},
    {"ts,s,n\n0,\"a,1\n0,b,2\n", "malformed: a quote is opened and never closed\n[\"1970-01-01T00:00:00Z\",\"b\",2]"},
    {"ts,s,n\n0,\xff,1\n0,b,2\n", "malformed: field 's': '\\xff' is not UTF-8\n[\"1970-01-01T00:00:00Z\",\"b\",2]"},
    {"ts,s,n\n0,a,x\n0,b,2\n", "wrong_type: field 'n': expected int64, found 'x'\n[\"1970-01-01T00:00:00Z\",\"b\",2]"},
    {"ts,s,n\n0,a, 1\n", "wrong_type: field 'n': expected int64, found ' 1'"},
    {"ts,s,n\n0,a,1.0\n", "[\"1970-01-01T00:00:00Z\",\"a\",1]"},
    {"ts,s,n\n0,a,1.5\n", "wrong_type: field 'n': expected int64, found number '1.5'"},
    {"ts,s,n\n0,a,9223372036854775808\n", "wrong_type: field 'n': expected int64, found number '9223372036854775808'"},
    {"ts,s,n\n,a,1\n", "no_event_time: timestamp field 'ts' is null or missing"},
    {"ts,s,n\n2013-01-01T10:17Z,a,1\n", "[\"2013-01-01T10:17:00Z\",\"a\",1]"},
    {"ts,s,n\nnow,a,1\n", "wrong_type: field 'ts': expected a time such as 2013-01-01T10:17:00Z, found 'now'"},
    {"ts,s,n\n253402300800000,a,1\n",
     "no_event_time: field 'ts': '253402300800000' is out of the range of times (years 1 to 9999)"},
    /* the header */
    {"", "!'%s' is empty; expected a header row that names the columns"},
    {"ts,name,n\n", "!'%s' has no column 's'; its header: ts, name, n"},
    {"ts,s,m\n", "!'%s' has no column 'n'; its header: ts, s, m"},
    {"ts,s,n,s\n", "!'%s' has two columns 's'"},
    {"ts,s,\"n\n", "!'%s': the header row is not CSV"},
};

static void test_cases(void **state)
{
    struct mill_buffer rows = {0};
    char expected[512];
    struct fixture f;

    (void)state;
    fixture_init(&f, MILL_FORMAT_JSON, "ts:timestamp/ms s:string n:int64");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        write_file("case.csv", mill_slice_of(cases[i].text));
        const char *hole = strstr(cases[i].rows, "%s");
        snprintf(expected, sizeof(expected), "%.*s%s%s", hole == NULL ? 0 : (int)(hole - cases[i].rows), cases[i].rows,
                 hole == NULL ? "" : path, hole == NULL ? cases[i].rows : hole + 2);
        for (uint32_t capacity = 1; capacity < 5; capacity++) {
            read_rows(&f, capacity, &rows);
            if (strcmp(mill_buffer_cstr(&rows), expected) != 0) {
                fail_msg("\"%s\": expected %s, found %s", cases[i].text, expected, mill_buffer_cstr(&rows));
            }
        }
        unlink(path);
    }
    mill_buffer_clear(&rows);
    fixture_clear(&f);
}

static void test_types(void **state)
{
    static const struct {
        const char *type, *text, *row;
    } values[] = {
        {"bool", "true", "true"},
        {"bool", "False", "false"},
        {"bool", "TRUE", "true"},
        {"bool", "1", NULL},
        {"bool", "yes", NULL},
        {"float64", "1", "1.0"},
        {"float64", "-2.5e-3", "-0.0025"},
        {"float64", "NaN", NULL},
        {"float64", "inf", NULL},
        {"float64", "1e999", NULL},
        {"float64", "1,5", NULL}, /* in quotes */
        {"float64", "0x10", NULL},
        {"float64", "1 ", NULL},
        {"int64", "-9223372036854775808", "-9223372036854775808"},
        {"int64", "1e3", "1000"},
        {"int64", "true", NULL},
        {"string", "N'\xc3\xa9", "\"N'\xc3\xa9\""},
        {"timestamp", "2013-01-01", "\"2013-01-01T00:00:00Z\""},
        {"timestamp", "2013", NULL},
        {"timestamp/s", "1.5", "\"1970-01-01T00:00:01.500Z\""},
    };
    struct mill_buffer rows = {0};
    char text[128], columns[64], expected[128];

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct fixture f;
        snprintf(columns, sizeof(columns), "ts:timestamp/ms v:%s", values[i].type);
        fixture_init(&f, MILL_FORMAT_JSON, columns);
        snprintf(text, sizeof(text), "ts,v\n0,\"%s\"\n", values[i].text);
        write_file("case.csv", mill_slice_of(text));
        read_rows(&f, 8, &rows);
        if (values[i].row != NULL) {
            snprintf(expected, sizeof(expected), "[\"1970-01-01T00:00:00Z\",%s]", values[i].row);
            assert_string_equal(mill_buffer_cstr(&rows), expected);
        } else {
            assert_int_equal(f.rejects.count, 0); /* of the last, empty batch */
            assert_true(strncmp(mill_buffer_cstr(&rows), "wrong_type: field 'v'", 21) == 0 ||
                        strncmp(mill_buffer_cstr(&rows), "not_finite: field 'v'", 21) == 0);
        }
        fixture_clear(&f);
        unlink(path);
    }
    mill_buffer_clear(&rows);
}

/* ---- long rows ---- */

static void test_long_rows(void **state)
{
    struct mill_buffer text = {0}, rows = {0};
    struct fixture f;

    (void)state;
    fixture_init(&f, MILL_FORMAT_JSON, "ts:timestamp/ms s:string");
    f.spec.record_bytes_max = 1000;
    mill_buffer_add_string(&text, "ts,s\n0,a\n0,");
    for (int i = 0; i < 400000; i++) { /* longer than any chunk */
        mill_buffer_add_byte(&text, 'x');
    }
    mill_buffer_add_string(&text, "\n0,b\n0,");
    for (int i = 0; i < 1500; i++) {
        mill_buffer_add_byte(&text, 'y');
    }
    /* a quote that is never closed reaches over the limit: its line is lost, not the rest of the file */
    mill_buffer_add_string(&text, "\n0,\"c\n");
    for (int i = 0; i < 300; i++) {
        mill_buffer_add_string(&text, "0,d\n");
    }
    write_file("long.csv", mill_buffer_slice(&text));
    read_rows(&f, 64, &rows);
    const char *p = mill_buffer_cstr(&rows);
    static const char head[] = "[\"1970-01-01T00:00:00Z\",\"a\"]\ntoo_large: row of more than 1000 bytes\n"
                               "[\"1970-01-01T00:00:00Z\",\"b\"]\ntoo_large: row of 1503 bytes, the limit is 1000\n";
    assert_int_equal(strncmp(p, head, sizeof(head) - 1), 0);
    unsigned good = 0;
    for (p += sizeof(head) - 1; (p = strstr(p, "\"d\"")) != NULL; p++) {
        good++;
    }
    assert_int_equal(good, 300);
    mill_buffer_clear(&text);
    mill_buffer_clear(&rows);
    unlink(path);
    fixture_clear(&f);
}

static void test_long_header(void **state)
{
    struct mill_buffer text = {0}, rows = {0};
    struct fixture f;

    (void)state;
    fixture_init(&f, MILL_FORMAT_JSON, "ts:timestamp/ms s:string");
    for (int i = 0; i < 30000; i++) { /* more than is read at first */
        mill_buffer_printf(&text, "column%d,", i);
    }
    mill_buffer_add_string(&text, "ts,s\n");
    for (int i = 0; i < 30000; i++) {
        mill_buffer_add_byte(&text, ',');
    }
    mill_buffer_add_string(&text, "0,a\n");
    write_file("header.csv", mill_buffer_slice(&text));
    read_rows(&f, 8, &rows);
    assert_string_equal(mill_buffer_cstr(&rows), "[\"1970-01-01T00:00:00Z\",\"a\"]");
    for (int i = 0; i < 100000; i++) {
        mill_buffer_add_string(&text, "no header is as long ");
    }
    write_file("header.csv", (struct mill_slice){text.p + 400000, text.n - 400000});
    read_rows(&f, 8, &rows);
    assert_non_null(strstr(mill_buffer_cstr(&rows), "the header row is not CSV"));
    mill_buffer_clear(&text);
    mill_buffer_clear(&rows);
    unlink(path);
    fixture_clear(&f);
}

static void test_raw_text(void **state)
{
    struct mill_file_source *file;
    struct fixture f;

    (void)state;
    fixture_init(&f, MILL_FORMAT_JSON, "ts:timestamp/ms s:string");
    write_file("raw.csv", mill_slice_of("ts,s\r\n0,a\r\n0,\"b\r\nc\"\r\n0,\"d\"e\r\nx"));
    assert_int_equal(mill_file_source_open(&f.spec, path, &file, &f.err), 0);
    fixture_batch(&f, 8);
    assert_int_equal(mill_file_source_next(file, &f.batch, &f.rejects, &f.err), 0);
    assert_int_equal(f.batch.row_count, 4);
    mill_arena_reset(&f.arena); /* raw texts do not live there */
    assert_true(mill_slice_is(mill_file_source_raw(file, 0), "0,a"));
    assert_true(mill_slice_is(mill_file_source_raw(file, 1), "0,\"b\r\nc\""));
    assert_true(mill_slice_is(mill_file_source_raw(file, 2), "0,\"d\"e"));
    assert_true(mill_slice_is(mill_file_source_raw(file, 3), "x"));
    mill_file_source_close(file);
    unlink(path);
    fixture_clear(&f);
}

/* ---- random files, compressed too ---- */

static void add_random_field(struct mill_buffer *csv, struct mill_buffer *json)
{
    static const char *const texts[] = {"a",
                                        "plain text",
                                        "comma, and \"quotes\"",
                                        "line\nline",
                                        "caf\xc3\xa9",
                                        "\"",
                                        ",",
                                        "a string that is longer than sixteen bytes and than thirty-two"};
    uint32_t which = random_below(10);

    if (which >= sizeof(texts) / sizeof(texts[0])) {
        mill_buffer_add_string(json, "null");
        return;
    }
    bool quoted = strpbrk(texts[which], ",\"\n") != NULL || random_below(3) == 0;
    mill_buffer_add_string(csv, quoted ? "\"" : "");
    for (const char *p = texts[which]; *p != '\0'; p++) {
        mill_buffer_add_string(csv, *p == '"' ? "\"" : "");
        mill_buffer_add_byte(csv, (unsigned char)*p);
    }
    mill_buffer_add_string(csv, quoted ? "\"" : "");
    mill_json_append_string(json, mill_slice_of(texts[which]));
}

static void make_random_file(struct mill_buffer *csv, struct mill_buffer *rows, uint32_t count)
{
    mill_buffer_reset(csv);
    mill_buffer_reset(rows);
    mill_buffer_add_string(csv, "s,skipped,n,ts,x\n");
    for (uint32_t i = 0; i < count; i++) {
        struct mill_buffer ignored = {0};
        int64_t n = (int64_t)random_u64() >> random_below(64);
        mill_buffer_printf(rows, "%s[\"1970-01-01T00:00:01Z\",", i == 0 ? "" : "\n");
        add_random_field(csv, rows);
        mill_buffer_add_byte(csv, ',');
        add_random_field(csv, &ignored);
        mill_buffer_printf(csv, ",%lld,1000,%lld.5%s", (long long)n, (long long)(n % 1000),
                           random_below(2) ? "\n" : "\r\n");
        mill_buffer_printf(rows, ",%lld,", (long long)n);
        mill_json_append_double(rows, n % 1000 == 0 ? 0.5 : (double)(n % 1000) + (n < 0 ? -0.5 : 0.5));
        mill_buffer_add_byte(rows, ']');
        mill_buffer_clear(&ignored);
    }
}

static void test_random_files(void **state)
{
    struct mill_buffer csv = {0}, expected = {0}, rows = {0};
    struct fixture f;

    (void)state;
    random_seed("test_random_files");
    fixture_init(&f, MILL_FORMAT_JSON, "ts:timestamp/ms s:string n:int64 x:float64");
    for (int round = 0; round < 12; round++) {
        make_random_file(&csv, &expected, round % 3 == 0 ? 12000 : random_below(200));
        if (round % 2 == 0) {
            write_file("random.csv", mill_buffer_slice(&csv));
        } else { /* two frames, cut anywhere */
            size_t cut = random_below((uint32_t)csv.n + 1), bound = ZSTD_compressBound(csv.n);
            char *packed = malloc(2 * bound + 64);
            size_t n = ZSTD_compress(packed, bound, csv.p, cut, 3);
            n += ZSTD_compress(packed + n, bound, csv.p + cut, csv.n - cut, 1);
            write_file("random.csv.zst", (struct mill_slice){packed, n});
            free(packed);
        }
        read_rows(&f, 1 + random_below(MILL_BATCH_ROWS_MAX), &rows);
        assert_string_equal(mill_buffer_cstr(&rows), mill_buffer_cstr(&expected));
        unlink(path);
    }
    mill_buffer_clear(&csv);
    mill_buffer_clear(&expected);
    mill_buffer_clear(&rows);
    fixture_clear(&f);
}

static void test_broken_zstd(void **state)
{
    struct mill_buffer rows = {0};
    char text[4000], packed[4200], expected[256];
    struct fixture f;

    (void)state;
    fixture_init(&f, MILL_FORMAT_JSON, "ts:timestamp/ms");
    memset(text, '\n', sizeof(text));
    memcpy(text, "ts\n0\n", 5);
    size_t n = ZSTD_compress(packed, sizeof(packed), text, sizeof(text), 3);
    write_file("cut.csv.zst", (struct mill_slice){packed, n - 3});
    read_rows(&f, 8, &rows);
    snprintf(expected, sizeof(expected), "!'%s' ends inside a zstd frame: it was cut off", path);
    assert_string_equal(mill_buffer_cstr(&rows), expected);
    unlink(path);
    write_file("no.csv.zst", mill_slice_of("ts\n0\n"));
    read_rows(&f, 8, &rows);
    assert_non_null(strstr(mill_buffer_cstr(&rows), "is not valid zstd"));
    unlink(path);
    snprintf(path, sizeof(path), "%s/none.csv", directory);
    read_rows(&f, 8, &rows);
    assert_non_null(strstr(mill_buffer_cstr(&rows), "cannot be opened: No such file or directory"));
    assert_int_equal(f.err.code, MILL_ENOINPUT);
    snprintf(path, sizeof(path), "%s/none.txt", directory);
    read_rows(&f, 8, &rows);
    assert_non_null(strstr(mill_buffer_cstr(&rows), "the name does not tell the format"));
    mill_buffer_clear(&rows);
    fixture_clear(&f);
}

/* ---- the example's data ---- */

static void read_flights(const char *name, const char *columns, uint32_t expected_rows, int64_t expected_sum,
                         uint32_t summed)
{
    struct mill_file_source *file;
    struct fixture f;
    uint32_t rows = 0;
    int64_t sum = 0, last = INT64_MIN;

    fixture_init(&f, MILL_FORMAT_JSON, columns);
    snprintf(path, sizeof(path), "%s/examples/flights/%s", MILL_SOURCE_DIR, name);
    assert_int_equal(mill_file_source_open(&f.spec, path, &file, &f.err), 0);
    for (;;) {
        fixture_batch(&f, MILL_BATCH_ROWS_MAX);
        if (mill_file_source_next(file, &f.batch, &f.rejects, &f.err) != 0) {
            break;
        }
        assert_int_equal(f.rejects.count, 0);
        for (uint32_t i = 0; i < f.batch.row_count; i++) {
            assert_true(f.batch.event_time_us[i] >= last);
            last = f.batch.event_time_us[i];
            sum += f.batch.columns[summed].at.i[i];
        }
        rows += f.batch.row_count;
    }
    assert_int_equal(rows, expected_rows);
    assert_true(sum == expected_sum);
    mill_file_source_close(file);
    fixture_clear(&f);
}

static void test_flights(void **state)
{
    (void)state;
    read_flights("departures.csv.zst",
                 "flight_id:string departed_at:timestamp carrier:string flight:int64 tailnum:string origin:string "
                 "dest:string dep_delay:int64 distance:int64",
                 328521, 4152200, 7);
    read_flights("arrivals.csv.zst",
                 "flight_id:string arrived_at:timestamp tailnum:string dest:string arr_delay:int64 air_time:int64",
                 319809, 2234470, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),       cmocka_unit_test(test_types),    cmocka_unit_test(test_long_rows),
        cmocka_unit_test(test_long_header), cmocka_unit_test(test_raw_text), cmocka_unit_test(test_random_files),
        cmocka_unit_test(test_broken_zstd), cmocka_unit_test(test_flights),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}

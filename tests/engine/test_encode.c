/* SPDX-License-Identifier: Apache-2.0 */
/* What the engine writes: Avro read back by avro-c with the published schemas, JSON read back by jansson. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <avro.h>
#include <jansson.h>

#include <cmocka.h>

#include "base/file.h"
#include "engine/encode_avro_internal.h"
#include "ingest/avro/schema_internal.h"

struct fixture {
    struct mill_project *project;
    struct mill__plan *plan;
    struct mill__encoder *json, *avro;
    struct mill_arena arena;
    struct mill_batch batch;
};

static void set_string(struct mill_batch *batch, const char *name, const char *value)
{
    int c = mill_schema_find(batch->schema, mill_slice_of(name));
    batch->columns[c].at.s[0] = mill_slice_of(value);
    mill_bit_set(batch->columns[c].valid, 0);
}

static void set_double(struct mill_batch *batch, const char *name, double value)
{
    int c = mill_schema_find(batch->schema, mill_slice_of(name));
    batch->columns[c].at.f[0] = value;
    mill_bit_set(batch->columns[c].valid, 0);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct mill_project_options options = {.offline = true};
    struct mill_problems problems = {0};
    struct mill_error err = {0};

    setenv("KAFKA_BROKERS", "none:1", 1);
    setenv("REDIS", "none:1", 1);
    setenv("STATE", "none", 1);
    assert_int_equal(
        mill_project_load(MILL_SOURCE_DIR "/bench/stream/stream.yaml", &options, &f->project, &problems, &err),
        MILL_OK);
    mill_problems_clear(&problems);
    assert_int_equal(mill__plan_open(f->project, &(struct mill__plan_options){0}, &f->plan, &err), MILL_OK);
    f->json = mill__encoder_new(f->plan, true);
    f->project->output.format = MILL_FORMAT_AVRO;
    f->avro = mill__encoder_new(f->plan, true);
    mill_arena_init(&f->arena, 0);
    mill_batch_init(&f->batch, &f->plan->flows[0].schema, 1, &f->arena);
    f->batch.row_count = 1;
    f->batch.partition = 3;
    f->batch.offset[0] = 1234567890123;
    f->batch.event_time_us[0] = 1700000000123000;
    set_string(&f->batch, "user_id", "u\"1\xc3\xa4");
    set_double(&f->batch, "user_stats:amount_log", 0.1);
    set_double(&f->batch, "user_stats:amount_sum_1h", -0.0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    mill_arena_clear(&f->arena);
    mill__encoder_free(f->json);
    mill__encoder_free(f->avro);
    mill__plan_close(f->plan);
    mill_project_free(f->project);
    free(f);
    return 0;
}

static void read_schema(const char *name, struct mill_buffer *text)
{
    char path[512];
    struct mill_error err;
    snprintf(path, sizeof(path), MILL_SOURCE_DIR "/schemas/%s", name);
    assert_int_equal(mill_file_read(path, 1 << 20, text, &err), MILL_OK);
}

/* Checks the head and decodes the body with avro-c; the caller releases *ret_value. */
static void decode(const char *schema_file, struct mill_slice bytes, avro_value_t *ret_value)
{
    struct mill_buffer text = {0};
    struct mill__avro_schema *parsed;
    struct mill_error err;
    avro_schema_t schema;
    uint64_t fingerprint;

    read_schema(schema_file, &text);
    struct mill_slice slice = mill_buffer_slice(&text);
    assert_int_equal(mill__avro_schema_parse(&slice, 1, &parsed, &err), MILL_OK);
    assert_true(bytes.n > 10);
    assert_memory_equal(bytes.p, "\xc3\x01", 2);
    memcpy(&fingerprint, bytes.p + 2, 8);
    if (fingerprint != mill__avro_schema_fingerprint(parsed)) {
        fail_msg("%s: fingerprint %016llx expected", schema_file,
                 (unsigned long long)mill__avro_schema_fingerprint(parsed));
    }
    mill__avro_schema_free(parsed);
    assert_int_equal(avro_schema_from_json_length(text.p, text.n, &schema), 0);
    avro_value_iface_t *iface = avro_generic_class_from_schema(schema);
    avro_generic_value_new(iface, ret_value);
    avro_reader_t reader = avro_reader_memory(bytes.p + 10, (int64_t)bytes.n - 10);
    assert_int_equal(avro_value_read(reader, ret_value), 0);
    char rest;
    assert_int_not_equal(avro_read(reader, &rest, 1), 0); /* nothing left over */
    avro_reader_free(reader);
    avro_value_iface_decref(iface);
    avro_schema_decref(schema);
    mill_buffer_clear(&text);
}

static avro_value_t field(const avro_value_t *record, const char *name)
{
    avro_value_t value;
    assert_int_equal(avro_value_get_by_name(record, name, &value, NULL), 0);
    return value;
}

static void assert_text(const avro_value_t *record, const char *name, const char *expected)
{
    avro_value_t value = field(record, name);
    const char *text;
    size_t size;
    assert_int_equal(avro_value_get_string(&value, &text, &size), 0);
    assert_string_equal(text, expected);
}

static void assert_long(const avro_value_t *record, const char *name, int64_t expected)
{
    avro_value_t value = field(record, name);
    int64_t found;
    assert_int_equal(avro_value_get_long(&value, &found), 0);
    assert_int_equal(found, expected);
}

static avro_value_t branch(const avro_value_t *map, const char *name, int expected)
{
    avro_value_t value, chosen;
    int found;
    assert_int_equal(avro_value_get_by_name(map, name, &value, NULL), 0);
    assert_int_equal(avro_value_get_discriminant(&value, &found), 0);
    assert_int_equal(found, expected);
    assert_int_equal(avro_value_get_current_branch(&value, &chosen), 0);
    return chosen;
}

static void test_avro_score(void **state)
{
    struct fixture *f = *state;
    struct mill_buffer out = {0};
    double score = 0.75;
    avro_value_t value;

    mill__encode_score(f->avro, &f->plan->models[0], &f->batch, 0, &score, 1800000000000001, &out);
    decode("score.avsc", mill_buffer_slice(&out), &value);
    assert_text(&value, "event_id", "events/3/1234567890123");
    assert_text(&value, "model", "fraud");
    assert_text(&value, "source", "events");
    assert_long(&value, "event_time", 1700000000123000);
    assert_long(&value, "offset", 1234567890123);
    assert_long(&value, "scored_at", 1800000000000001);
    avro_value_t scores = field(&value, "score"), item;
    double found;
    assert_int_equal(avro_value_get_by_index(&scores, 0, &item, NULL), 0);
    assert_int_equal(avro_value_get_double(&item, &found), 0);
    assert_true(found == 0.75);
    avro_value_t key = field(&value, "key"), part = branch(&key, "user_id", 1);
    const char *text;
    size_t size;
    assert_int_equal(avro_value_get_string(&part, &text, &size), 0);
    assert_string_equal(text, "u\"1\xc3\xa4");
    avro_value_decref(&value);
    mill_buffer_clear(&out);
}

static void test_avro_row(void **state)
{
    struct fixture *f = *state;
    struct mill_buffer out = {0};
    avro_value_t value;
    double found;

    mill__encode_row(f->avro, &f->plan->flows[0].stages[0].uses[0], 0, &f->batch, 0, &out);
    decode("row.avsc", mill_buffer_slice(&out), &value);
    assert_text(&value, "view", "user_stats");
    avro_value_t features = field(&value, "features");
    size_t count;
    assert_int_equal(avro_value_get_size(&features, &count), 0);
    assert_int_equal(count, 9);
    avro_value_t log = branch(&features, "amount_log", 3);
    assert_int_equal(avro_value_get_double(&log, &found), 0);
    assert_true(found == 0.1);
    branch(&features, "hour", 0);
    avro_value_decref(&value);
    mill_buffer_clear(&out);
}

static struct mill__dead_letter letter(struct mill_slice value)
{
    struct mill__dead_letter l = {
        .source = "events",
        .topic = "shop.events",
        .partition = 1,
        .offset = 77,
        .reason = MILL_REJECT_MALFORMED,
        .detail = "not \"JSON\"",
        .value = value,
        .now_us = 5,
    };
    return l;
}

static void test_avro_dead_letter(void **state)
{
    static const char raw[] = "\0\xff\"{";
    struct fixture *f = *state;
    struct mill__dead_letter l = letter((struct mill_slice){raw, 4});
    struct mill_buffer out = {0};
    avro_value_t value, chosen;
    const void *bytes;
    size_t size;

    mill__encode_dead_letter(f->avro, &l, &out);
    decode("dead_letter.avsc", mill_buffer_slice(&out), &value);
    assert_text(&value, "reason", "malformed");
    avro_value_t raw_value = field(&value, "value"), key = field(&value, "key");
    int found;
    assert_int_equal(avro_value_get_discriminant(&key, &found), 0);
    assert_int_equal(found, 0);
    assert_int_equal(avro_value_get_current_branch(&raw_value, &chosen), 0);
    assert_int_equal(avro_value_get_bytes(&chosen, &bytes, &size), 0);
    assert_int_equal(size, 4);
    assert_memory_equal(bytes, raw, 4);
    avro_value_decref(&value);
    mill_buffer_clear(&out);
}

static json_t *parse(struct mill_slice text)
{
    json_error_t error;
    json_t *value = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (value == NULL) {
        fail_msg("not JSON: %s: %.*s", error.text, (int)text.n, text.p);
    }
    return value;
}

static void test_json(void **state)
{
    struct fixture *f = *state;
    struct mill_buffer out = {0};
    double score = 0.75;

    mill__encode_score(f->json, &f->plan->models[0], &f->batch, 0, &score, 1800000000000001, &out);
    json_t *value = parse(mill_buffer_slice(&out));
    assert_string_equal(json_string_value(json_object_get(value, "event_id")), "events/3/1234567890123");
    assert_string_equal(json_string_value(json_object_get(value, "event_time")), "2023-11-14T22:13:20.123Z");
    assert_string_equal(json_string_value(json_object_get(json_object_get(value, "key"), "user_id")), "u\"1\xc3\xa4");
    assert_true(json_real_value(json_object_get(value, "score")) == 0.75);
    assert_true(json_is_true(json_object_get(value, "decision")));
    json_decref(value);
    mill_buffer_reset(&out);

    mill__encode_row(f->json, &f->plan->flows[0].stages[0].uses[0], 0, &f->batch, 0, &out);
    value = parse(mill_buffer_slice(&out));
    assert_true(json_is_null(json_object_get(json_object_get(value, "features"), "hour")));
    assert_true(json_real_value(json_object_get(json_object_get(value, "features"), "amount_log")) == 0.1);
    assert_int_equal(json_object_size(json_object_get(value, "features")), 9);
    json_decref(value);
    mill_buffer_clear(&out);
}

/* Bytes that are no UTF-8 must come back as they were. */
static void test_json_dead_letter(void **state)
{
    static const char raw[] = "\0\xff\"{";
    struct fixture *f = *state;
    struct mill__dead_letter binary = letter((struct mill_slice){raw, 4});
    struct mill__dead_letter text = letter(mill_slice_of("{\"a\": \"\xc3\xa4\"}\n"));
    struct mill_buffer out = {0};

    mill__encode_dead_letter(f->json, &binary, &out);
    json_t *value = parse(mill_buffer_slice(&out));
    assert_string_equal(json_string_value(json_object_get(value, "value_base64")), "AP8iew==");
    assert_null(json_object_get(value, "value"));
    assert_string_equal(json_string_value(json_object_get(value, "detail")), "not \"JSON\"");
    json_decref(value);
    mill_buffer_reset(&out);
    mill__encode_dead_letter(f->json, &text, &out);
    value = parse(mill_buffer_slice(&out));
    assert_string_equal(json_string_value(json_object_get(value, "value")), "{\"a\": \"\xc3\xa4\"}\n");
    json_decref(value);
    mill_buffer_clear(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_avro_score, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_avro_row, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_avro_dead_letter, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_json, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_json_dead_letter, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Entity keys: canonical bytes from rows and from text, back to JSON, limits and hostile bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "featurestore/featurestore.h"

static const struct mill_join_key keys[] = {{"name", MILL_STRING}, {"id", MILL_INT64}};
static const struct mill_entity entity = {"thing", keys, 2};
static struct mill_field fields[] = {{"other", MILL_FLOAT64}, {"id", MILL_INT64}, {"name", MILL_STRING}};
static const struct mill_schema schema = {fields, 3};
static const uint32_t columns[] = {2, 1};

static bool encode(struct mill_slice name, int64_t id, unsigned nulls, struct mill_buffer *out)
{
    struct mill_arena arena;
    struct mill_batch batch;

    mill_arena_init(&arena, 0);
    mill_batch_init(&batch, &schema, 3, &arena);
    batch.columns[2].at.s[1] = name;
    batch.columns[1].at.i[1] = id;
    if ((nulls & 1) == 0) {
        mill_bit_set(batch.columns[2].valid, 1);
    }
    if ((nulls & 2) == 0) {
        mill_bit_set(batch.columns[1].valid, 1);
    }
    bool ok = mill_key_encode(&entity, &batch, columns, 1, out);
    mill_arena_clear(&arena);
    return ok;
}

static void test_bytes(void **state)
{
    (void)state;
    struct mill_buffer key = {0};

    assert_true(encode(mill_slice_of("ab"), -1, 0, &key));
    assert_int_equal(key.n, 4);
    assert_memory_equal(key.p,
                        "\x02"
                        "ab\x01",
                        4);
    mill_buffer_reset(&key);
    assert_true(encode((struct mill_slice){NULL, 0}, INT64_MIN, 0, &key));
    assert_int_equal(key.n, 11);
    assert_memory_equal(key.p, "\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11);
    mill_buffer_reset(&key);
    assert_false(encode(mill_slice_of("ab"), 1, 1, &key));
    assert_false(encode(mill_slice_of("ab"), 1, 2, &key));
    assert_int_equal(key.n, 0);
    mill_buffer_clear(&key);
}

static void test_size_limit(void **state)
{
    (void)state;
    static char text[2 * MILL_KEY_BYTES_MAX];
    struct mill_buffer key = {0};

    memset(text, 'x', sizeof(text));
    /* two bytes of length, one of id */
    assert_true(encode((struct mill_slice){text, MILL_KEY_BYTES_MAX - 3}, 0, 0, &key));
    assert_int_equal(key.n, MILL_KEY_BYTES_MAX);
    mill_buffer_reset(&key);
    assert_false(encode((struct mill_slice){text, MILL_KEY_BYTES_MAX - 2}, 0, 0, &key));
    assert_false(encode((struct mill_slice){text, SIZE_MAX / 2}, 0, 0, &key));
    struct mill_slice parts[] = {{text, MILL_KEY_BYTES_MAX - 2}, {"0", 1}};
    struct mill_error err = {0};
    assert_int_equal(mill_key_parse(&entity, parts, 2, &key, &err), MILL_EUSAGE);
    assert_non_null(strstr(err.msg, "at most 1024"));
    assert_int_equal(key.n, 0);
    mill_buffer_clear(&key);
}

static void test_parse(void **state)
{
    (void)state;
    struct mill_buffer encoded = {0}, parsed = {0};
    struct mill_slice parts[] = {{"N14228", 6}, {"-1234567", 8}};
    struct mill_error err = {0};

    assert_true(encode(parts[0], -1234567, 0, &encoded));
    assert_int_equal(mill_key_parse(&entity, parts, 2, &parsed, &err), MILL_OK);
    assert_true(mill_slice_equal(mill_buffer_slice(&encoded), mill_buffer_slice(&parsed)));
    assert_int_equal(mill_key_parse(&entity, parts, 1, &parsed, &err), MILL_EUSAGE);
    assert_string_equal(err.msg, "entity 'thing' has 2 join keys ('name', 'id'), 1 given");
    static const char *const wrong[] = {"", "12x", "1.5", "99999999999999999999", " 1"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        parts[1] = mill_slice_of(wrong[i]);
        assert_int_equal(mill_key_parse(&entity, parts, 2, &parsed, &err), MILL_EUSAGE);
        assert_non_null(strstr(err.msg, "join key 'id', expected an integer"));
    }
    assert_int_equal(parsed.n, encoded.n);
    mill_buffer_clear(&encoded);
    mill_buffer_clear(&parsed);
}

static int write_json(struct mill_slice key, struct mill_buffer *out)
{
    struct mill_json_writer w;
    mill_buffer_reset(out);
    mill_json_writer_init(&w, out, false);
    return mill_key_write_json(&entity, key, &w);
}

static void test_json(void **state)
{
    (void)state;
    struct mill_buffer key = {0}, json = {0};

    assert_true(encode(mill_slice_of("a\"b"), -42, 0, &key));
    assert_int_equal(write_json(mill_buffer_slice(&key), &json), MILL_OK);
    assert_string_equal(mill_buffer_cstr(&json), "{\"name\":\"a\\\"b\",\"id\":-42}");
    for (size_t n = 0; n < key.n; n++) { /* cut short */
        assert_int_equal(write_json((struct mill_slice){key.p, n}, &json), MILL_EDATA);
        assert_int_equal(json.n, 0);
    }
    mill_buffer_add_byte(&key, 0); /* too long */
    assert_int_equal(write_json(mill_buffer_slice(&key), &json), MILL_EDATA);
    assert_int_equal(write_json((struct mill_slice){"\x02\xff\xff\x01", 4}, &json), MILL_EDATA); /* no UTF-8 */
    assert_int_equal(write_json((struct mill_slice){"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
                                                    "a",
                                                    11},
                                &json),
                     MILL_EDATA);
    mill_buffer_clear(&key);
    mill_buffer_clear(&json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_size_limit),
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Wire framings: which schema a record names and where its body is, and what is no frame. */
#include "tests/ingest/decode_fixture.h"

#include "ingest/framing_internal.h"

#define BYTES(text) (text), sizeof(text) - 1
#define GUID        "\x01\x23\x45\x67\x89\xab\xcd\xef\x00\x11\x22\x33\x44\x55\x66\x77"

static const struct {
    enum mill_framing framing;
    const char *value;
    size_t size;
    const char *header;
    size_t header_size;
    const char *expected; /* "id|body" or the fault */
} cases[] = {
    {MILL_FRAMING_BARE, BYTES("\x00\x01z"), NULL, 0, "none|'\\x00\\x01z'"},
    {MILL_FRAMING_BARE, BYTES(""), NULL, 0, "none|''"},
    {MILL_FRAMING_CONFLUENT, BYTES("\x00\x00\x00\x01\x02z"), NULL, 0, "258|'z'"},
    {MILL_FRAMING_CONFLUENT, BYTES("\x00\xff\xff\xff\xff"), NULL, 0, "4294967295|''"},
    {MILL_FRAMING_CONFLUENT, BYTES("\x01" GUID "z"), NULL, 0, "01234567-89ab-cdef-0011-223344556677|'z'"},
    {MILL_FRAMING_CONFLUENT, BYTES("\x00\x00\x00\x01"), NULL, 0,
     "framing: expected a Confluent prefix (00 and a 4-byte id, or 01 and a 16-byte GUID), found 4 bytes"},
    {MILL_FRAMING_CONFLUENT, BYTES("\x01\x00\x00\x00\x01\x02z"), NULL, 0,
     "framing: expected a Confluent prefix (00 and a 4-byte id, or 01 and a 16-byte GUID), found 7 bytes"},
    {MILL_FRAMING_CONFLUENT, BYTES(""), NULL, 0,
     "framing: expected a Confluent prefix (00 and a 4-byte id, or 01 and a 16-byte GUID), found 0 bytes"},
    {MILL_FRAMING_CONFLUENT, BYTES("\x02zzzzzzzzzzzzzzzzzz"), NULL, 0,
     "framing: expected a Confluent prefix, which starts with byte 00 or 01, found 02"},
    {MILL_FRAMING_CONFLUENT_HEADER, BYTES("\x00z"), BYTES("\x01" GUID),
     "01234567-89ab-cdef-0011-223344556677|'\\x00z'"},
    {MILL_FRAMING_CONFLUENT_HEADER, BYTES("z"), NULL, 0, "framing: record header '__value_schema_id' is missing"},
    {MILL_FRAMING_CONFLUENT_HEADER, BYTES("z"), BYTES("\x01\x02"),
     "framing: record header '__value_schema_id' must be 01 and a 16-byte GUID, found 2 bytes"},
    {MILL_FRAMING_CONFLUENT_HEADER, BYTES("z"), BYTES("\x00" GUID),
     "framing: record header '__value_schema_id' must be 01 and a 16-byte GUID, found 17 bytes with another first "
     "byte"},
    {MILL_FRAMING_SINGLE_OBJECT, BYTES("\xc3\x01\x8f\x5c\x39\x3f\x1a\xd5\x75\x72z"), NULL, 0,
     "fingerprint 7275d51a3f395c8f|'z'"},
    {MILL_FRAMING_SINGLE_OBJECT, BYTES("\xc3\x01\x8f\x5c\x39\x3f\x1a\xd5\x75"), NULL, 0,
     "framing: expected Avro single-object encoding (c3 01 and an 8-byte fingerprint), found 9 bytes that start with "
     "'\\xc3\\x01'"},
    {MILL_FRAMING_SINGLE_OBJECT, BYTES("\xc3\x02\x8f\x5c\x39\x3f\x1a\xd5\x75\x72z"), NULL, 0,
     "framing: expected Avro single-object encoding (c3 01 and an 8-byte fingerprint), found 11 bytes that start with "
     "'\\xc3\\x02'"},
    {MILL_FRAMING_SINGLE_OBJECT, BYTES(""), NULL, 0,
     "framing: expected Avro single-object encoding (c3 01 and an 8-byte fingerprint), found 0 bytes that start with "
     "''"},
};

static void test_frames(void **state)
{
    char found[400], id_text[MILL__SCHEMA_ID_SIZE], quoted[MILL__QUOTE_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *exact = malloc(cases[i].size + 1);
        memcpy(exact, cases[i].value, cases[i].size);
        struct mill_record record = {.value = {exact, cases[i].size},
                                     .schema_id = {cases[i].header, cases[i].header_size}};
        struct mill__schema_id id;
        struct mill__fault fault;
        struct mill_slice body;
        if (mill__frame_parse(cases[i].framing, &record, &id, &body, &fault)) {
            snprintf(found, sizeof(found), "%s|%s", mill__schema_id_print(id, id_text), mill__quote(body, quoted));
        } else {
            snprintf(found, sizeof(found), "%s: %s", mill_reject_reason_name(fault.reason), fault.text);
        }
        assert_string_equal(found, cases[i].expected);
        free(exact);
    }
}

/* What is written is read back. */
static void test_single_object(void **state)
{
    struct mill_buffer out = {0};
    struct mill__schema_id id;
    struct mill__fault fault;
    struct mill_slice body;

    (void)state;
    mill__frame_single_object(UINT64_C(0x8000000000000001), &out);
    mill_buffer_add_string(&out, "body");
    struct mill_record record = {.value = mill_buffer_slice(&out)};
    assert_true(mill__frame_parse(MILL_FRAMING_SINGLE_OBJECT, &record, &id, &body, &fault));
    assert_int_equal(id.kind, MILL__SCHEMA_FINGERPRINT);
    assert_true(id.lo == UINT64_C(0x8000000000000001));
    assert_true(mill_slice_is(body, "body"));
    mill_buffer_clear(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_single_object),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Wire framings; see framing_internal.h. The framing is configured, never guessed from the bytes. */
#include "ingest/framing_internal.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>

enum { MAGIC_NUMBER = 0, MAGIC_GUID = 1, NUMBER_SIZE = 5, GUID_SIZE = 17, SINGLE_OBJECT_SIZE = 10 };

static uint64_t big_endian_64(const char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return be64toh(v);
}

static struct mill__schema_id read_guid(const char *p)
{
    struct mill__schema_id id = {MILL__SCHEMA_GUID, big_endian_64(p), big_endian_64(p + 8)};
    return id;
}

static struct mill_slice behind(struct mill_slice s, size_t n)
{
    struct mill_slice rest = {s.p + n, s.n - n};
    return rest;
}

static bool parse_confluent(struct mill_slice value, struct mill__schema_id *ret_id, struct mill_slice *ret_body,
                            struct mill__fault *fault)
{
    unsigned char magic = value.n == 0 ? 0xff : (unsigned char)value.p[0];

    if (magic == MAGIC_NUMBER && value.n >= NUMBER_SIZE) {
        uint32_t number;
        memcpy(&number, value.p + 1, sizeof(number));
        *ret_id = (struct mill__schema_id){MILL__SCHEMA_NUMBER, 0, be32toh(number)};
        *ret_body = behind(value, NUMBER_SIZE);
        return true;
    }
    if (magic == MAGIC_GUID && value.n >= GUID_SIZE) {
        *ret_id = read_guid(value.p + 1);
        *ret_body = behind(value, GUID_SIZE);
        return true;
    }
    if (value.n == 0 || magic == MAGIC_NUMBER || magic == MAGIC_GUID) {
        return mill__fault(
            fault, MILL_REJECT_FRAMING,
            "expected a Confluent prefix (00 and a 4-byte id, or 01 and a 16-byte GUID), found %zu bytes", value.n);
    }
    return mill__fault(fault, MILL_REJECT_FRAMING,
                       "expected a Confluent prefix, which starts with byte 00 or 01, found %02x", magic);
}

static bool parse_header(const struct mill_record *record, struct mill__schema_id *ret_id, struct mill_slice *ret_body,
                         struct mill__fault *fault)
{
    struct mill_slice header = record->schema_id;

    if (header.p == NULL) {
        return mill__fault(fault, MILL_REJECT_FRAMING, "record header '__value_schema_id' is missing");
    }
    if (header.n != GUID_SIZE || header.p[0] != MAGIC_GUID) {
        return mill__fault(fault, MILL_REJECT_FRAMING,
                           "record header '__value_schema_id' must be 01 and a 16-byte GUID, found %zu bytes%s",
                           header.n, header.n == GUID_SIZE ? " with another first byte" : "");
    }
    *ret_id = read_guid(header.p + 1);
    *ret_body = record->value;
    return true;
}

static bool parse_single_object(struct mill_slice value, struct mill__schema_id *ret_id, struct mill_slice *ret_body,
                                struct mill__fault *fault)
{
    uint64_t fingerprint;

    if (value.n < SINGLE_OBJECT_SIZE || (unsigned char)value.p[0] != 0xc3 || value.p[1] != 0x01) {
        char quoted[MILL__QUOTE_SIZE];
        struct mill_slice start = {value.p, value.n < 2 ? value.n : 2};
        return mill__fault(
            fault, MILL_REJECT_FRAMING,
            "expected Avro single-object encoding (c3 01 and an 8-byte fingerprint), found %zu bytes that "
            "start with %s",
            value.n, mill__quote(start, quoted));
    }
    memcpy(&fingerprint, value.p + 2, sizeof(fingerprint));
    *ret_id = (struct mill__schema_id){MILL__SCHEMA_FINGERPRINT, 0, le64toh(fingerprint)};
    *ret_body = behind(value, SINGLE_OBJECT_SIZE);
    return true;
}

bool mill__frame_parse(enum mill_framing framing, const struct mill_record *record, struct mill__schema_id *ret_id,
                       struct mill_slice *ret_body, struct mill__fault *fault)
{
    mill_assert(record->value.p != NULL);
    switch (framing) {
    case MILL_FRAMING_BARE:
        *ret_id = (struct mill__schema_id){MILL__SCHEMA_NONE, 0, 0};
        *ret_body = record->value;
        return true;
    case MILL_FRAMING_CONFLUENT:
        return parse_confluent(record->value, ret_id, ret_body, fault);
    case MILL_FRAMING_CONFLUENT_HEADER:
        return parse_header(record, ret_id, ret_body, fault);
    case MILL_FRAMING_SINGLE_OBJECT:
        return parse_single_object(record->value, ret_id, ret_body, fault);
    }
    mill_assert(false); /* not a framing */
    return false;
}

const char *mill__schema_id_print(struct mill__schema_id id, char *out)
{
    uint64_t hi = id.hi, lo = id.lo;

    switch (id.kind) {
    case MILL__SCHEMA_NONE:
        snprintf(out, MILL__SCHEMA_ID_SIZE, "none");
        break;
    case MILL__SCHEMA_NUMBER:
        snprintf(out, MILL__SCHEMA_ID_SIZE, "%" PRIu64, lo);
        break;
    case MILL__SCHEMA_GUID: /* as a UUID is written */
        snprintf(out, MILL__SCHEMA_ID_SIZE, "%08" PRIx64 "-%04" PRIx64 "-%04" PRIx64 "-%04" PRIx64 "-%012" PRIx64,
                 hi >> 32, (hi >> 16) & 0xffff, hi & 0xffff, lo >> 48, lo & UINT64_C(0xffffffffffff));
        break;
    case MILL__SCHEMA_FINGERPRINT:
        snprintf(out, MILL__SCHEMA_ID_SIZE, "fingerprint %016" PRIx64, lo);
        break;
    }
    return out;
}

void mill__frame_single_object(uint64_t fingerprint, struct mill_buffer *out)
{
    mill_buffer_add(out, "\xc3\x01", 2);
    mill_buffer_add_u64(out, htole64(fingerprint));
}

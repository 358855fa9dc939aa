/* SPDX-License-Identifier: Apache-2.0 */
/* Wire framings: which schema a record names, and where its body is. Called by decoder.c and, for writing, by replay.
 */
#ifndef MILL_INGEST_FRAMING_INTERNAL_H
#define MILL_INGEST_FRAMING_INTERNAL_H

#include "base/buffer.h"
#include "ingest/decode_internal.h"

enum mill__schema_id_kind {
    MILL__SCHEMA_NONE,        /* the source's own */
    MILL__SCHEMA_NUMBER,      /* of a registry, in lo */
    MILL__SCHEMA_GUID,        /* of a registry; hi has the first 8 bytes, big-endian */
    MILL__SCHEMA_FINGERPRINT, /* CRC-64-AVRO, in lo */
};

struct mill__schema_id {
    enum mill__schema_id_kind kind;
    uint64_t hi, lo;
};

static inline bool mill__schema_id_equal(struct mill__schema_id a, struct mill__schema_id b)
{
    return a.kind == b.kind && a.hi == b.hi && a.lo == b.lo;
}

/* "12", "5f3c...-...", "fingerprint 63dd24e7cc258f8a"; returns out. */
enum { MILL__SCHEMA_ID_SIZE = 48 };
const char *mill__schema_id_print(struct mill__schema_id id, char *out);

/* The record's value must be there. False: *fault says what is wrong with the frame. Any thread. */
bool mill__frame_parse(enum mill_framing framing, const struct mill_record *record, struct mill__schema_id *ret_id,
                       struct mill_slice *ret_body, struct mill__fault *fault);

/* Appends C3 01 and the fingerprint. */
void mill__frame_single_object(uint64_t fingerprint, struct mill_buffer *out);

#endif

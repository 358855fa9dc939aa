/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decoder of a source: records into a batch. The engine's shards call it once per poll.
 *
 * Two passes where records name their schemas: the first makes sure that every schema is known (which may ask the
 * registry and may fail as a whole, with nothing decoded), the second decodes and cannot fail but row by row.
 */
#include <stdlib.h>

#include "ingest/json_decode_internal.h"
#include "ingest/writers_internal.h"

struct mill_decoder {
    const struct mill_source_spec *spec;
    struct mill__json_plan *json;  /* format json */
    struct mill__writers *writers; /* format avro */
    const struct mill__writer *last;
    struct mill__fault fault;
};

static int check_spec(const struct mill_source_spec *spec, struct mill_error *err)
{
    if (spec->format == MILL_FORMAT_JSON && spec->framing == MILL_FRAMING_SINGLE_OBJECT) {
        return mill_fail(err, MILL_ECONFIG, "source '%s': single-object framing is for avro, not for json", spec->name);
    }
    if (spec->timestamp_column >= spec->schema.field_count ||
        spec->schema.fields[spec->timestamp_column].type != MILL_TIMESTAMP) {
        return mill_fail(err, MILL_ECONFIG, "source '%s': the timestamp field must be a timestamp column", spec->name);
    }
    return 0;
}

int mill_decoder_open(const struct mill_source_spec *spec, struct mill_decoder **ret_decoder, struct mill_error *err)
{
    MILL_TRY(check_spec(spec, err));
    struct mill_decoder *decoder = mill_calloc(1, sizeof(*decoder));
    decoder->spec = spec;
    if (spec->format == MILL_FORMAT_JSON) {
        decoder->json = mill__json_plan_new(spec);
    } else {
        int rc = mill__writers_open(spec, &decoder->writers, err);
        if (rc < 0) {
            mill_error_prefix(err, "source '%s'", spec->name);
            mill_decoder_close(decoder);
            return rc;
        }
    }
    *ret_decoder = decoder;
    return 0;
}

void mill_decoder_close(struct mill_decoder *decoder)
{
    if (decoder != NULL) {
        mill__json_plan_free(decoder->json);
        mill__writers_close(decoder->writers);
        free(decoder);
    }
}

static bool is_too_large(const struct mill_source_spec *spec, const struct mill_record *record)
{
    return spec->record_bytes_max > 0 && record->value.n > spec->record_bytes_max;
}

/* ---- first pass: schemas ---- */

static int find_writer(struct mill_decoder *decoder, struct mill__schema_id id, struct mill_error *err)
{
    if (decoder->last != NULL && mill__schema_id_equal(decoder->last->id, id)) {
        return 0;
    }
    return mill__writers_find(decoder->writers, id, &decoder->last, err);
}

static int find_writers(struct mill_decoder *decoder, const struct mill_record *records, uint32_t count,
                        struct mill_error *err)
{
    const struct mill_source_spec *spec = decoder->spec;
    struct mill__schema_id id;
    struct mill_slice body;

    mill__writers_begin_batch(decoder->writers);
    decoder->last = NULL;
    for (uint32_t i = 0; i < count; i++) {
        if (records[i].value.p == NULL || is_too_large(spec, &records[i]) ||
            !mill__frame_parse(spec->framing, &records[i], &id, &body, &decoder->fault)) {
            continue;
        }
        MILL_TRY(find_writer(decoder, id, err));
    }
    return 0;
}

/* ---- second pass: rows ---- */

static bool decode_avro(struct mill_decoder *decoder, struct mill__schema_id id, struct mill_slice body,
                        struct mill_batch *batch, uint32_t row)
{
    const struct mill__avro_plan *plan = mill__writers_own_plan(decoder->writers);

    if (id.kind != MILL__SCHEMA_NONE) {
        int rc = find_writer(decoder, id, NULL);
        mill_assert(rc == 0); /* the first pass found it */
        if (decoder->last->plan == NULL) {
            return mill__fault(&decoder->fault, decoder->last->reason, "%s", decoder->last->detail);
        }
        plan = decoder->last->plan;
    }
    return mill__avro_plan_run(plan, body, batch, row, NULL, &decoder->fault);
}

static bool decode_row(struct mill_decoder *decoder, const struct mill_record *record, struct mill_batch *batch,
                       uint32_t row)
{
    const struct mill_source_spec *spec = decoder->spec;
    struct mill__schema_id id;
    struct mill_slice body;

    if (is_too_large(spec, record)) {
        return mill__fault(&decoder->fault, MILL_REJECT_TOO_LARGE, "record of %zu bytes, the limit is %u",
                           record->value.n, spec->record_bytes_max);
    }
    if (!mill__frame_parse(spec->framing, record, &id, &body, &decoder->fault)) {
        return false;
    }
    if (decoder->json != NULL) { /* whose schema id says nothing that we need */
        return mill__json_plan_run(decoder->json, body, batch, row, &decoder->fault);
    }
    return decode_avro(decoder, id, body, batch, row);
}

int mill_decoder_decode(struct mill_decoder *decoder, const struct mill_record *records, uint32_t count,
                        struct mill_batch *batch, struct mill_rejects *rejects, struct mill_error *err)
{
    const struct mill_source_spec *spec = decoder->spec;

    mill_assert(count <= batch->row_capacity);
    mill_assert(batch->schema->field_count >= spec->schema.field_count);
    if (decoder->writers != NULL && spec->framing != MILL_FRAMING_BARE) {
        MILL_TRY(find_writers(decoder, records, count, err));
    }
    batch->row_count = count;
    for (uint32_t row = 0; row < count; row++) {
        batch->offset[row] = records[row].offset;
        if (records[row].value.p == NULL) {
            continue;
        }
        if (decode_row(decoder, &records[row], batch, row)) {
            mill_bit_set(batch->live, row);
        } else {
            mill__row_erase(batch, spec->schema.field_count, row);
            mill_reject_row(rejects, batch, row, decoder->fault.reason, "%s", decoder->fault.text);
        }
    }
    mill__take_event_times(spec, batch, rejects);
    return 0;
}

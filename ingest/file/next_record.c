/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of a file as records; see next_record_internal.h.
 *
 * Where the file holds records of the wire format already (JSON lines for a json source, a container with the source's
 * own schema for avro), their bytes are passed on as they are, wrong ones too: a replay shows what a live topic would.
 * Rows of other files are written anew.
 */
#include "ingest/file/next_record_internal.h"

#include <stdlib.h>

#include "base/json.h"
#include "base/number.h"
#include "base/timestamp.h"
#include "ingest/avro/encode_internal.h"
#include "ingest/avro/plan_internal.h"
#include "ingest/framing_internal.h"

enum { BATCH_ROWS = 1024 };

struct mill__replay {
    const struct mill_source_spec *spec;
    struct mill_arena arena;
    struct mill_batch batch;
    struct mill_rejects rejects;
    uint32_t row; /* the next one of the batch */
    bool verbatim;
    bool has_failed;                  /* the file itself is broken: nothing more comes */
    struct mill__avro_schema *schema; /* format avro */
    uint64_t fingerprint;
    struct mill_buffer value, key;
    int64_t event_time_us; /* of the last good row */
};

static int check_framing(const struct mill_source_spec *spec, struct mill_error *err)
{
    if (spec->framing == MILL_FRAMING_BARE ||
        (spec->framing == MILL_FRAMING_SINGLE_OBJECT && spec->format == MILL_FORMAT_AVRO)) {
        return 0;
    }
    return mill_fail(
        err, MILL_ECONFIG,
        "source '%s': its framing needs schema ids of a registry, which replay cannot make; hint: replay into a "
        "source with bare or single-object framing",
        spec->name);
}

int mill__replay_new(const struct mill_source_spec *spec, const struct mill_file_source *file,
                     struct mill__replay **ret_replay, struct mill_error *err)
{
    uint64_t fingerprint = 0;

    MILL_TRY(check_framing(spec, err));
    struct mill__replay *replay = mill_calloc(1, sizeof(*replay));
    replay->spec = spec;
    replay->event_time_us = -1;
    mill_arena_init(&replay->arena, 0);
    enum mill__file_wire wire = mill__file_wire(file, &fingerprint);
    if (spec->format == MILL_FORMAT_AVRO) {
        int rc = mill__avro_schema_parse(&spec->avro_schema, 1, &replay->schema, err);
        if (rc == 0) {
            rc = mill__avro_check_reader(spec, replay->schema, err);
        }
        if (rc < 0) {
            mill__replay_free(replay);
            return rc;
        }
        replay->fingerprint = mill__avro_schema_fingerprint(replay->schema);
        replay->verbatim = wire == MILL__WIRE_AVRO && fingerprint == replay->fingerprint;
    } else {
        replay->verbatim = wire == MILL__WIRE_JSON;
    }
    *ret_replay = replay;
    return 0;
}

void mill__replay_free(struct mill__replay *replay)
{
    if (replay != NULL) {
        mill__avro_schema_free(replay->schema);
        mill_buffer_clear(&replay->value);
        mill_buffer_clear(&replay->key);
        mill_arena_clear(&replay->arena);
        free(replay);
    }
}

/* ---- JSON ---- */

/* In the unit of the source where that is exact, else as text, which is always understood. */
static void write_time(struct mill_json_writer *w, enum mill_time_unit unit, int64_t us)
{
    char text[32];

    if (unit != MILL_TIME_TEXT && us % mill__time_scale(unit) == 0) {
        mill_json_write_int64(w, us / mill__time_scale(unit));
        return;
    }
    mill_json_write_string(w, (struct mill_slice){text, mill_timestamp_print(us, text)});
}

static void write_value(struct mill_json_writer *w, const struct mill_source_spec *spec, uint32_t c,
                        const struct mill_column *column, uint32_t row)
{
    if (!mill_bit_get(column->valid, row)) {
        mill_json_write_null(w);
        return;
    }
    switch (column->type) {
    case MILL_BOOL:
        mill_json_write_bool(w, column->at.b[row]);
        break;
    case MILL_INT64:
        mill_json_write_int64(w, column->at.i[row]);
        break;
    case MILL_FLOAT64:
        mill_json_write_double(w, column->at.f[row]);
        break;
    case MILL_STRING:
        mill_json_write_string(w, column->at.s[row]);
        break;
    case MILL_TIMESTAMP:
        write_time(w, spec->time_unit[c], column->at.i[row]);
        break;
    }
}

static void encode_json(struct mill__replay *replay, uint32_t row)
{
    const struct mill_schema *schema = &replay->spec->schema;
    struct mill_json_writer w;

    mill_json_writer_init(&w, &replay->value, false);
    mill_json_write_object_begin(&w);
    for (uint32_t c = 0; c < schema->field_count; c++) {
        mill_json_write_key(&w, schema->fields[c].name);
        write_value(&w, replay->spec, c, &replay->batch.columns[c], row);
    }
    mill_json_write_object_end(&w);
}

/* ---- records ---- */

/* A key is text, as producers commonly write it. */
static void encode_key(struct mill__replay *replay, uint32_t c, uint32_t row)
{
    const struct mill_column *column = &replay->batch.columns[c];
    char *to = mill_buffer_reserve(&replay->key, MILL_NUMBER_TEXT_MAX);

    switch (column->type) {
    case MILL_BOOL:
        mill_buffer_add_string(&replay->key, column->at.b[row] ? "true" : "false");
        break;
    case MILL_INT64:
        replay->key.n += mill_number_print_int64(column->at.i[row], to);
        break;
    case MILL_FLOAT64:
        mill_json_append_double(&replay->key, column->at.f[row]);
        break;
    case MILL_STRING:
        mill_buffer_add_slice(&replay->key, column->at.s[row]);
        break;
    case MILL_TIMESTAMP:
        replay->key.n += mill_timestamp_print(column->at.i[row], to);
        break;
    }
}

static int encode_value(struct mill__replay *replay, const struct mill_file_source *file, uint32_t row,
                        struct mill_error *err)
{
    bool is_avro = replay->spec->format == MILL_FORMAT_AVRO;

    if (replay->spec->framing == MILL_FRAMING_SINGLE_OBJECT) {
        mill__frame_single_object(replay->fingerprint, &replay->value);
    }
    if (replay->verbatim) {
        mill_buffer_add_slice(&replay->value, mill_file_source_raw(file, row));
        return 0;
    }
    if (is_avro) {
        return mill__avro_encode_record(replay->spec, replay->schema, &replay->batch, row, &replay->value, err);
    }
    encode_json(replay, row);
    return 0;
}

static int next_batch(struct mill__replay *replay, struct mill_file_source *file, struct mill_error *err)
{
    mill_arena_reset(&replay->arena);
    mill_batch_init(&replay->batch, &replay->spec->schema, BATCH_ROWS, &replay->arena);
    mill_rejects_init(&replay->rejects, &replay->arena);
    replay->row = 0;
    int rc = replay->has_failed ? MILL_EEND : mill_file_source_next(file, &replay->batch, &replay->rejects, err);
    replay->has_failed = rc < 0;
    return rc == MILL_EDATA ? mill_fail(err, MILL_EIO, "%s", err == NULL ? "" : err->msg) : rc; /* EDATA is for a row */
}

static int fail_row(const struct mill__replay *replay, uint32_t row, struct mill_error *err)
{
    const char *why = "it was rejected";

    for (uint32_t i = 0; i < replay->rejects.count; i++) {
        why = replay->rejects.at[i].row == row ? replay->rejects.at[i].detail : why;
    }
    return mill_fail(err, MILL_EDATA, "row %lld: %s", (long long)replay->batch.offset[row], why);
}

int mill__replay_next(struct mill__replay *replay, struct mill_file_source *file, uint32_t key_column,
                      struct mill_record *ret_record, int64_t *ret_event_time_us, struct mill_error *err)
{
    if (replay->row == replay->batch.row_count) {
        MILL_TRY(next_batch(replay, file, err));
    }
    uint32_t row = replay->row++;
    bool is_good = mill_bit_get(replay->batch.live, row);
    if (!is_good && !replay->verbatim) {
        return fail_row(replay, row, err);
    }
    mill_buffer_reset(&replay->value);
    mill_buffer_reset(&replay->key);
    (void)mill_buffer_reserve(&replay->value, 1); /* an empty value is not a tombstone */
    int rc = encode_value(replay, file, row, err);
    if (rc < 0) {
        mill_error_prefix(err, "row %lld", (long long)replay->batch.offset[row]);
        return rc;
    }
    *ret_record = (struct mill_record){.offset = replay->batch.offset[row], .broker_time_us = -1};
    if (is_good && key_column < replay->spec->schema.field_count &&
        mill_bit_get(replay->batch.columns[key_column].valid, row)) {
        encode_key(replay, key_column, row);
        ret_record->key = mill_buffer_slice(&replay->key);
    }
    ret_record->value = mill_buffer_slice(&replay->value);
    replay->event_time_us = is_good ? replay->batch.event_time_us[row] : replay->event_time_us;
    *ret_event_time_us = replay->event_time_us;
    return 0;
}

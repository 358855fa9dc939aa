/* SPDX-License-Identifier: Apache-2.0 */
/* A record's values as JSON or as Avro; see record_internal.h. */
#include <math.h>

#include "base/avro.h"
#include "base/timestamp.h"
#include "drift/record_internal.h"

void mill__record_begin_json(struct mill__record_writer *w, struct mill_buffer *out)
{
    *w = (struct mill__record_writer){.out = out};
    mill_json_writer_init(&w->json, out, false);
    mill_json_write_object_begin(&w->json);
}

void mill__record_begin_avro(struct mill__record_writer *w, struct mill_buffer *out, uint64_t fingerprint)
{
    *w = (struct mill__record_writer){.out = out, .is_avro = true};
    mill_avro_add_head(out, fingerprint);
}

/* The name in JSON; in Avro a field has none. */
static void begin_field(struct mill__record_writer *w, const char *name)
{
    if (!w->is_avro) {
        mill_json_write_key(&w->json, name);
    }
}

/* A field that is a union of null and something; returns whether the something follows. */
static bool begin_optional(struct mill__record_writer *w, const char *name, bool has)
{
    begin_field(w, name);
    if (w->is_avro) {
        mill_buffer_add_zigzag(w->out, has);
    } else if (!has) {
        mill_json_write_null(&w->json);
    }
    return has;
}

static void write_slice(struct mill__record_writer *w, struct mill_slice value)
{
    if (w->is_avro) {
        mill_avro_add_slice(w->out, value);
    } else {
        mill_json_write_string(&w->json, value);
    }
}

static void write_double(struct mill__record_writer *w, double value)
{
    if (w->is_avro) {
        mill_avro_add_double(w->out, value);
    } else {
        mill_json_write_double(&w->json, value);
    }
}

/* ------------------------------------------------------------------ fields */

void mill__record_slice(struct mill__record_writer *w, const char *name, struct mill_slice value)
{
    begin_field(w, name);
    write_slice(w, value);
}

void mill__record_text(struct mill__record_writer *w, const char *name, const char *value)
{
    mill__record_slice(w, name, mill_slice_of(value));
}

void mill__record_optional_slice(struct mill__record_writer *w, const char *name, struct mill_slice value)
{
    if (begin_optional(w, name, value.p != NULL)) {
        write_slice(w, value);
    }
}

void mill__record_optional_text(struct mill__record_writer *w, const char *name, const char *value)
{
    mill__record_optional_slice(w, name, value == NULL ? (struct mill_slice){0} : mill_slice_of(value));
}

void mill__record_enum(struct mill__record_writer *w, const char *name, int index, const char *symbol)
{
    if (w->is_avro) {
        mill_buffer_add_zigzag(w->out, index);
    } else {
        mill__record_text(w, name, symbol);
    }
}

void mill__record_bool(struct mill__record_writer *w, const char *name, bool value)
{
    begin_field(w, name);
    if (w->is_avro) {
        mill_buffer_add_byte(w->out, value);
    } else {
        mill_json_write_bool(&w->json, value);
    }
}

void mill__record_int(struct mill__record_writer *w, const char *name, int64_t value)
{
    begin_field(w, name);
    if (w->is_avro) {
        mill_buffer_add_zigzag(w->out, value);
    } else {
        mill_json_write_int64(&w->json, value);
    }
}

void mill__record_count(struct mill__record_writer *w, const char *name, uint64_t value)
{
    mill__record_int(w, name, value > INT64_MAX ? INT64_MAX : (int64_t)value);
}

void mill__record_number(struct mill__record_writer *w, const char *name, double value)
{
    if (begin_optional(w, name, isfinite(value))) {
        write_double(w, value);
    }
}

void mill__record_time(struct mill__record_writer *w, const char *name, int64_t us)
{
    char text[32];

    if (w->is_avro) {
        mill_buffer_add_zigzag(w->out, us);
    } else {
        mill__record_slice(w, name, (struct mill_slice){text, mill_timestamp_print(us, text)});
    }
}

void mill__record_now(struct mill__record_writer *w, int64_t now_us)
{
    bool has = now_us != INT64_MIN;

    if (w->is_avro) {
        mill_buffer_add_zigzag(w->out, has);
    }
    if (has) {
        mill__record_time(w, "created_at", now_us);
    }
}

void mill__record_map(struct mill__record_writer *w, const char *name, const char *key, double value)
{
    mill__record_object(w, name);
    if (key != NULL) {
        if (w->is_avro) {
            mill_buffer_add_zigzag(w->out, 1);
            mill_avro_add_cstr(w->out, key);
        }
        begin_field(w, key);
        write_double(w, value);
    }
    if (w->is_avro) {
        mill_buffer_add_zigzag(w->out, 0); /* no further block */
    }
    mill__record_end(w);
}

/* ------------------------------------------------------------------ records and arrays */

void mill__record_object(struct mill__record_writer *w, const char *name)
{
    begin_field(w, name);
    mill__record_item(w);
}

bool mill__record_optional_object(struct mill__record_writer *w, const char *name, bool has)
{
    if (begin_optional(w, name, has)) {
        mill__record_item(w);
    }
    return has;
}

void mill__record_item(struct mill__record_writer *w)
{
    if (!w->is_avro) {
        mill_json_write_object_begin(&w->json);
    }
}

void mill__record_end(struct mill__record_writer *w)
{
    if (!w->is_avro) {
        mill_json_write_object_end(&w->json);
    }
}

void mill__record_array(struct mill__record_writer *w, const char *name, uint32_t count)
{
    begin_field(w, name);
    if (!w->is_avro) {
        mill_json_write_array_begin(&w->json);
    } else if (count > 0) {
        mill_buffer_add_zigzag(w->out, count);
    }
}

void mill__record_item_text(struct mill__record_writer *w, const char *value)
{
    write_slice(w, mill_slice_of(value));
}

void mill__record_array_end(struct mill__record_writer *w)
{
    if (w->is_avro) {
        mill_buffer_add_zigzag(w->out, 0); /* no further block */
    } else {
        mill_json_write_array_end(&w->json);
    }
}

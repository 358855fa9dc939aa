/* SPDX-License-Identifier: Apache-2.0 */
/* Rows, scores and dead letters as JSON; see encode_internal.h. */
#include "engine/encode_internal.h"

#include <math.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/number.h"
#include "engine/encode_avro_internal.h"

/* The constant texts around the values of one kind of record. */
struct texts {
    struct mill_slice head;     /* {"view":"v","key":{ */
    struct mill_slice *keys;    /* "tailnum": with a comma before all but the first */
    struct mill_slice source;   /* ,"source":"departures" */
    struct mill_slice event_id; /* ,"event_id":"departures/ */
    struct mill_slice *names;   /* "hour": likewise */
};

struct mill__encoder {
    const struct mill__plan *plan;
    bool for_topics, is_avro;
    struct texts *views, *models;
    struct mill_arena arena;
};

static struct mill_slice keep(struct mill__encoder *e, struct mill_buffer *scratch)
{
    struct mill_slice copy = mill_arena_slice(&e->arena, mill_buffer_slice(scratch));
    mill_buffer_reset(scratch);
    return copy;
}

static void add_name(struct mill_buffer *b, uint32_t index, const char *name)
{
    if (index > 0) {
        mill_buffer_add_byte(b, ',');
    }
    mill_json_append_string(b, mill_slice_of(name));
    mill_buffer_add_byte(b, ':');
}

static struct mill_slice source_text(struct mill__encoder *e, uint32_t source, struct mill_buffer *b)
{
    mill_buffer_add_string(b, ",\"source\":");
    mill_json_append_string(b, mill_slice_of(e->plan->project->sources[source].spec.name));
    return keep(e, b);
}

static void lay_out_view(struct mill__encoder *e, uint32_t v, struct mill_buffer *b)
{
    const struct mill_view_config *config = &e->plan->project->views[v];
    const struct mill_entity *entity = &config->spec.entity;
    const struct mill_view *view = e->plan->views[v];
    struct texts *t = &e->views[v];

    mill_buffer_add_string(b, "{\"view\":");
    mill_json_append_string(b, mill_slice_of(config->spec.name));
    mill_buffer_add_string(b, ",\"key\":{");
    t->head = keep(e, b);
    t->keys = mill_arena_array(&e->arena, struct mill_slice, entity->key_count);
    for (uint32_t k = 0; k < entity->key_count; k++) {
        add_name(b, k, entity->keys[k].name);
        t->keys[k] = keep(e, b);
    }
    t->source = source_text(e, config->source, b);
    t->names = mill_arena_array(&e->arena, struct mill_slice, mill_view_output_count(view));
    for (uint32_t c = 0; c < mill_view_output_count(view); c++) {
        add_name(b, c, mill_view_schema(view)->fields[c].name);
        t->names[c] = keep(e, b);
    }
}

static void lay_out_model(struct mill__encoder *e, uint32_t m, struct mill_buffer *b)
{
    const struct mill__plan_model *model = &e->plan->models[m];
    struct texts *t = &e->models[m];

    mill_buffer_add_string(b, "{\"model\":");
    mill_json_append_string(b, mill_slice_of(model->config->name));
    mill_buffer_add_string(b, ",\"version\":");
    mill_json_append_string(b, mill_slice_of(model->config->version));
    mill_buffer_add_string(b, ",\"key\":{");
    t->head = keep(e, b);
    t->keys = mill_arena_array(&e->arena, struct mill_slice, model->key_part_count);
    for (uint32_t k = 0; k < model->key_part_count; k++) {
        add_name(b, k, model->key_parts[k]->name);
        t->keys[k] = keep(e, b);
    }
    t->source = source_text(e, model->config->source, b);
    mill_buffer_printf(b, ",\"event_id\":\"%s/", e->plan->project->sources[model->config->source].spec.name);
    t->event_id = keep(e, b);
}

struct mill__encoder *mill__encoder_new(const struct mill__plan *plan, bool for_topics)
{
    struct mill__encoder *e = mill_calloc(1, sizeof(*e));
    struct mill_buffer scratch = {0};

    e->plan = plan;
    e->for_topics = for_topics;
    e->is_avro = for_topics && plan->project->output.format == MILL_FORMAT_AVRO;
    mill_arena_init(&e->arena, 0);
    e->views = mill_arena_zarray(&e->arena, struct texts, plan->project->view_count);
    e->models = mill_arena_zarray(&e->arena, struct texts, plan->model_count);
    for (uint32_t v = 0; v < plan->project->view_count; v++) {
        lay_out_view(e, v, &scratch);
    }
    for (uint32_t m = 0; m < plan->model_count && plan->models[m].model != NULL; m++) {
        lay_out_model(e, m, &scratch);
    }
    mill_buffer_clear(&scratch);
    return e;
}

void mill__encoder_free(struct mill__encoder *encoder)
{
    if (encoder != NULL) {
        mill_arena_clear(&encoder->arena);
        free(encoder);
    }
}

static void add_int64(struct mill_buffer *out, int64_t v)
{
    out->n += mill_number_print_int64(v, mill_buffer_reserve(out, MILL_NUMBER_TEXT_MAX));
}

static void add_timestamp(struct mill_buffer *out, int64_t us)
{
    mill_buffer_add_byte(out, '"');
    out->n += mill_timestamp_print(us, mill_buffer_reserve(out, 32));
    mill_buffer_add_byte(out, '"');
}

void mill__encode_value(const struct mill_column *column, uint32_t row, struct mill_buffer *out)
{
    if (!mill_bit_get(column->valid, row)) {
        mill_buffer_add(out, "null", 4);
        return;
    }
    switch (column->type) {
    case MILL_BOOL:
        mill_buffer_add_string(out, column->at.b[row] ? "true" : "false");
        break;
    case MILL_INT64:
        add_int64(out, column->at.i[row]);
        break;
    case MILL_FLOAT64:
        mill_json_append_double(out, column->at.f[row]);
        break;
    case MILL_STRING:
        mill_json_append_string(out, column->at.s[row]);
        break;
    case MILL_TIMESTAMP:
        add_timestamp(out, column->at.i[row]);
        break;
    }
}

static int32_t row_partition(const struct mill_batch *batch, uint32_t row)
{
    return batch->row_partition != NULL ? batch->row_partition[row] : batch->partition;
}

static void add_key(const struct mill_slice *names, const uint32_t *columns, uint32_t count,
                    const struct mill_batch *batch, uint32_t row, struct mill_buffer *out)
{
    for (uint32_t k = 0; k < count; k++) {
        mill_buffer_add_slice(out, names[k]);
        mill__encode_value(&batch->columns[columns[k]], row, out);
    }
}

/* },"event_time":"...","source":"...","partition":0,"offset":1 */
static void add_origin(const struct mill__encoder *e, const struct texts *t, const struct mill_batch *batch,
                       uint32_t row, struct mill_buffer *out)
{
    mill_buffer_add_string(out, "},\"event_time\":");
    add_timestamp(out, batch->event_time_us[row]);
    mill_buffer_add_slice(out, t->source);
    if (e->for_topics) {
        mill_buffer_add_string(out, ",\"partition\":");
        add_int64(out, row_partition(batch, row));
    }
    mill_buffer_add_string(out, ",\"offset\":");
    add_int64(out, batch->offset[row]);
}

void mill__encode_row(const struct mill__encoder *encoder, const struct mill__plan_use *use, uint32_t source,
                      const struct mill_batch *batch, uint32_t row, struct mill_buffer *out)
{
    const struct texts *t = &encoder->views[use->view];
    uint32_t output_count = mill_view_output_count(use->use.view);

    mill_assert(source == encoder->plan->project->views[use->view].source);
    if (encoder->is_avro) {
        mill__avro_encode_row(encoder->plan, use, batch, row, out);
        return;
    }
    mill_buffer_add_slice(out, t->head);
    add_key(t->keys, use->use.key_columns, encoder->plan->project->views[use->view].spec.entity.key_count, batch, row,
            out);
    add_origin(encoder, t, batch, row, out);
    mill_buffer_add_string(out, ",\"features\":{");
    for (uint32_t c = 0; c < output_count; c++) {
        mill_buffer_add_slice(out, t->names[c]);
        mill__encode_value(&batch->columns[use->use.first_column + c], row, out);
    }
    mill_buffer_add(out, "}}", 2);
}

static void add_scores(const double *values, uint32_t count, struct mill_buffer *out)
{
    if (count == 1) {
        mill_json_append_double(out, values[0]);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        mill_buffer_add_byte(out, i == 0 ? '[' : ',');
        mill_json_append_double(out, values[i]);
    }
    mill_buffer_add_byte(out, ']');
}

void mill__encode_score(const struct mill__encoder *encoder, const struct mill__plan_model *model,
                        const struct mill_batch *batch, uint32_t row, const double *values, int64_t now_us,
                        struct mill_buffer *out)
{
    const struct texts *t = &encoder->models[model - encoder->plan->models];

    if (encoder->is_avro) {
        mill__avro_encode_score(encoder->plan, model, batch, row, values, now_us, out);
        return;
    }
    mill_buffer_add_slice(out, t->head);
    add_key(t->keys, model->key_columns, model->key_part_count, batch, row, out);
    add_origin(encoder, t, batch, row, out);
    mill_buffer_add_string(out, ",\"score\":");
    add_scores(values, model->output_count, out);
    if (encoder->for_topics) {
        mill_buffer_add_slice(out, t->event_id);
        add_int64(out, row_partition(batch, row));
        mill_buffer_add_byte(out, '/');
        add_int64(out, batch->offset[row]);
        mill_buffer_add_byte(out, '"');
        if (!isnan(model->config->threshold) && model->output_count == 1) {
            mill_buffer_add_string(out, values[0] >= model->config->threshold ? ",\"decision\":true"
                                                                              : ",\"decision\":false");
        }
        mill_buffer_add_string(out, ",\"scored_at\":");
        add_timestamp(out, now_us);
    }
    mill_buffer_add_byte(out, '}');
}

static void add_base64(struct mill_slice s, struct mill_buffer *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < s.n; i += 3) {
        uint32_t left = s.n - i < 3 ? (uint32_t)(s.n - i) : 3;
        uint32_t word = (uint32_t)(uint8_t)s.p[i] << 16;
        word |= left > 1 ? (uint32_t)(uint8_t)s.p[i + 1] << 8 : 0;
        word |= left > 2 ? (uint32_t)(uint8_t)s.p[i + 2] : 0;
        for (uint32_t d = 0; d < 4; d++) {
            mill_buffer_add_byte(out, d <= left ? (unsigned char)digits[word >> (18 - 6 * d) & 63] : '=');
        }
    }
}

static void add_bytes(const char *name, struct mill_slice bytes, struct mill_buffer *out)
{
    if (bytes.p == NULL) {
        mill_buffer_printf(out, ",\"%s\":null", name);
    } else if (mill_utf8_is_valid(bytes)) {
        mill_buffer_printf(out, ",\"%s\":", name);
        mill_json_append_string(out, bytes);
    } else {
        mill_buffer_printf(out, ",\"%s_base64\":\"", name);
        add_base64(bytes, out);
        mill_buffer_add_byte(out, '"');
    }
}

void mill__encode_dead_letter(const struct mill__encoder *encoder, const struct mill__dead_letter *letter,
                              struct mill_buffer *out)
{
    if (encoder->is_avro) {
        mill__avro_encode_dead_letter(letter, out);
        return;
    }
    mill_buffer_add_string(out, "{\"source\":");
    mill_json_append_string(out, mill_slice_of(letter->source));
    if (letter->topic != NULL) {
        mill_buffer_add_string(out, ",\"topic\":");
        mill_json_append_string(out, mill_slice_of(letter->topic));
        mill_buffer_add_string(out, ",\"partition\":");
        add_int64(out, letter->partition);
    }
    mill_buffer_add_string(out, ",\"offset\":");
    add_int64(out, letter->offset);
    mill_buffer_printf(out, ",\"reason\":\"%s\",\"detail\":", mill_reject_reason_name(letter->reason));
    mill_json_append_string(out, mill_slice_of(letter->detail));
    if (letter->topic != NULL) {
        add_bytes("key", letter->key, out);
    }
    add_bytes("value", letter->value, out);
    if (letter->topic != NULL) {
        mill_buffer_add_string(out, ",\"rejected_at\":");
        add_timestamp(out, letter->now_us);
    }
    mill_buffer_add_byte(out, '}');
}

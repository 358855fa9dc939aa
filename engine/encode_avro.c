/* SPDX-License-Identifier: Apache-2.0 */
/* Rows, scores and dead letters in Avro; see encode_avro_internal.h. */
#include "engine/encode_avro_internal.h"

#include <math.h>

#include "base/avro.h"
#include "base/number.h"

/* Branches of the unions of row.avsc and score.avsc. */
enum { FEATURE_NULL, FEATURE_BOOLEAN, FEATURE_LONG, FEATURE_DOUBLE, FEATURE_STRING };
enum { KEY_NULL, KEY_STRING, KEY_LONG };

static void add_feature(struct mill_buffer *out, const struct mill_column *column, uint32_t row)
{
    if (!mill_bit_get(column->valid, row)) {
        mill_buffer_add_zigzag(out, FEATURE_NULL);
        return;
    }
    switch (column->type) {
    case MILL_BOOL:
        mill_buffer_add_zigzag(out, FEATURE_BOOLEAN);
        mill_buffer_add_byte(out, column->at.b[row]);
        break;
    case MILL_INT64:
    case MILL_TIMESTAMP:
        mill_buffer_add_zigzag(out, FEATURE_LONG);
        mill_buffer_add_zigzag(out, column->at.i[row]);
        break;
    case MILL_FLOAT64:
        mill_buffer_add_zigzag(out, FEATURE_DOUBLE);
        mill_avro_add_double(out, column->at.f[row]);
        break;
    case MILL_STRING:
        mill_buffer_add_zigzag(out, FEATURE_STRING);
        mill_avro_add_slice(out, column->at.s[row]);
        break;
    }
}

static void add_key_part(struct mill_buffer *out, const char *name, const struct mill_column *column, uint32_t row)
{
    mill_avro_add_cstr(out, name);
    if (!mill_bit_get(column->valid, row)) {
        mill_buffer_add_zigzag(out, KEY_NULL);
    } else if (column->type == MILL_STRING) {
        mill_buffer_add_zigzag(out, KEY_STRING);
        mill_avro_add_slice(out, column->at.s[row]);
    } else {
        mill_buffer_add_zigzag(out, KEY_LONG);
        mill_buffer_add_zigzag(out, column->at.i[row]);
    }
}

static int32_t row_partition(const struct mill_batch *batch, uint32_t row)
{
    return batch->row_partition != NULL ? batch->row_partition[row] : batch->partition;
}

static void add_origin(struct mill_buffer *out, const char *source, const struct mill_batch *batch, uint32_t row)
{
    mill_buffer_add_zigzag(out, batch->event_time_us[row]);
    mill_avro_add_cstr(out, source);
    mill_buffer_add_zigzag(out, row_partition(batch, row));
    mill_buffer_add_zigzag(out, batch->offset[row]);
}

void mill__avro_encode_row(const struct mill__plan *plan, const struct mill__plan_use *use,
                           const struct mill_batch *batch, uint32_t row, struct mill_buffer *out)
{
    const struct mill_view_config *config = &plan->project->views[use->view];
    const struct mill_entity *entity = &config->spec.entity;
    uint32_t count = mill_view_output_count(use->use.view);

    mill_avro_add_head(out, MILL__AVRO_ROW_FINGERPRINT);
    mill_avro_add_cstr(out, config->spec.name);
    mill_buffer_add_zigzag(out, entity->key_count);
    for (uint32_t k = 0; k < entity->key_count; k++) {
        add_key_part(out, entity->keys[k].name, &batch->columns[use->use.key_columns[k]], row);
    }
    mill_buffer_add_zigzag(out, 0);
    add_origin(out, plan->project->sources[config->source].spec.name, batch, row);
    mill_buffer_add_zigzag(out, count);
    for (uint32_t c = 0; c < count; c++) {
        mill_avro_add_cstr(out, mill_view_schema(use->use.view)->fields[c].name);
        add_feature(out, &batch->columns[use->use.first_column + c], row);
    }
    if (count > 0) {
        mill_buffer_add_zigzag(out, 0);
    }
}

/* source/partition/offset */
static void add_event_id(struct mill_buffer *out, const char *source, const struct mill_batch *batch, uint32_t row)
{
    char numbers[2 * MILL_NUMBER_TEXT_MAX + 2];
    size_t n = 0;

    numbers[n++] = '/';
    n += mill_number_print_int64(row_partition(batch, row), numbers + n);
    numbers[n++] = '/';
    n += mill_number_print_int64(batch->offset[row], numbers + n);
    mill_buffer_add_zigzag(out, (int64_t)(strlen(source) + n));
    mill_buffer_add_string(out, source);
    mill_buffer_add(out, numbers, n);
}

void mill__avro_encode_score(const struct mill__plan *plan, const struct mill__plan_model *model,
                             const struct mill_batch *batch, uint32_t row, const double *values, int64_t now_us,
                             struct mill_buffer *out)
{
    const char *source = plan->project->sources[model->config->source].spec.name;

    mill_avro_add_head(out, MILL__AVRO_SCORE_FINGERPRINT);
    add_event_id(out, source, batch, row);
    mill_avro_add_cstr(out, model->config->name);
    mill_avro_add_cstr(out, model->config->version);
    mill_buffer_add_zigzag(out, model->key_part_count);
    for (uint32_t k = 0; k < model->key_part_count; k++) {
        add_key_part(out, model->key_parts[k]->name, &batch->columns[model->key_columns[k]], row);
    }
    mill_buffer_add_zigzag(out, 0);
    add_origin(out, source, batch, row);
    mill_buffer_add_zigzag(out, model->output_count);
    mill_buffer_add(out, values, model->output_count * sizeof(*values));
    mill_buffer_add_zigzag(out, 0);
    if (isnan(model->config->threshold) || model->output_count != 1) {
        mill_buffer_add_zigzag(out, 0);
    } else {
        mill_buffer_add_zigzag(out, 1);
        mill_buffer_add_byte(out, values[0] >= model->config->threshold);
    }
    mill_buffer_add_zigzag(out, now_us);
}

static void add_optional_bytes(struct mill_buffer *out, struct mill_slice s)
{
    mill_buffer_add_zigzag(out, s.p != NULL);
    if (s.p != NULL) {
        mill_avro_add_slice(out, s);
    }
}

void mill__avro_encode_dead_letter(const struct mill__dead_letter *letter, struct mill_buffer *out)
{
    mill_avro_add_head(out, MILL__AVRO_DEAD_LETTER_FINGERPRINT);
    mill_avro_add_cstr(out, letter->source);
    mill_avro_add_cstr(out, letter->topic);
    mill_buffer_add_zigzag(out, letter->partition);
    mill_buffer_add_zigzag(out, letter->offset);
    mill_avro_add_cstr(out, mill_reject_reason_name(letter->reason));
    mill_avro_add_cstr(out, letter->detail);
    add_optional_bytes(out, letter->key);
    add_optional_bytes(out, letter->value);
    mill_buffer_add_zigzag(out, letter->now_us);
}

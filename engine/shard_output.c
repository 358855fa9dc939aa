/* SPDX-License-Identifier: Apache-2.0 */
/* Where a shard's results go: scores, rows, dead letters and re-keyed events to Kafka, newest rows to Redis. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/number.h"
#include "engine/engine_internal.h"
#include "engine/shard_internal.h"

enum { ONLINE_WINDOW_BYTES = 1 << 20 }; /* on the way to Redis at once: about 5 ms of its work */

static void on_undeliverable(void *context, const char *topic, struct mill_slice value, const char *why)
{
    struct mill__shard *shard = context;

    mill_counter_add(shard->metrics.undeliverable, 1);
    mill_log(MILL_LOG_ERROR, "kafka", "a record of %zu bytes for topic '%s' cannot be delivered: %s", value.n, topic,
             why);
    if (strcmp(topic, shard->plan->project->output.drift_panes_topic) == 0 && shard->rc == MILL_OK) {
        shard->rc = mill_fail(&shard->err, MILL_EDATA,
                              "counts of %zu bytes cannot be sent to topic '%s', and windows without them would be "
                              "wrong: %s; hint: raise the topic's max.message.bytes",
                              value.n, topic, why);
    }
}

int mill__shard_open_outputs(struct mill__shard *shard, struct mill_error *err)
{
    const struct mill_project *project = shard->plan->project;

    MILL_TRY(mill_producer_open(&shard->engine->kafka, on_undeliverable, shard, &shard->producer, err));
    shard->stage_topics = mill_calloc(shard->plan->topic_count, sizeof(unsigned));
    for (uint32_t t = 0; t < shard->plan->topic_count; t++) {
        if (shard->plan->topics[t]->upstream_count > 0) {
            shard->stage_topics[t] = mill_producer_topic(shard->producer, shard->plan->topics[t]->topic);
        }
    }
    shard->view_topics = mill_calloc(project->view_count, sizeof(unsigned));
    for (uint32_t v = 0; v < project->view_count; v++) {
        if (project->views[v].topic != NULL) {
            shard->view_topics[v] = mill_producer_topic(shard->producer, project->views[v].topic);
        }
    }
    shard->scores_topic = mill_producer_topic(shard->producer, project->output.scores_topic);
    if (shard->plan->monitor_count > 0) {
        shard->panes_topic = mill_producer_topic(shard->producer, project->output.drift_panes_topic);
        shard->labels_topic = mill_producer_topic(shard->producer, project->output.labels_topic);
    }
    shard->dead_letter_topic = mill_producer_topic(shard->producer, project->output.dead_letter_topic);
    mill_arena_init(&shard->meeting_arena, 0);
    mill_batch_init(&shard->meeting, &mill__join_schema, 1, &shard->meeting_arena);
    if (project->online_store.redis) {
        struct mill_online_options options = project->online_store.options;
        options.window_bytes = ONLINE_WINDOW_BYTES;
        MILL_TRY(mill_online_open(&options, shard->engine->online_views, shard->engine->online_view_count,
                                  &shard->online, err));
    }
    return MILL_OK;
}

void mill__shard_close_outputs(struct mill__shard *shard)
{
    mill_producer_close(shard->producer, 10000);
    mill_online_close(shard->online);
    mill_arena_clear(&shard->meeting_arena);
    mill__cloud_headers_clear(&shard->headers);
    free(shard->stage_topics);
    free(shard->view_topics);
}

/* The queue is bounded: where it is full the shard waits here for the broker, which is what holds back its inputs. */
static void send(struct mill__shard *shard, unsigned topic, int32_t partition, struct mill_slice key,
                 struct mill_slice value, const struct mill_header *headers, unsigned header_count)
{
    struct mill_error err;
    int rc;

    while ((rc = mill_producer_send(shard->producer, topic, partition, key, value, headers, header_count, -1, &err)) ==
           MILL_ERETRY) {
        if (mill_producer_poll(shard->producer, 100, &err) < 0 || mill__engine_must_leave(shard->engine)) {
            break;
        }
    }
    if (rc < 0 && shard->rc == MILL_OK) {
        shard->rc = rc; /* the loop sees it before any state is written, so nothing unsent counts as applied */
        shard->err = err;
    }
}

void mill__shard_send(struct mill__shard *shard, unsigned topic, int32_t partition, struct mill_slice key,
                      struct mill_slice value)
{
    send(shard, topic, partition, key, value, NULL, 0);
}

void mill__shard_send_event(struct mill__shard *shard, unsigned topic, struct mill_slice key, struct mill_slice value)
{
    send(shard, topic, -1, key, value, shard->headers.at, MILL__CLOUD_HEADER_COUNT);
}

/* Keys of records for people and for Kafka's partitioner: the parts as text, joined by '|'. */
static struct mill_slice key_text(struct mill__shard *shard, const struct mill_batch *batch, const uint32_t *columns,
                                  uint32_t count, uint32_t row)
{
    mill_buffer_reset(&shard->key);
    for (uint32_t k = 0; k < count; k++) {
        const struct mill_column *column = &batch->columns[columns[k]];
        if (k > 0) {
            mill_buffer_add_byte(&shard->key, '|');
        }
        if (!mill_bit_get(column->valid, row)) {
            continue;
        }
        if (column->type == MILL_STRING) {
            mill_buffer_add_slice(&shard->key, column->at.s[row]);
        } else {
            shard->key.n +=
                mill_number_print_int64(column->at.i[row], mill_buffer_reserve(&shard->key, MILL_NUMBER_TEXT_MAX));
        }
    }
    return mill_buffer_slice(&shard->key);
}

/* To Redis, and beside the entity's state, from where Redis gets it again when it has lost it. */
static void serve_row(struct mill__input *input, const struct mill__pass *pass, uint32_t u, uint32_t row)
{
    struct mill__shard *shard = input->shard;
    const struct mill__plan_use *use = pass->uses[u];
    struct mill_slice served =
        mill_online_put(shard->online, shard->engine->online_index[use->view], input->number,
                        mill_view_rows_key(pass->rows[u], row), &pass->batch, row, use->use.first_column);

    mill_view_table_keep_row(pass->tables[use->view], pass->rows[u], row, served);
}

static void on_row(void *context, struct mill__pass *pass, uint32_t u, uint32_t row, bool newest)
{
    struct mill__input *input = context;
    struct mill__shard *shard = input->shard;
    const struct mill__plan_use *use = pass->uses[u];
    const struct mill_view_config *config = &shard->plan->project->views[use->view];

    mill_counter_add(shard->metrics.rows[use->view], 1);
    if (newest && shard->online != NULL && config->online) {
        serve_row(input, pass, u, row);
    }
    if (config->topic != NULL) {
        mill_buffer_reset(&shard->text);
        mill__encode_row(shard->engine->encoder, use, pass->flow->source, &pass->batch, row, &shard->text);
        mill__shard_send(shard, shard->view_topics[use->view], -1,
                         key_text(shard, &pass->batch, use->use.key_columns, config->spec.entity.key_count, row),
                         mill_buffer_slice(&shard->text));
    }
}

static void on_score(void *context, struct mill__pass *pass, const struct mill__plan_model *model, uint32_t row,
                     const double *values)
{
    struct mill__input *input = context;
    struct mill__shard *shard = input->shard;

    mill_counter_add(shard->metrics.scores[model - shard->plan->models], 1);
    mill_buffer_reset(&shard->text);
    mill__encode_score(shard->engine->encoder, model, &pass->batch, row, values, mill_clock_wall_us(), &shard->text);
    mill__shard_send(shard, shard->scores_topic, -1,
                     key_text(shard, &pass->batch, model->key_columns, model->key_part_count, row),
                     mill_buffer_slice(&shard->text));
}

static void on_scored(void *context, struct mill__pass *pass, const struct mill__plan_model *model,
                      const struct mill_column *score, uint32_t from, uint32_t to)
{
    struct mill__input *input = context;
    mill__contributors_count(&input->contributors, model, &pass->batch, score, from, to);
    mill__input_send_scores(input, model, score, from, to);
}

static void on_forward(void *context, struct mill__pass *pass, const struct mill__stage *stage, uint32_t row)
{
    struct mill__input *input = context;
    struct mill__shard *shard = input->shard;
    struct mill__rekey_origin origin = {
        .source_partition = input->stage->upstream_count == 0 ? input->number : input->origins[row].source_partition,
        .source_offset = pass->batch.offset[row],
        .upstream_stage = input->stage->index,
        .upstream_partition = input->number,
        .upstream_offset = input->records[row].offset,
    };
    int32_t partition = 0;

    mill_buffer_reset(&shard->key);
    bool has_key = mill__rekey_key(stage, &pass->batch, row, shard->plan->partition_count, &shard->key, &partition);
    mill_assert(has_key);
    mill_buffer_reset(&shard->text);
    mill__rekey_encode(stage, &pass->batch, row, &origin, &shard->text);
    mill__shard_send(shard, shard->stage_topics[mill__plan_topic_number(shard->plan, stage)], partition,
                     mill_buffer_slice(&shard->key), mill_buffer_slice(&shard->text));
}

const struct mill__sink mill__shard_sink = {
    .row = on_row, .score = on_score, .scored = on_scored, .forward = on_forward};

static const char *source_name(const struct mill__input *input)
{
    const struct mill__plan_monitor *joins = input->stage->joins;
    return joins != NULL ? joins->spec.name : input->shard->plan->project->sources[input->stage->source].spec.name;
}

void mill__shard_send_dead_letters(struct mill__input *input)
{
    struct mill__shard *shard = input->shard;
    uint32_t topic = mill__plan_topic_number(shard->plan, input->stage);

    for (uint32_t i = 0; i < input->pass.rejects.count; i++) {
        const struct mill_reject *reject = &input->pass.rejects.at[i];
        const struct mill_record *record = &input->records[reject->row];
        struct mill__dead_letter letter = {
            .source = source_name(input),
            .topic = input->stage->topic,
            .partition = input->number,
            .offset = record->offset,
            .reason = reject->reason,
            .detail = reject->detail,
            .key = record->key,
            .value = record->value,
            .now_us = mill_clock_wall_us(),
        };
        mill_buffer_reset(&shard->text);
        mill__encode_dead_letter(shard->engine->encoder, &letter, &shard->text);
        mill__shard_send(shard, shard->dead_letter_topic, -1, record->key, mill_buffer_slice(&shard->text));
        mill_counter_add(shard->metrics.rejected[topic * MILL_REJECT_REASON_COUNT + reject->reason], 1);
    }
}

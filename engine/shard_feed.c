/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scores and labels of monitors on their way to where they meet: the partition of their key in the join's topic. They
 * are re-keyed records like events (rekey_internal.h), with the columns of mill__join_schema.
 */
#include "engine/engine_internal.h"
#include "engine/shard_internal.h"

struct feeding {
    struct mill__input *input;
    const struct mill__feed *feed;
};

static void set_row(struct mill_batch *batch, const struct mill__meeting *meeting, int64_t time_us)
{
    bool is_score = meeting->label < 0;

    batch->event_time_us[0] = time_us;
    batch->columns[MILL__JOIN_KEY].at.s[0] = meeting->key;
    batch->columns[MILL__JOIN_SCORE].at.f[0] = meeting->score;
    batch->columns[MILL__JOIN_LABEL].at.i[0] = meeting->label;
    mill_bit_set(batch->columns[MILL__JOIN_KEY].valid, 0);
    mill_bit_clear(batch->columns[is_score ? MILL__JOIN_LABEL : MILL__JOIN_SCORE].valid, 0);
    mill_bit_set(batch->columns[is_score ? MILL__JOIN_SCORE : MILL__JOIN_LABEL].valid, 0);
}

static void send_meeting(void *context, const struct mill__meeting *meeting)
{
    const struct feeding *f = context;
    struct mill__input *input = f->input;
    struct mill__shard *shard = input->shard;
    const struct mill__stage *join = f->feed->monitor->join;
    const struct mill__rekey_origin origin = {
        .source_partition =
            input->stage->upstream_count == 0 ? input->number : input->origins[meeting->row].source_partition,
        .source_offset = input->pass.batch.offset[meeting->row],
        .upstream_stage = f->feed->upstream,
        .upstream_partition = input->number,
        .upstream_offset = input->records[meeting->row].offset,
    };

    set_row(&shard->meeting, meeting, input->pass.batch.event_time_us[meeting->row]);
    mill_buffer_reset(&shard->text);
    mill__rekey_encode(join, &shard->meeting, 0, &origin, &shard->text);
    mill__shard_send(shard, shard->stage_topics[mill__plan_topic_number(shard->plan, join)],
                     mill__rekey_partition(meeting->key, shard->plan->partition_count), meeting->key,
                     mill_buffer_slice(&shard->text));
}

/* The key's memory is the shard's, so that nothing is allocated per batch. */
static struct mill__label_reader reader_of(struct feeding *f)
{
    struct mill__shard *shard = f->input->shard;
    struct mill__label_reader reader = {
        .monitor = f->feed->monitor, .context = f, .each = send_meeting, .key = shard->key};

    shard->key = (struct mill_buffer){0};
    return reader;
}

static void give_back(const struct feeding *f, const struct mill__label_reader *reader)
{
    struct mill__shard *shard = f->input->shard;
    const struct mill__label_metrics *metrics = &shard->metrics.labels[f->feed->monitor - shard->plan->monitors];

    mill_counter_add(metrics->keyless, reader->keyless);
    mill_counter_add(metrics->odd, reader->odd);
    shard->key = reader->key;
}

void mill__input_send_scores(struct mill__input *input, const struct mill__plan_model *model,
                             const struct mill_column *score, uint32_t from, uint32_t to)
{
    for (uint32_t i = 0; i < input->stage->feed_count; i++) {
        struct feeding f = {input, &input->stage->feeds[i]};
        if (!f.feed->is_labels && f.feed->monitor->model == model) {
            struct mill__label_reader reader = reader_of(&f);
            mill__label_reader_scores(&reader, &input->pass.batch, score, from, to);
            give_back(&f, &reader);
        }
    }
}

void mill__input_read_labels(struct mill__input *input)
{
    const struct mill__stage *stage = input->stage;

    input->label_values = mill_arena_array(&input->pass.arena, struct mill_column, stage->feed_count);
    for (uint32_t i = 0; i < stage->feed_count; i++) {
        if (stage->feeds[i].is_labels) {
            input->label_values[i] = mill__label_values(stage->feeds[i].monitor, &input->pass.batch);
        }
    }
}

void mill__input_send_labels(struct mill__input *input, uint32_t from, uint32_t to)
{
    for (uint32_t i = 0; i < input->stage->feed_count; i++) {
        struct feeding f = {input, &input->stage->feeds[i]};
        if (f.feed->is_labels) {
            struct mill__label_reader reader = reader_of(&f);
            mill__label_reader_labels(&reader, &input->pass.batch, &input->label_values[i], from, to);
            give_back(&f, &reader);
        }
    }
}

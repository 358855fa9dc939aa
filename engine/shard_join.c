/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where scores and labels of a monitor meet: an input of the join's topic holds what waits for the keys of its
 * partition. What waits is in RocksDB in the batch of the applied offset (a flush writes what has changed), so a crash
 * joins the tail again, to the same records with the same ids. How far it may join is what its upstreams have
 * announced: those that score, and those of the labels, each less its source's lateness.
 *
 *   RocksDB: "join/<monitor>/<partition>/"       u64 hash of what gives the rest its meaning
 *            "join/<monitor>/<partition>/<id>"   what mill_join_save puts
 */
#include "base/hash.h"
#include "base/log.h"
#include "base/timestamp.h"
#include "engine/encode_drift_internal.h"
#include "engine/engine_internal.h"
#include "engine/shard_internal.h"

static const struct mill__plan_monitor *monitor_of(const struct mill__input *input)
{
    return input->stage->joins;
}

static struct mill__label_metrics *metrics_of(const struct mill__input *input)
{
    return &input->shard->metrics.labels[monitor_of(input) - input->shard->plan->monitors];
}

/* Panes of another length cannot be counted on with; all else that gives it its meaning is in the topic's name. */
static uint64_t definition_hash(const struct mill__plan_monitor *monitor)
{
    return mill_hash64_seed(monitor->join->topic, strlen(monitor->join->topic), (uint64_t)monitor->spec.every_us);
}

/* ------------------------------------------------------------------------------------------------
 * RocksDB
 * --------------------------------------------------------------------------------------------- */

struct loading {
    struct mill__input *input;
    int rc;
    struct mill_error *err;
};

static bool load_record(void *context, struct mill_slice key, struct mill_slice value)
{
    struct loading *l = context;
    size_t prefix = l->input->join.prefix.n;

    if (key.n > prefix) {
        struct mill_slice id = {key.p + prefix, key.n - prefix};
        l->rc = mill_join_load(l->input->join.join, id, value, l->err);
    }
    return l->rc == MILL_OK;
}

static bool delete_record(void *context, struct mill_slice key, struct mill_slice value)
{
    (void)value;
    mill_kv_batch_delete(context, MILL_KV_DRIFT, key);
    return true;
}

static int forget_all(struct mill__input *input, struct mill_error *err)
{
    struct mill_kv *kv = input->shard->engine->kv;
    struct mill_kv_batch *batch = mill_kv_batch_new();

    int rc = mill_kv_scan(kv, MILL_KV_DRIFT, mill_buffer_slice(&input->join.prefix), (struct mill_slice){0},
                          delete_record, batch, err);
    rc = rc < 0 ? rc : mill_kv_write(kv, batch, err);
    mill_kv_batch_free(batch);
    return rc;
}

static int load_all(struct mill__input *input, struct mill_error *err)
{
    struct loading l = {input, MILL_OK, err};

    MILL_TRY(mill_kv_scan(input->shard->engine->kv, MILL_KV_DRIFT, mill_buffer_slice(&input->join.prefix),
                          (struct mill_slice){0}, load_record, &l, err));
    if (l.rc < 0) {
        mill_error_prefix(err, "monitor '%s', partition %d", monitor_of(input)->spec.name, input->number);
    }
    return l.rc;
}

static int load(struct mill__input *input, struct mill_error *err)
{
    struct mill_buffer value = {0};
    uint64_t hash = 0;

    int rc = mill_kv_get(input->shard->engine->kv, MILL_KV_DRIFT, mill_buffer_slice(&input->join.prefix), &value, err);
    if (rc > 0) {
        struct mill_cursor c = mill_cursor_of(mill_buffer_slice(&value));
        hash = mill_cursor_u64(&c);
    }
    mill_buffer_clear(&value);
    if (rc <= 0) {
        return rc;
    }
    if (hash != definition_hash(monitor_of(input))) {
        mill_log(MILL_LOG_WARNING, "drift",
                 "monitor '%s' joins other sources, by another key or with another 'every' than before: what waits for "
                 "labels in partition %d is forgotten",
                 monitor_of(input)->spec.name, input->number);
        return forget_all(input, err);
    }
    if (input->applied.applied_offset < 0) {
        return forget_all(input, err); /* it is read again from the topic's beginning */
    }
    input->join.is_defined = true;
    return load_all(input, err);
}

int mill__input_open_join(struct mill__input *input, struct mill_error *err)
{
    struct mill__join_input *join = &input->join;
    bool is_stored = input->shard->engine->kv != NULL;

    join->join = mill__labels_join_new(monitor_of(input), is_stored);
    join->told.progress_us = INT64_MIN;
    mill_buffer_printf(&join->prefix, "join/%s/%d/", monitor_of(input)->spec.name, input->number);
    return is_stored ? load(input, err) : MILL_OK;
}

static struct mill_slice full_key(struct mill__input *input, struct mill_slice id)
{
    struct mill_buffer *key = &input->shard->key;

    mill_buffer_reset(key);
    mill_buffer_add_slice(key, mill_buffer_slice(&input->join.prefix));
    mill_buffer_add_slice(key, id);
    return mill_buffer_slice(key);
}

static void put(void *context, struct mill_slice id, struct mill_slice bytes)
{
    struct mill__input *input = context;
    mill_kv_batch_put(input->shard->batch, MILL_KV_DRIFT, full_key(input, id), bytes);
}

static void delete (void *context, struct mill_slice id)
{
    struct mill__input *input = context;
    mill_kv_batch_delete(input->shard->batch, MILL_KV_DRIFT, full_key(input, id));
}

void mill__input_write_join(struct mill__input *input)
{
    const struct mill_join_store store = {input, put, delete};
    uint64_t hash = definition_hash(monitor_of(input));

    if (!input->join.is_defined) {
        mill_kv_batch_put(input->shard->batch, MILL_KV_DRIFT, mill_buffer_slice(&input->join.prefix),
                          (struct mill_slice){(const char *)&hash, sizeof(hash)});
        input->join.is_defined = true;
    }
    mill_join_save(input->join.join, &store);
}

void mill__input_clear_join(struct mill__input *input)
{
    mill_join_free(input->join.join);
    mill_buffer_clear(&input->join.prefix);
    input->join = (struct mill__join_input){0};
}

/* ------------------------------------------------------------------------------------------------
 * Joining
 * --------------------------------------------------------------------------------------------- */

void mill__input_join_rows(struct mill__input *input, uint32_t from, uint32_t to)
{
    const struct mill_batch *batch = &input->pass.batch;
    const struct mill_column *label = &batch->columns[MILL__JOIN_LABEL];

    for (uint32_t row = from; row < to; row++) {
        const struct mill_join_origin origin = {input->origins[row].source_partition, batch->offset[row]};
        struct mill_slice key = batch->columns[MILL__JOIN_KEY].at.s[row];
        if (!mill_bit_get(batch->live, row)) {
            continue;
        }
        if (mill_bit_get(label->valid, row)) {
            mill_join_label(input->join.join, key, batch->event_time_us[row], label->at.i[row] != 0, &origin);
        } else {
            mill_join_score(input->join.join, key, batch->event_time_us[row],
                            batch->columns[MILL__JOIN_SCORE].at.f[row], &origin);
        }
    }
}

/* Upstreams first <= stage < end, of events of that source. */
static struct mill__join_side side_of(const struct mill__input *input, uint32_t first, uint32_t end, uint32_t source)
{
    int64_t lateness_us = input->shard->plan->project->sources[source].allowed_lateness_us;
    struct mill__join_side side;
    int64_t complete_us = mill__upstreams_complete(&input->applied.upstreams, first, end, &side.is_asleep);

    side.watermark_us = complete_us == INT64_MIN ? INT64_MIN : complete_us - lateness_us;
    return side;
}

static void on_matched(void *context, const struct mill_join_match *match)
{
    struct mill__input *input = context;
    struct mill__shard *shard = input->shard;
    const struct mill_drift_monitor_spec *spec = &monitor_of(input)->spec;
    enum mill_format format = shard->plan->project->output.format;
    char id[33];

    mill_join_match_id(match, spec, id);
    mill__cloud_headers_set(&shard->headers, &(struct mill__cloud_event){id, "label", match->label_us}, spec, format);
    mill_buffer_reset(&shard->text);
    mill__encode_match(format, match, spec, &shard->text);
    mill__shard_send_event(shard, shard->labels_topic, match->key, mill_buffer_slice(&shard->text));
}

static void on_part(void *context, enum mill_part_kind kind, const struct mill_drift_part *part)
{
    struct mill__input *input = context;
    mill__input_send_part(input, monitor_of(input), kind, part);
}

/* It never says that it sleeps: the monitor would no longer wait for it, and it hears later than the monitor's other
 * contributors that a source has woken. */
void mill__input_send_joined(struct mill__input *input)
{
    const struct mill__plan_monitor *monitor = monitor_of(input);
    const struct mill_join_sink sink = {input, on_matched, on_part};
    uint32_t last = input->stage->upstream_count - 1;
    const struct mill__join_side scores = side_of(input, 0, last, monitor->model->config->source);
    const struct mill__join_side labels = side_of(input, last, last + 1, monitor->config->labels.source);
    int64_t watermark_us = mill__join_watermark(&scores, &labels);

    if (watermark_us != INT64_MIN) {
        mill_join_advance(input->join.join, watermark_us, &sink);
    }
    watermark_us = mill_join_watermark(input->join.join);
    if (watermark_us != INT64_MIN) {
        watermark_us = mill_timestamp_floor(watermark_us, monitor->spec.every_us);
    }
    mill__input_tell_progress(input, monitor, &input->join.told, watermark_us, false);
}

/* ------------------------------------------------------------------------------------------------
 * Metrics
 * --------------------------------------------------------------------------------------------- */

static void count_join(struct mill__input *input)
{
    const struct mill__label_metrics *metrics = metrics_of(input);
    struct mill_join_status now, *before = &input->join.counted;

    mill_join_status(input->join.join, &now);
    mill_counter_add(metrics->joined, now.joined - before->joined);
    mill_counter_add(metrics->expired, now.expired - before->expired);
    mill_counter_add(metrics->unclaimed, now.unclaimed - before->unclaimed);
    mill_counter_add(metrics->too_many, now.dropped - before->dropped);
    *before = now;
}

static bool is_of(const struct mill__input *input, uint32_t monitor)
{
    return input->join.join != NULL && monitor_of(input) == &input->shard->plan->monitors[monitor];
}

void mill__shard_count_joins(struct mill__shard *shard)
{
    for (uint32_t m = 0; m < shard->plan->monitor_count; m++) {
        double pending = 0;
        for (struct mill__input *input = shard->inputs; input != NULL; input = input->next) {
            if (is_of(input, m)) {
                count_join(input);
                pending += input->join.counted.pending;
            }
        }
        if (shard->plan->monitors[m].join != NULL) {
            mill_gauge_set(shard->metrics.labels[m].pending, pending);
        }
    }
}

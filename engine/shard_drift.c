/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contributors of a shard: kept in RocksDB in the batch that holds the state and the applied offsets, so that each row
 * is counted once; closed panes go to the panes topic as parts, and behind them how far the contributor is.
 *
 *   key of a part       monitor|p|topic|partition|start|part     value: the part's bytes; of labels (shard_join.c) e, o
 *   key of a progress   monitor|w|topic|partition                value: zigzag watermark | u8 1 where idle
 *
 * All of a monitor is in one partition of that topic, so a reader sees parts before the progress that covers them. What
 * is sent is acknowledged before the batch is written; a crash in between sends the same parts again, whole.
 */
#include "base/hash.h"
#include "base/log.h"
#include "engine/engine_internal.h"
#include "engine/shard_internal.h"

static uint64_t definition_hash(const struct mill__plan_monitor *monitor)
{
    const struct mill_profile_spec *spec = &monitor->spec.columns;
    const char *profile = monitor->profile == NULL ? "stream" : monitor->profile->sha256;
    uint64_t hash = mill_hash64_seed(profile, strlen(profile), (uint64_t)monitor->spec.every_us);

    for (uint32_t f = 0; f < spec->field_count; f++) {
        uint64_t seed = hash + (uint64_t)spec->fields[f].type * 2 + spec->is_categorical[f];
        hash = mill_hash64_seed(spec->fields[f].name, strlen(spec->fields[f].name), seed);
    }
    return spec->segment_by == NULL ? hash : mill_hash64_seed(spec->segment_by, strlen(spec->segment_by), hash);
}

static uint32_t number_of(const struct mill__shard *shard, const struct mill__contributor *contributor)
{
    return (uint32_t)(contributor->monitor - shard->plan->monitors);
}

/* ------------------------------------------------------------------------------------------------
 * RocksDB: "counter/<monitor>/<topic>/<partition>": u64 definition hash | u8 1 where it counts against a profile made
 * of the stream | the counter. "profile/<monitor>": that profile.
 * --------------------------------------------------------------------------------------------- */

static struct mill_slice counter_key(struct mill__input *input, const struct mill__contributor *contributor)
{
    struct mill_buffer *key = &input->shard->key;
    mill_buffer_reset(key);
    mill_buffer_printf(key, "counter/%s/%s/%d", contributor->monitor->spec.name, input->stage->topic, input->number);
    return mill_buffer_slice(key);
}

static struct mill_slice profile_key(struct mill__input *input, const struct mill__contributor *contributor)
{
    struct mill_buffer *key = &input->shard->key;
    mill_buffer_reset(key);
    mill_buffer_printf(key, "profile/%s", contributor->monitor->spec.name);
    return mill_buffer_slice(key);
}

static int damaged(const struct mill__input *input, const struct mill__contributor *contributor, struct mill_error *err)
{
    return mill_fail(err, MILL_EDATA,
                     "the stored counts of monitor '%s' for topic '%s' partition %d are damaged; hint: remove the "
                     "offline store's directory to rebuild its state from the topics",
                     contributor->monitor->spec.name, input->stage->topic, input->number);
}

/* Counts against a profile that was made of the stream need that profile. */
static int load_profile(struct mill__input *input, struct mill__contributor *contributor, struct mill_error *err)
{
    struct mill__shard *shard = input->shard;
    uint32_t number = number_of(shard, contributor);
    struct mill_buffer bytes = {0};

    int rc = mill_kv_get(shard->engine->kv, MILL_KV_DRIFT, profile_key(input, contributor), &bytes, err);
    if (rc == 0) {
        rc = damaged(input, contributor, err);
    } else if (rc > 0) {
        rc = mill__reference_offer(&shard->engine->references, number, mill_buffer_slice(&bytes), err);
    }
    mill_buffer_clear(&bytes);
    MILL_TRY(rc);
    mill__contributor_reset(contributor, mill__reference_of(&shard->engine->references, shard->plan, number));
    return MILL_OK;
}

static int decode_counter(struct mill__input *input, struct mill__contributor *contributor, struct mill_slice value,
                          struct mill_error *err)
{
    struct mill_cursor c = mill_cursor_of(value);
    uint64_t hash = mill_cursor_u64(&c);
    bool has_profile = mill_cursor_byte(&c) != 0;

    if (c.bad) {
        return damaged(input, contributor, err);
    }
    if (hash != definition_hash(contributor->monitor)) {
        mill_log(MILL_LOG_WARNING, "drift",
                 "monitor '%s' has another profile or other columns than before: it counts anew from topic '%s' "
                 "partition %d on, and its first windows are not complete",
                 contributor->monitor->spec.name, input->stage->topic, input->number);
        return MILL_OK;
    }
    if (has_profile) {
        MILL_TRY(load_profile(input, contributor, err));
    }
    return mill_drift_counter_load(contributor->counter, (struct mill_slice){c.p, (size_t)(c.end - c.p)}, err);
}

/* A profile has come: what was gathered is counted against it. */
static void adopt_references(struct mill__input *input)
{
    struct mill__shard *shard = input->shard;

    for (uint32_t i = 0; i < input->contributors.count; i++) {
        struct mill__contributor *contributor = &input->contributors.at[i];
        const struct mill_profile *profile =
            mill__reference_of(&shard->engine->references, shard->plan, number_of(shard, contributor));
        if (contributor->profile == NULL && profile != NULL) {
            mill_drift_counter_set_profile(contributor->counter, profile);
            contributor->profile = profile;
        }
    }
}

int mill__input_open_drift(struct mill__input *input, struct mill_error *err)
{
    struct mill__shard *shard = input->shard;
    struct mill_buffer value = {0};
    int rc = MILL_OK;

    mill__contributors_init(&input->contributors, shard->plan, input->stage, input->number);
    for (uint32_t i = 0; i < input->contributors.count && shard->engine->kv != NULL && rc >= 0; i++) {
        struct mill__contributor *contributor = &input->contributors.at[i];
        mill_buffer_reset(&value);
        rc = mill_kv_get(shard->engine->kv, MILL_KV_DRIFT, counter_key(input, contributor), &value, err);
        if (rc > 0) {
            rc = decode_counter(input, contributor, mill_buffer_slice(&value), err);
        }
    }
    mill_buffer_clear(&value);
    adopt_references(input);
    return rc < 0 ? rc : MILL_OK;
}

static void write_profile(struct mill__input *input, const struct mill__contributor *contributor)
{
    struct mill__shard *shard = input->shard;

    mill_buffer_reset(&shard->scratch);
    mill_profile_write(contributor->profile, &shard->scratch);
    mill_kv_batch_put(shard->batch, MILL_KV_DRIFT, profile_key(input, contributor), mill_buffer_slice(&shard->scratch));
}

void mill__input_write_drift(struct mill__input *input)
{
    struct mill__shard *shard = input->shard;

    for (uint32_t i = 0; i < input->contributors.count; i++) {
        struct mill__contributor *contributor = &input->contributors.at[i];
        bool made = contributor->monitor->profile == NULL && contributor->profile != NULL;
        if (!mill_drift_counter_is_dirty(contributor->counter)) {
            continue;
        }
        if (made) {
            write_profile(input, contributor);
        }
        mill_buffer_reset(&shard->scratch);
        mill_buffer_add_u64(&shard->scratch, definition_hash(contributor->monitor));
        mill_buffer_add_byte(&shard->scratch, made);
        mill_drift_counter_save(contributor->counter, &shard->scratch);
        mill_kv_batch_put(shard->batch, MILL_KV_DRIFT, counter_key(input, contributor),
                          mill_buffer_slice(&shard->scratch));
    }
}

/* ------------------------------------------------------------------------------------------------
 * The panes topic
 * --------------------------------------------------------------------------------------------- */

static void send_value(struct mill__input *input, const struct mill__plan_monitor *monitor, struct mill_slice value)
{
    struct mill__shard *shard = input->shard;

    mill__shard_send(shard, shard->panes_topic, mill__panes_partition(shard->engine, monitor->spec.name),
                     mill_buffer_slice(&shard->key), value);
    atomic_fetch_add_explicit(&shard->announced, 1, memory_order_relaxed);
}

void mill__input_send_part(struct mill__input *input, const struct mill__plan_monitor *monitor,
                           enum mill_part_kind kind, const struct mill_drift_part *part)
{
    struct mill_buffer *key = &input->shard->key;

    mill_buffer_reset(key);
    mill_buffer_printf(key, "%s|%s|%s|%d|%lld|%u", monitor->spec.name, mill__part_names[kind], input->stage->topic,
                       input->number, (long long)part->start_us, part->part);
    send_value(input, monitor, part->bytes);
}

static void send_progress(struct mill__input *input, const struct mill__plan_monitor *monitor,
                          const struct mill__told *told)
{
    struct mill__shard *shard = input->shard;

    mill_buffer_reset(&shard->key);
    mill_buffer_printf(&shard->key, "%s|w|%s|%d", monitor->spec.name, input->stage->topic, input->number);
    mill_buffer_reset(&shard->text);
    mill_buffer_add_zigzag(&shard->text, told->progress_us);
    mill_buffer_add_byte(&shard->text, told->is_idle);
    send_value(input, monitor, mill_buffer_slice(&shard->text));
}

void mill__input_tell_progress(struct mill__input *input, const struct mill__plan_monitor *monitor,
                               struct mill__told *told, int64_t watermark_us, bool is_idle)
{
    if (!told->is_known || watermark_us > told->progress_us || is_idle != told->is_idle) {
        told->progress_us = watermark_us > told->progress_us ? watermark_us : told->progress_us;
        told->is_idle = is_idle;
        told->is_known = true;
        send_progress(input, monitor, told);
    }
}

struct sending {
    struct mill__input *input;
    const struct mill__plan_monitor *monitor;
};

static void send_counts(void *context, const struct mill_drift_part *part)
{
    struct sending *s = context;
    mill__input_send_part(s->input, s->monitor, MILL_PART_COUNTS, part);
}

/* One that sleeps is not waited for, so all that it has is handed over. */
static int64_t hand_over_limit(const struct mill__input *input, int64_t pane_us, int64_t watermark_us, bool is_idle)
{
    int64_t newest_us = input->applied.newest_us;
    int64_t all_us = newest_us == INT64_MIN ? INT64_MIN : mill_timestamp_floor(newest_us, pane_us) + pane_us;
    return is_idle && all_us > watermark_us ? all_us : watermark_us;
}

void mill__input_send_drift(struct mill__input *input)
{
    struct mill__shard *shard = input->shard;
    bool is_idle;
    int64_t complete_us = mill__input_complete(input, &is_idle);

    adopt_references(input);
    for (uint32_t i = 0; i < input->contributors.count; i++) {
        struct mill__contributor *contributor = &input->contributors.at[i];
        struct sending s = {input, contributor->monitor};
        int64_t watermark_us = mill__contributor_watermark(contributor, shard->plan->project, complete_us);
        int64_t limit_us = hand_over_limit(input, contributor->monitor->spec.every_us, watermark_us, is_idle);
        if (limit_us != INT64_MIN) {
            mill_drift_counter_take(contributor->counter, limit_us, send_counts, &s);
        }
        mill__input_tell_progress(input, contributor->monitor, &contributor->told, watermark_us,
                                  is_idle && input->stage->upstream_count == 0);
    }
}

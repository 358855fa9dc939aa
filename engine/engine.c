/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, running and stopping the stream engine: waits for Kafka, compiles the plan, starts the shards. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/timestamp.h"
#include "engine/engine_internal.h"

enum {
    ASK_TIMEOUT_MS = 3000,
    OFFSETS_TIMEOUT_MS = 3000,
    ASK_AGAIN_MS = 500,
    WATCH_MS = 50,
    IDLE_ROUNDS = 4, /* of WATCH_MS without a step forward: it may be the end */
    CONFIRM_MS = 5,
    PANES_PARTITIONS_MAX = 8,
    JOIN_RETENTION_DAYS = 7,
};
#define LARGE_RECORD   "67108864" /* parts of panes and profiles are often larger than the usual megabyte */
#define LEAVE_AFTER_NS (30 * INT64_C(1000000000))

void mill__nap_ms(int ms)
{
    struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    nanosleep(&ts, NULL);
}

bool mill__engine_must_leave(const struct mill_engine *engine)
{
    if (atomic_load_explicit(&engine->leave, memory_order_relaxed)) {
        return true;
    }
    int64_t stopped_ns = atomic_load_explicit(&engine->stopped_ns, memory_order_relaxed);
    return stopped_ns != 0 && mill_clock_mono_ns() - stopped_ns > LEAVE_AFTER_NS;
}

bool mill__engine_is_awake(const struct mill_engine *engine)
{
    uint32_t awake = 0;

    for (uint32_t i = 0; i < engine->shard_count; i++) {
        awake += atomic_load_explicit(&engine->shards[i].awake_count, memory_order_acquire);
    }
    return awake == engine->partition_total;
}

void mill_engine_stop(struct mill_engine *engine)
{
    int64_t not_yet = 0;

    atomic_compare_exchange_strong(&engine->stopped_ns, &not_yet, mill_clock_mono_ns());
    atomic_store_explicit(&engine->stop, true, memory_order_relaxed);
}

static void on_kafka_log(void *context, int level, const char *text)
{
    (void)context;
    mill_log(level <= 3 ? MILL_LOG_ERROR : level == 4 ? MILL_LOG_WARNING : MILL_LOG_DEBUG, "kafka", "%s", text);
}

static void list_online_views(struct mill_engine *engine)
{
    const struct mill_project *project = engine->project;

    engine->online_views = mill_calloc(project->view_count, sizeof(*engine->online_views));
    engine->online_index = mill_calloc(project->view_count, sizeof(*engine->online_index));
    for (uint32_t v = 0; v < project->view_count; v++) {
        engine->online_index[v] = engine->online_view_count;
        if (project->views[v].online) {
            engine->online_views[engine->online_view_count++] = (struct mill_online_view){
                .name = project->views[v].spec.name,
                .entity = &project->views[v].spec.entity,
                .features = mill_view_schema(engine->plan->views[v])->fields,
                .feature_count = mill_view_output_count(engine->plan->views[v]),
                .ttl_us = project->views[v].spec.ttl_us,
            };
        }
    }
}

struct id_search {
    uint32_t next;
};

static bool see_id(void *context, struct mill_slice key, struct mill_slice value)
{
    struct id_search *search = context;
    uint16_t id = 0;

    (void)key;
    if (value.n == sizeof(id)) {
        memcpy(&id, value.p, sizeof(id));
        search->next = (uint32_t)id + 1 > search->next ? (uint32_t)id + 1 : search->next;
    }
    return true;
}

/* State keys hold a view's number, not its name: the number is given once and kept as "view/<name>". */
static int number_views(struct mill_engine *engine, struct mill_error *err)
{
    const struct mill_project *project = engine->project;
    struct id_search search = {0};
    struct mill_buffer key = {0}, value = {0};
    struct mill_kv_batch *batch = mill_kv_batch_new();
    int rc = MILL_OK;

    engine->view_ids = mill_calloc(project->view_count, sizeof(*engine->view_ids));
    if (engine->kv != NULL) {
        rc = mill_kv_scan(engine->kv, MILL_KV_META, mill_slice_of("view/"), (struct mill_slice){0}, see_id, &search,
                          err);
    }
    for (uint32_t v = 0; v < project->view_count && rc >= 0; v++) {
        mill_buffer_reset(&key);
        mill_buffer_printf(&key, "view/%s", project->views[v].spec.name);
        rc = engine->kv == NULL ? 0 : mill_kv_get(engine->kv, MILL_KV_META, mill_buffer_slice(&key), &value, err);
        if (rc == 1 && value.n == sizeof(uint16_t)) {
            memcpy(&engine->view_ids[v], value.p, sizeof(uint16_t));
        } else if (rc >= 0) {
            engine->view_ids[v] = (uint16_t)search.next++;
            struct mill_slice id = {(const char *)&engine->view_ids[v], sizeof(uint16_t)};
            mill_kv_batch_put(batch, MILL_KV_META, mill_buffer_slice(&key), id);
        }
    }
    if (rc >= 0 && mill_kv_batch_count(batch) > 0 && engine->kv != NULL) {
        rc = mill_kv_write(engine->kv, batch, err);
    }
    mill_kv_batch_free(batch);
    mill_buffer_clear(&key);
    mill_buffer_clear(&value);
    return rc < 0 ? rc : MILL_OK;
}

/* librdkafka refuses records of more than a megabyte by itself, where the project does not say otherwise. */
static const char *const *allow_large_records(const struct mill_project *project)
{
    const char *const *pairs = project->kafka.librdkafka;
    uint32_t count = 0;

    for (; pairs[count] != NULL; count += 2) {
        if (strcmp(pairs[count], "message.max.bytes") == 0) {
            return pairs;
        }
    }
    const char **more = mill_arena_zarray(project->arena, const char *, count + 3);
    memcpy(more, pairs, count * sizeof(const char *));
    more[count] = "message.max.bytes";
    more[count + 1] = LARGE_RECORD;
    return more;
}

static int open_engine(struct mill_engine *engine, struct mill_error *err)
{
    const struct mill_project *project = engine->project;

    engine->kafka = (struct mill_kafka_options){
        .brokers = project->kafka.brokers,
        .group = project->kafka.group,
        .client_id = "tidemill",
        .librdkafka = project->monitor_count > 0 ? allow_large_records(project) : project->kafka.librdkafka,
        .on_log = on_kafka_log,
    };
    /* Compiled once without Kafka, so that models and views are found wrong before anything is waited for. */
    MILL_TRY(mill__plan_open(project, &(struct mill__plan_options){0}, &engine->plan, err));
    if (project->offline_store.rocksdb) {
        MILL_TRY(mill_kv_open(&project->offline_store.options, &engine->kv, err));
    }
    return number_views(engine, err);
}

int mill_engine_open(const struct mill_project *project, const struct mill_engine_options *options,
                     struct mill_engine **ret_engine, struct mill_error *err)
{
    struct mill_engine *engine = mill_calloc(1, sizeof(*engine));

    engine->project = project;
    engine->options = *options;
    engine->metrics = mill_metrics_new();
    engine->source_partitions = mill_calloc(project->source_count, sizeof(*engine->source_partitions));
    int rc = open_engine(engine, err);
    if (rc < 0) {
        mill_engine_close(engine);
        return rc;
    }
    *ret_engine = engine;
    return MILL_OK;
}

void mill_engine_close(struct mill_engine *engine)
{
    if (engine == NULL) {
        return;
    }
    for (uint32_t i = 0; i < engine->shard_count; i++) {
        struct mill__shard_metrics *s = &engine->shards[i].metrics;
        free(s->records);
        free(s->rejected);
        free(s->rows);
        free(s->scores);
        free(s->labels);
    }
    free(engine->shards);
    free(engine->online_views);
    free(engine->online_index);
    free(engine->view_ids);
    free(engine->source_partitions);
    mill__references_clear(&engine->references);
    mill__encoder_free(engine->encoder);
    mill__plan_close(engine->plan);
    mill_kv_close(engine->kv);
    mill_metrics_free(engine->metrics);
    free(engine);
}

struct mill_metrics *mill_engine_metrics(struct mill_engine *engine)
{
    return engine->metrics;
}

static void add_shard(const struct mill__shard *shard, struct mill_engine_summary *sum)
{
    const struct mill__plan *plan = shard->plan;
    const struct mill__shard_metrics *m = &shard->metrics;

    for (uint32_t t = 0; t < plan->topic_count; t++) {
        sum->events += plan->topics[t]->upstream_count == 0 ? mill_counter_value(m->records[t]) : 0;
        for (unsigned r = 0; r < MILL_REJECT_REASON_COUNT; r++) {
            sum->dead_letters += mill_counter_value(m->rejected[t * MILL_REJECT_REASON_COUNT + r]);
        }
    }
    for (uint32_t v = 0; v < plan->project->view_count; v++) {
        sum->rows += mill_counter_value(m->rows[v]);
    }
    for (uint32_t i = 0; i < plan->model_count; i++) {
        sum->scores += mill_counter_value(m->scores[i]);
    }
}

void mill_engine_summarize(struct mill_engine *engine, struct mill_engine_summary *ret_summary)
{
    struct mill_engine_summary sum = {0};
    int64_t first_ns = INT64_MAX, last_ns = 0;

    bool has_shards = atomic_load_explicit(&engine->has_shards, memory_order_acquire);
    for (uint32_t i = 0; has_shards && i < engine->shard_count; i++) {
        const struct mill__shard *shard = &engine->shards[i];
        int64_t first = atomic_load_explicit(&shard->first_ns, memory_order_relaxed);
        int64_t last = atomic_load_explicit(&shard->last_ns, memory_order_relaxed);
        add_shard(shard, &sum);
        first_ns = first != 0 && first < first_ns ? first : first_ns;
        last_ns = last > last_ns ? last : last_ns;
    }
    sum.busy_ns = last_ns > first_ns ? last_ns - first_ns : 0;
    *ret_summary = sum;
}

int32_t mill__panes_partition_of(const char *monitor, int32_t partition_count)
{
    return (int32_t)(mill_hash64(monitor, strlen(monitor)) % (uint64_t)partition_count);
}

int32_t mill__panes_partition(const struct mill_engine *engine, const char *monitor)
{
    return mill__panes_partition_of(monitor, engine->panes_partitions);
}

static bool is_stopping(const struct mill_engine *engine)
{
    return atomic_load_explicit(&engine->stop, memory_order_relaxed);
}

int mill__wait_for_offsets(struct mill_engine *engine, struct mill__shard *shard, const char *topic, int32_t number,
                           int64_t *ret_low, int64_t *ret_high, struct mill_error *err)
{
    for (;;) {
        int rc = mill_kafka_watermarks(&engine->kafka, topic, number, OFFSETS_TIMEOUT_MS, ret_low, ret_high, err);
        if (rc == MILL_OK || (!mill_error_is_retriable(rc) && rc != MILL_ENOINPUT) || is_stopping(engine)) {
            return rc;
        }
        if (shard != NULL) {
            mill__shard_set_trouble(shard, MILL__TROUBLE_KAFKA, true);
        }
        mill_log(MILL_LOG_WARNING, "kafka", "waiting for the offsets of topic '%s' partition %d: %s", topic, number,
                 err->msg);
        mill__nap_ms(ASK_AGAIN_MS);
    }
}

/* Asks until Kafka answers and every source topic is there. */
static int wait_for_topics(struct mill_engine *engine, int32_t *counts, struct mill_error *err)
{
    const struct mill_project *project = engine->project;

    for (uint32_t s = 0; s < project->source_count && !is_stopping(engine);) {
        int rc =
            mill_kafka_partition_count(&engine->kafka, project->sources[s].spec.topic, ASK_TIMEOUT_MS, &counts[s], err);
        if (rc == MILL_OK) {
            s++;
            continue;
        }
        if (rc != MILL_ENOINPUT && !mill_error_is_retriable(rc)) {
            return rc;
        }
        atomic_store_explicit(&engine->is_waiting, true, memory_order_relaxed);
        mill_log(MILL_LOG_WARNING, "kafka", "waiting for topic '%s': %s", project->sources[s].spec.topic, err->msg);
        mill__nap_ms(500);
    }
    atomic_store_explicit(&engine->is_waiting, false, memory_order_relaxed);
    return MILL_OK;
}

/* Creates a topic of ours where it is missing. *ret_count: what it has. */
static int find_topic(struct mill_engine *engine, const char *topic, int32_t count, const char *const *config,
                      int32_t *ret_count, struct mill_error *err)
{
    int rc;

    *ret_count = count;
    do {
        rc = mill_kafka_partition_count(&engine->kafka, topic, ASK_TIMEOUT_MS, ret_count, err);
        if (rc == MILL_ENOINPUT) {
            rc = mill_kafka_create_topic(&engine->kafka, topic, count, config, ASK_TIMEOUT_MS, err);
            *ret_count = count;
        }
        if (mill_error_is_retriable(rc)) {
            mill_log(MILL_LOG_WARNING, "kafka", "waiting to create topic '%s': %s", topic, err->msg);
            mill__nap_ms(500);
        }
    } while (mill_error_is_retriable(rc) && !is_stopping(engine));
    return rc;
}

/* Makes sure that a topic that must match the state's partitions does. */
static int make_topic(struct mill_engine *engine, const char *topic, int32_t count, bool must_match,
                      const char *const *config, struct mill_error *err)
{
    int32_t found;
    int rc = find_topic(engine, topic, count, config, &found, err);

    if (rc == MILL_OK && must_match && found != count) {
        return mill_fail(err, MILL_ECONFIG,
                         "internal topic '%s' has %d partitions, but %d are needed; hint: delete the topic, or set "
                         "kafka.internal_partitions to %d",
                         topic, found, count, found);
    }
    return rc;
}

/* The panes topic keeps the partitions that it was made with: all processes must agree on where a monitor is. */
static int make_drift_topics(struct mill_engine *engine, struct mill_error *err)
{
    static const char *const compacted[] = {"cleanup.policy", "compact", "max.message.bytes", LARGE_RECORD, NULL};
    const struct mill_output_config *output = &engine->project->output;
    const char *const results[] = {output->drift_reports_topic, output->drift_alerts_topic, output->retrain_topic};
    int32_t count = (int32_t)engine->plan->monitor_count, found;

    if (count == 0) {
        return MILL_OK;
    }
    count = count > PANES_PARTITIONS_MAX ? PANES_PARTITIONS_MAX : count;
    MILL_TRY(find_topic(engine, output->drift_panes_topic, count, compacted, &engine->panes_partitions, err));
    MILL_TRY(find_topic(engine, output->drift_references_topic, 1, compacted, &found, err));
    for (unsigned i = 0; i < 3; i++) {
        MILL_TRY(make_topic(engine, results[i], 1, false, NULL, err));
    }
    return MILL_OK;
}

/* What the engine reads of its own. A process that has lost its state reads what still waits for labels again. */
static int make_internal_topic(struct mill_engine *engine, const struct mill__stage *stage, struct mill_error *err)
{
    int64_t horizon_us = stage->joins == NULL ? 0 : stage->joins->config->labels.horizon_us;
    char retention_ms[32];
    const char *const config[] = {"retention.ms", retention_ms, NULL};

    snprintf(retention_ms, sizeof(retention_ms), "%lld",
             (long long)(horizon_us / 1000 + JOIN_RETENTION_DAYS * MILL_US_PER_DAY / 1000));
    return make_topic(engine, stage->topic, engine->plan->partition_count, true, stage->joins == NULL ? NULL : config,
                      err);
}

static int make_topics(struct mill_engine *engine, struct mill_error *err)
{
    const struct mill_project *project = engine->project;
    int32_t count = engine->plan->partition_count;
    bool has_joins = false;

    for (uint32_t t = 0; t < engine->plan->topic_count; t++) {
        if (engine->plan->topics[t]->upstream_count > 0) {
            MILL_TRY(make_internal_topic(engine, engine->plan->topics[t], err));
            has_joins |= engine->plan->topics[t]->joins != NULL;
        }
    }
    if (has_joins) {
        MILL_TRY(make_topic(engine, project->output.labels_topic, count, false, NULL, err));
    }
    for (uint32_t v = 0; v < project->view_count; v++) {
        if (project->views[v].topic != NULL) {
            MILL_TRY(make_topic(engine, project->views[v].topic, count, false, NULL, err));
        }
    }
    if (project->model_count > 0) {
        MILL_TRY(make_topic(engine, project->output.scores_topic, count, false, NULL, err));
    }
    MILL_TRY(make_drift_topics(engine, err));
    return make_topic(engine, project->output.dead_letter_topic, 1, false, NULL, err);
}

static int prepare(struct mill_engine *engine, struct mill_error *err)
{
    int32_t *counts = engine->source_partitions;
    struct mill__plan *plan = NULL;

    int rc = wait_for_topics(engine, counts, err);
    if (rc == MILL_OK && !is_stopping(engine)) {
        rc = mill__plan_open(engine->project, &(struct mill__plan_options){.partition_counts = counts}, &plan, err);
    }
    if (plan != NULL) {
        mill__plan_close(engine->plan);
        engine->plan = plan;
        engine->encoder = mill__encoder_new(plan, true);
        mill__references_init(&engine->references, plan->monitor_count);
        list_online_views(engine);
        for (uint32_t t = 0; t < plan->topic_count; t++) {
            const struct mill__stage *stage = plan->topics[t];
            engine->partition_total +=
                (uint32_t)(stage->upstream_count == 0 ? counts[stage->source] : plan->partition_count);
        }
        rc = make_topics(engine, err);
    }
    return rc;
}

static uint32_t choose_shard_count(const struct mill_engine *engine)
{
    uint32_t count = engine->project->engine.shards;

    if (count == 0) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        count = cores > 0 ? (uint32_t)cores : 1;
    }
    uint32_t useful = (uint32_t)engine->plan->partition_count;
    return count > useful && useful > 0 ? useful : count;
}

static void start_shards(struct mill_engine *engine)
{
    engine->shard_count = choose_shard_count(engine);
    engine->shards = mill_calloc(engine->shard_count, sizeof(*engine->shards));
    for (uint32_t i = 0; i < engine->shard_count; i++) {
        struct mill__shard *shard = &engine->shards[i];
        shard->engine = engine;
        shard->plan = engine->plan;
        shard->index = i;
        atomic_store(&shard->trouble, MILL__TROUBLE_STARTING);
        mill__shard_register_metrics(shard);
    }
    atomic_store_explicit(&engine->has_shards, true, memory_order_release);
    atomic_store_explicit(&engine->is_running, true, memory_order_release);
    for (uint32_t i = 0; i < engine->shard_count; i++) {
        int rc = pthread_create(&engine->shards[i].thread, NULL, mill__shard_main, &engine->shards[i]);
        mill_assert(rc == 0);
    }
}

/* Asks every shard whether the broker, too, has nothing more for it. */
static bool confirm_end(struct mill_engine *engine)
{
    uint32_t round = atomic_fetch_add_explicit(&engine->confirm, 1, memory_order_relaxed) + 1;
    bool all = true;

    for (uint32_t i = 0; i < engine->shard_count && !is_stopping(engine);) {
        if (atomic_load_explicit(&engine->shards[i].confirmed, memory_order_acquire) == round) {
            all &= atomic_load_explicit(&engine->shards[i++].is_confirmed, memory_order_relaxed);
        } else {
            mill__nap_ms(CONFIRM_MS);
        }
    }
    return all;
}

struct rest {
    bool is_at_end; /* all partitions are here and read to the end, and everything sent is acknowledged */
    uint64_t moved;
};

static struct rest look_for_rest(struct mill_engine *engine)
{
    struct rest rest = {.is_at_end = true};
    uint32_t inputs = 0;

    for (uint32_t i = 0; i < engine->shard_count; i++) {
        rest.is_at_end &= atomic_load_explicit(&engine->shards[i].is_at_end, memory_order_acquire);
        rest.moved += atomic_load_explicit(&engine->shards[i].moved, memory_order_relaxed);
        inputs += atomic_load_explicit(&engine->shards[i].input_count, memory_order_relaxed);
    }
    rest.is_at_end &= inputs == engine->partition_total && mill__engine_is_awake(engine);
    return rest;
}

/* Nothing has moved for a while, and while all shards asked the broker: so nothing is under way between them. */
static void wait_until_still(struct mill_engine *engine)
{
    uint64_t last = 0;

    for (int still = 0; !is_stopping(engine);) {
        struct rest rest = look_for_rest(engine);
        still = rest.is_at_end && rest.moved == last ? still + 1 : 0;
        last = rest.moved;
        if (still >= IDLE_ROUNDS) {
            if (confirm_end(engine) && look_for_rest(engine).moved == last) {
                return;
            }
            still = 0;
        }
        mill__nap_ms(WATCH_MS);
    }
}

static uint64_t sum_announced(struct mill_engine *engine)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < engine->shard_count; i++) {
        sum += atomic_load_explicit(&engine->shards[i].announced, memory_order_relaxed);
    }
    return sum;
}

/* Every shard has flushed after it was asked to. */
static void settle(struct mill_engine *engine)
{
    uint32_t round = atomic_fetch_add_explicit(&engine->settle, 1, memory_order_relaxed) + 1;

    for (uint32_t i = 0; i < engine->shard_count && !is_stopping(engine);) {
        if (atomic_load_explicit(&engine->shards[i].settled, memory_order_acquire) == round) {
            i++;
        } else {
            mill__nap_ms(WATCH_MS);
        }
    }
}

/* What a flush announces moves later stages, which have something to announce then; until a flush says nothing new. */
static void watch_for_end(struct mill_engine *engine)
{
    uint64_t announced;

    wait_until_still(engine);
    do {
        announced = sum_announced(engine);
        settle(engine);
        wait_until_still(engine);
    } while (sum_announced(engine) != announced && !is_stopping(engine));
    mill_engine_stop(engine);
}

/* The references that are there are known before the first row is counted. */
static int open_evaluator(struct mill_engine *engine, struct mill_error *err)
{
    if (engine->plan->monitor_count == 0) {
        return MILL_OK;
    }
    engine->evaluator = mill_calloc(1, sizeof(*engine->evaluator));
    engine->evaluator->engine = engine;
    engine->evaluator->plan = engine->plan;
    int rc = mill__evaluator_read_references(engine->evaluator, err);
    if (rc < 0) {
        mill_tail_close(engine->evaluator->references);
        free(engine->evaluator);
        engine->evaluator = NULL;
    }
    return rc;
}

static void start_evaluator(struct mill_engine *engine)
{
    if (engine->evaluator == NULL) {
        return;
    }
    int rc = pthread_create(&engine->evaluator->thread, NULL, mill__evaluator_main, engine->evaluator);
    mill_assert(rc == 0);
}

/* It leaves when it has said what the shards' last panes make due. */
static int join_evaluator(struct mill_engine *engine, struct mill_error *err)
{
    struct mill__evaluator *evaluator = engine->evaluator;

    if (evaluator == NULL) {
        return MILL_OK;
    }
    pthread_join(evaluator->thread, NULL);
    int rc = evaluator->rc;
    if (rc < 0) {
        *err = evaluator->err;
    }
    free(evaluator);
    engine->evaluator = NULL;
    return rc;
}

static int join_shards(struct mill_engine *engine, struct mill_error *err)
{
    int rc = MILL_OK;

    for (uint32_t i = 0; i < engine->shard_count; i++) {
        pthread_join(engine->shards[i].thread, NULL);
        if (engine->shards[i].rc < 0 && rc == MILL_OK) {
            rc = engine->shards[i].rc;
            *err = engine->shards[i].err;
        }
    }
    return rc;
}

int mill_engine_run(struct mill_engine *engine, struct mill_error *err)
{
    int rc = prepare(engine, err);
    rc = rc < 0 || is_stopping(engine) ? rc : open_evaluator(engine, err);
    if (rc < 0 || (is_stopping(engine) && engine->evaluator == NULL)) {
        return rc;
    }
    start_shards(engine);
    start_evaluator(engine);
    mill_log(MILL_LOG_INFO, "engine", "running '%s': %u sources, %u feature views, %u models, %u shards, %d partitions",
             engine->project->name, engine->project->source_count, engine->project->view_count,
             engine->project->model_count, engine->shard_count, engine->plan->partition_count);
    if (engine->options.until_end) {
        watch_for_end(engine);
    }
    rc = join_shards(engine, err);
    atomic_store_explicit(&engine->shards_left, true, memory_order_release);
    int evaluator_rc = join_evaluator(engine, rc < 0 ? &(struct mill_error){0} : err);
    rc = rc < 0 ? rc : evaluator_rc;
    atomic_store_explicit(&engine->is_running, false, memory_order_relaxed);
    return rc;
}

bool mill_engine_is_ready(struct mill_engine *engine, struct mill_buffer *why)
{
    static const struct {
        unsigned bit;
        const char *text;
    } reasons[] = {
        {MILL__TROUBLE_STARTING, "starting"},
        {MILL__TROUBLE_KAFKA, "kafka cannot be reached"},
        {MILL__TROUBLE_REDIS, "the online store cannot be reached"},
        {MILL__TROUBLE_DISK, "state cannot be written to the offline store"},
        {MILL__TROUBLE_REGISTRY, "the schema registry cannot be reached"},
        {MILL__TROUBLE_FENCED, "another engine writes some partitions of the online store"},
    };
    unsigned trouble = 0;

    if (!atomic_load_explicit(&engine->is_running, memory_order_acquire)) {
        mill_buffer_add_string(why,
                               atomic_load(&engine->is_waiting) ? "waiting for kafka and its topics" : "not running");
        return false;
    }
    for (uint32_t i = 0; i < engine->shard_count; i++) {
        trouble |= atomic_load_explicit(&engine->shards[i].trouble, memory_order_relaxed);
    }
    for (size_t r = 0; r < sizeof(reasons) / sizeof(reasons[0]); r++) {
        if (trouble & reasons[r].bit) {
            mill_buffer_printf(why, "%s%s", why->n > 0 ? "; " : "", reasons[r].text);
        }
    }
    return trouble == 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The series that a shard writes. Names and units: docs of /metrics in README. */
#include "engine/engine_internal.h"

static const double latency_bounds[] = {0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5, 30, 300};
static const double duration_bounds[] = {0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5};
enum { LATENCY_BOUNDS = 14, DURATION_BOUNDS = 10 };

static void register_topics(struct mill__shard *shard, struct mill_metrics *m)
{
    const struct mill__plan *plan = shard->plan;
    struct mill__shard_metrics *s = &shard->metrics;

    s->records = mill_calloc(plan->topic_count, sizeof(struct mill_metric *));
    s->rejected = mill_calloc((size_t)plan->topic_count * MILL_REJECT_REASON_COUNT, sizeof(struct mill_metric *));
    for (uint32_t t = 0; t < plan->topic_count; t++) {
        const char *topic = plan->topics[t]->topic;
        const char *labels[] = {"topic", topic, NULL};
        s->records[t] = mill_metrics_counter(m, "ingest_records_total", "Records read, good or bad.", labels);
        for (unsigned r = 0; r < MILL_REJECT_REASON_COUNT; r++) {
            const char *reasons[] = {"topic", topic, "reason", mill_reject_reason_name((enum mill_reject_reason)r),
                                     NULL};
            s->rejected[t * MILL_REJECT_REASON_COUNT + r] = mill_metrics_counter(
                m, "ingest_rejected_records_total", "Records sent to the dead-letter topic.", reasons);
        }
    }
}

static void register_results(struct mill__shard *shard, struct mill_metrics *m)
{
    const struct mill_project *project = shard->plan->project;
    struct mill__shard_metrics *s = &shard->metrics;

    s->rows = mill_calloc(project->view_count, sizeof(struct mill_metric *));
    for (uint32_t v = 0; v < project->view_count; v++) {
        const char *labels[] = {"view", project->views[v].spec.name, NULL};
        s->rows[v] = mill_metrics_counter(m, "feature_rows_total", "Rows computed.", labels);
    }
    s->scores = mill_calloc(project->model_count, sizeof(struct mill_metric *));
    for (uint32_t i = 0; i < project->model_count; i++) {
        const char *labels[] = {"model", project->models[i].name, NULL};
        s->scores[i] = mill_metrics_counter(m, "scores_total", "Scores written.", labels);
        const struct mill_model_info *info = mill_model_info(shard->plan->models[i].model);
        const char *info_labels[] = {
            "model", project->models[i].name, "version", project->models[i].version, "sha256", info->sha256, NULL};
        mill_gauge_set(mill_metrics_gauge(m, "model_info", "The models in use; always 1.", MILL_GAUGE_MAX, info_labels),
                       1);
    }
}

static struct mill_metric *register_drop(struct mill_metrics *m, const char *monitor, const char *reason)
{
    const char *labels[] = {"monitor", monitor, "reason", reason, NULL};
    return mill_metrics_counter(m, "labels_dropped_total", "Scores and labels that could not take part in the join.",
                                labels);
}

static void register_labels(struct mill__shard *shard, struct mill_metrics *m)
{
    shard->metrics.labels = mill_calloc(shard->plan->monitor_count, sizeof(*shard->metrics.labels));
    for (uint32_t i = 0; i < shard->plan->monitor_count; i++) {
        const char *name = shard->plan->monitors[i].spec.name, *labels[] = {"monitor", name, NULL};
        struct mill__label_metrics *of = &shard->metrics.labels[i];
        if (shard->plan->monitors[i].join == NULL) {
            continue;
        }
        of->joined = mill_metrics_counter(m, "labels_joined_total", "Scores that met their labels.", labels);
        of->expired = mill_metrics_counter(m, "labels_expired_total",
                                           "Scores whose label did not come within the horizon.", labels);
        of->unclaimed = mill_metrics_counter(m, "labels_unclaimed_total", "Labels without a score.", labels);
        of->too_many = register_drop(m, name, "max_pending");
        of->keyless = register_drop(m, name, "no_key");
        of->odd = register_drop(m, name, "not_0_or_1");
        of->pending = mill_metrics_gauge(m, "labels_pending", "Scores and labels that wait for one another.",
                                         MILL_GAUGE_SUM, labels);
    }
}

void mill__shard_register_metrics(struct mill__shard *shard)
{
    struct mill_metrics *m = shard->engine->metrics;
    struct mill__shard_metrics *s = &shard->metrics;

    register_topics(shard, m);
    register_results(shard, m);
    register_labels(shard, m);
    s->late_dropped = mill_metrics_counter(m, "late_dropped_total", "Late events dropped (late_events: drop).", NULL);
    s->late_applied = mill_metrics_counter(m, "late_applied_total", "Late events folded (late_events: apply).", NULL);
    s->duplicates =
        mill_metrics_counter(m, "rekeyed_duplicates_total", "Re-keyed records seen before and dropped.", NULL);
    s->null_warnings =
        mill_metrics_counter(m, "data_quality_warnings_total", "Fields over max_null_fraction, per window.", NULL);
    s->undeliverable =
        mill_metrics_counter(m, "undeliverable_records_total", "Output records that Kafka refuses for good.", NULL);
    s->batch_seconds = mill_metrics_histogram(m, "batch_duration_seconds", "From fetched to sent, a round of batches.",
                                              duration_bounds, DURATION_BOUNDS, NULL);
    s->latency_seconds =
        mill_metrics_histogram(m, "event_latency_seconds", "From produced to scored, first record of a batch.",
                               latency_bounds, LATENCY_BOUNDS, NULL);
    s->flush_seconds = mill_metrics_histogram(m, "flush_duration_seconds", "Write-back of state to RocksDB.",
                                              duration_bounds, DURATION_BOUNDS, NULL);
    s->entities = mill_metrics_gauge(m, "state_entities", "Entities in memory.", MILL_GAUGE_SUM, NULL);
    s->state_bytes = mill_metrics_gauge(m, "state_bytes", "Memory of entity state.", MILL_GAUGE_SUM, NULL);
    s->evicted = mill_metrics_gauge(m, "state_evicted_entities", "Entities moved from memory to RocksDB so far.",
                                    MILL_GAUGE_SUM, NULL);
    s->cold_reads =
        mill_metrics_gauge(m, "state_cold_reads", "Entities read back from RocksDB so far.", MILL_GAUGE_SUM, NULL);
    s->events_dropped =
        mill_metrics_gauge(m, "state_dropped_events", "Window events beyond max_events so far.", MILL_GAUGE_SUM, NULL);
    s->online_pending_bytes = mill_metrics_gauge(m, "online_store_pending_bytes",
                                                 "Rows that Redis has not acknowledged.", MILL_GAUGE_SUM, NULL);
    s->restored_rows = mill_metrics_counter(m, "online_store_restored_rows_total",
                                            "Rows put again because Redis had lost them.", NULL);
    s->rebuilding = mill_metrics_gauge(m, "online_store_rebuilding_partitions",
                                       "Partitions whose rows are being put again.", MILL_GAUGE_SUM, NULL);
    s->fenced = mill_metrics_gauge(m, "online_store_fenced_partitions",
                                   "Partitions that another engine has taken in Redis.", MILL_GAUGE_SUM, NULL);
}

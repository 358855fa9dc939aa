/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Engine: the project file, the pipeline compiled from it, shards, offline runs, lifecycle. The only module that knows
 * all domain modules, and (with server/ and cli/) the only one that logs.
 */
#ifndef MILL_ENGINE_H
#define MILL_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/metrics.h"
#include "base/timestamp.h"
#include "drift/drift.h"
#include "featurestore/featurestore.h"
#include "inference/inference.h"
#include "ingest/ingest.h"

/* ------------------------------------------------------------------------------------------------
 * The project file
 * --------------------------------------------------------------------------------------------- */

enum mill_delivery { MILL_AT_LEAST_ONCE, MILL_EXACTLY_ONCE };
enum mill_late_policy { MILL_LATE_DEAD_LETTER, MILL_LATE_DROP, MILL_LATE_APPLY };

struct mill_source_config {
    struct mill_source_spec spec;
    uint32_t key_columns[MILL_KEY_PARTS_MAX]; /* `key:` the fields that the topic is keyed by */
    uint32_t key_count;                       /* 0: not said; every view is then re-keyed */
    int64_t allowed_lateness_us;              /* default 0 */
    enum mill_late_policy late_events;
    int64_t max_idle_us; /* how long the merge waits for this input once it is at its end; default 50 ms */
    unsigned line, col;
};

struct mill_view_config {
    struct mill_view_spec spec; /* lateness_us is the largest allowed_lateness of the project */
    uint32_t entity, source;    /* indices */
    bool online;                /* write rows to the online store; default true */
    const char *topic;          /* `topic:` rows also go to this topic; NULL: no */
    unsigned line, col;
};

/* One input of a model: an output column of a view. */
struct mill_service_feature {
    uint32_t view, column;
    const char *name; /* the feature's name; "view__feature" where two views of the service share a name */
};
struct mill_service_config {
    const char *name;
    const struct mill_service_feature *features;
    uint32_t feature_count;
    const uint32_t *views; /* the distinct views, in order of first mention */
    uint32_t view_count;
    unsigned line, col;
};

struct mill_model_config {
    const char *name;
    uint32_t service;
    uint32_t source;     /* whose events are scored: `source:`, default the source of the service's first view */
    const char *uri;     /* as written */
    const char *file;    /* resolved model file */
    const char *version; /* from the registry; "0" for a bare file */
    const char *profile; /* file of the training data's profile, or NULL */
    double threshold;    /* decision = score >= threshold; NaN: no decision */
    unsigned line, col;
};

/* One watched column of a monitor, in the order of its profile spec's fields. */
enum mill_monitor_column_kind { MILL_MONITOR_INPUT, MILL_MONITOR_FIELD, MILL_MONITOR_SCORE };
struct mill_monitor_column {
    const char *name;
    enum mill_monitor_column_kind kind;
    uint32_t index;      /* of the service's features, of the source's fields */
    bool is_categorical; /* though it is a number */
};
/* Labels that arrive as events of a source and meet the scores of the monitor's model by key. */
struct mill_label_config {
    uint32_t source;
    const char *key;                   /* a field of both sources */
    uint32_t score_field, label_field; /* it, in the source that is scored and in that of the labels */
    const char *expr;                  /* over the fields of the labels' source: a bool or 0 and 1; null: no label */
    int64_t horizon_us;
    uint32_t pending_max;
};
struct mill_monitor_config {
    struct mill_drift_monitor_spec spec; /* but for the fields of its columns, whose types the plan knows */
    uint32_t model;
    const struct mill_monitor_column *columns;
    uint32_t column_count;
    bool has_segments;
    struct mill_monitor_column segment;
    const char *reference_file; /* profile; NULL: made of the stream */
    const char *alertmanager;   /* URL; NULL: none */
    bool has_labels;
    struct mill_label_config labels;
    int64_t idle_timeout_us;
    unsigned line, col;
};

struct mill_output_config {
    const char *scores_topic, *dead_letter_topic; /* "<project>.scores", "<project>.dead_letter" */
    const char *drift_reports_topic, *drift_alerts_topic, *retrain_topic, *labels_topic;
    const char *drift_panes_topic, *drift_references_topic; /* internal, compacted */
    enum mill_format format;                                /* of all of those but the internal; JSON by default */
};

struct mill_project {
    const char *path; /* of the file */
    const char *name; /* `project:` */
    struct {
        const char *brokers; /* comma-separated */
        const char *group;   /* default: the project's name */
        const char *const *librdkafka;
        int32_t internal_partitions; /* of re-keyed topics; 0: the largest partition count of the sources */
    } kafka;
    enum mill_delivery delivery;
    struct {
        bool redis; /* false: `type: none` */
        struct mill_online_options options;
    } online_store;
    struct {
        bool rocksdb; /* false: `type: none`; state then lives in memory and is rebuilt from the topics */
        struct mill_kv_options options;
    } offline_store;
    struct {
        uint32_t shards;           /* threads; 0: one a core */
        uint32_t batch_rows;       /* default 1024 */
        int64_t flush_interval_us; /* state write-back; default 5 s */
        uint32_t entities_max;     /* in memory, per view and partition; default 1,000,000 */
    } engine;
    struct {
        const char *listen; /* "127.0.0.1:6566"; empty: no HTTP */
    } server;
    struct mill_output_config output;
    const struct mill_entity *entities;
    uint32_t entity_count;
    const struct mill_source_config *sources;
    uint32_t source_count;
    const struct mill_view_config *views;
    uint32_t view_count;
    const struct mill_service_config *services;
    uint32_t service_count;
    const struct mill_model_config *models;
    uint32_t model_count;
    const struct mill_monitor_config *monitors;
    uint32_t monitor_count;
    struct mill_arena *arena; /* everything above; freed with the project */
};

/* One problem of a project file. */
struct mill_problem {
    const char *file;
    unsigned line, col;
    const char *message; /* what is wrong, what was expected, hint */
    bool warning;
};
struct mill_problems {
    struct mill_problem *at;
    uint32_t count, capacity, error_count;
    struct mill_arena arena; /* owns the messages */
};
void mill_problems_clear(struct mill_problems *problems);

struct mill_project_options {
    const char *const *sets; /* "a.b=c" strings of --set, NULL-terminated, or NULL */
    bool offline;            /* no Kafka, Redis or RocksDB settings are needed; registry and topics are not asked */
};
/* Reads, interpolates, binds, resolves names, compiles every expression once to check it, resolves model files. All
 * problems are collected; MILL_ECONFIG where any is an error (then *ret_project is untouched). MILL_ENOINPUT: no such
 * file. */
int mill_project_load(const char *path, const struct mill_project_options *options, struct mill_project **ret_project,
                      struct mill_problems *problems, struct mill_error *err) MILL_MUST_CHECK;
void mill_project_free(struct mill_project *project);

/* The effective configuration: calls each() for every scalar key of the option table, in file order ("kafka.group",
 * "flights", "file:3:9" / "default" / "env MILL_KAFKA_GROUP" / "--set"). Secrets read "***". */
void mill_project_each_setting(const struct mill_project *project,
                               void (*each)(void *context, const char *key, const char *value, const char *origin),
                               void *context);
/* Appends the reference of all keys in Markdown: docs/config.md. */
void mill_project_write_reference(struct mill_buffer *out);

/* ------------------------------------------------------------------------------------------------
 * Running
 * --------------------------------------------------------------------------------------------- */

struct mill_engine;

struct mill_engine_options {
    bool until_end; /* leave when every input was read to the end that it had at the start (`run --until-end`) */
};

/* Loads models, opens stores; waits for nothing. */
int mill_engine_open(const struct mill_project *project, const struct mill_engine_options *options,
                     struct mill_engine **ret_engine, struct mill_error *err) MILL_MUST_CHECK;
/* Runs the shards until mill_engine_stop, the end (until_end) or a fatal error; drains, flushes and returns. */
int mill_engine_run(struct mill_engine *engine, struct mill_error *err) MILL_MUST_CHECK;
/* Asks for an orderly drain. Async-signal-safe; any thread. */
void mill_engine_stop(struct mill_engine *engine);
void mill_engine_close(struct mill_engine *engine);

/* What went through since the start; any thread. */
struct mill_engine_summary {
    uint64_t events, rows, scores, dead_letters; /* events: records of the sources, good or bad */
    int64_t busy_ns;                             /* from the first batch to the last */
};
void mill_engine_summarize(struct mill_engine *engine, struct mill_engine_summary *ret_summary);

/* Asks the evaluator of a monitor, in whatever process it runs, for a retraining trigger of reason `manual`. Returns
 * when the broker has the request. MILL_EUSAGE: no such monitor. MILL_ENOINPUT: no engine of the project has run yet.
 * MILL_EUNAVAIL: the broker does not answer. */
int mill_engine_request_trigger(const struct mill_project *project, const char *monitor,
                                struct mill_error *err) MILL_MUST_CHECK;

struct mill_metrics *mill_engine_metrics(struct mill_engine *engine);
/* Any thread. False: *why gets one sentence (restoring, kafka is down, redis is down, disk full). */
bool mill_engine_is_ready(struct mill_engine *engine, struct mill_buffer *why);

/* Offline: files in, files out, the same path, deterministic. */
struct mill_offline_input {
    const char *source, *path;
};
struct mill_offline_summary {
    uint64_t events, rows, scores, dead_letters;
    int64_t wall_ns, cpu_ns;
};
struct mill_offline_options {
    const struct mill_offline_input *inputs;
    uint32_t input_count;
    const char *output_dir;
    const char
        *vectors_of; /* a feature service: instead of scores, its vectors as <service>.csv (training sets); or NULL */
    void (*progress)(void *context, uint64_t done_bytes, uint64_t total_bytes, uint64_t events);
    void *context;
};
int mill_offline_run(const struct mill_project *project, const struct mill_offline_options *options,
                     struct mill_offline_summary *ret_summary, struct mill_error *err) MILL_MUST_CHECK;

#endif

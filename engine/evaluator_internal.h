/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The evaluator: one thread per process with its own consumer of the panes topic, in the group "<group>.drift". Who
 * owns a partition evaluates the monitors whose records are there. On assignment the partition is read from its
 * beginning to its end, the monitor's own state included; then every window end that is due is evaluated:
 *
 *   panes topic --parts, progress--> mill_drift_monitor --reports, alerts, triggers--> their topics
 *                                                       --state, tombstones of expired parts--> panes topic
 *
 * The state is sent once the outputs are acknowledged, tombstones once the state is. A process that dies in between is
 * followed by another that evaluates the same windows to the same ids; once the state is there, nothing is said twice.
 *
 *   key of the state    monitor|s                                value: zigzag end of the last window | the monitor
 *   key of a request    monitor|m                                value: zigzag wall time; a trigger asked for by hand
 *
 * evaluator.c is the thread; evaluator_slot.c what is known of a partition; evaluator_output.c what goes out.
 */
#ifndef MILL_ENGINE_EVALUATOR_INTERNAL_H
#define MILL_ENGINE_EVALUATOR_INTERNAL_H

#include <pthread.h>

#include "engine/alertmanager_internal.h"
#include "engine/cloud_event_internal.h"
#include "engine/plan_internal.h"

struct mill__evaluator;

/* A record of the panes topic, kept until the partition has been read. */
struct mill__pane_record {
    struct mill_slice key, value; /* value.p NULL: a tombstone */
    uint32_t order;
};

/* A monitor in a partition that this evaluator owns. */
struct mill__watch {
    struct mill__evaluator *evaluator;
    const struct mill__plan_monitor *plan;
    uint32_t number; /* of the plan's monitors */
    struct mill_drift_monitor *monitor;
    struct mill__alertmanager *alertmanager; /* NULL: none */
    int64_t *progress_us;                    /* per contributor, as it was told; INT64_MIN: not yet */
    bool *is_idle;
    int64_t evaluated_us; /* end of the last window; INT64_MIN: none yet */
    bool has_news;
    bool is_asked; /* for a trigger by hand */
};

struct mill__slot {
    struct mill__slot *next;
    struct mill__evaluator *evaluator;
    struct mill_partition *partition;
    int32_t number;
    int64_t end_offset; /* what there was when the partition came */
    bool is_restored;
    struct mill_arena arena; /* of records */
    struct mill__pane_record *records;
    uint32_t record_count, record_capacity;
    struct mill__watch *watches;
    uint32_t watch_count;
};

struct mill__drift_metrics;

struct mill__evaluator {
    struct mill_engine *engine;
    const struct mill__plan *plan;
    pthread_t thread;
    struct mill_consumer *consumer;
    struct mill_producer *producer;
    struct mill_tail *references; /* NULL: no monitor makes its own */
    unsigned reports_topic, alerts_topic, retrain_topic, panes_topic, references_topic;
    struct mill__slot *slots;
    struct mill__drift_metrics *metrics;
    struct mill_buffer key, text;
    struct mill__cloud_headers headers;
    uint32_t emitted;        /* records of the evaluation at hand */
    struct mill_buffer gone; /* keys of expired parts, each with a zero behind */
    int send_rc;             /* first failure of a send */
    struct mill_error send_err;
    int rc; /* how the thread ended */
    struct mill_error err;
};

/* evaluator.c */
/* All references that were published before, so that neither shards nor monitors make them twice. Before the thread
 * starts. */
int mill__evaluator_read_references(struct mill__evaluator *evaluator, struct mill_error *err) MILL_MUST_CHECK;
void *mill__evaluator_main(void *evaluator);

/* evaluator_slot.c */
struct mill__slot *mill__slot_new(struct mill__evaluator *evaluator, struct mill_partition *partition, int32_t number,
                                  int64_t end_offset);
void mill__slot_free(struct mill__slot *slot);
void mill__slot_take(struct mill__slot *slot, struct mill_slice key, struct mill_slice value);
/* The partition was read to its end: the monitors take up what they have said. */
void mill__slot_restore(struct mill__slot *slot);

/* evaluator_output.c */
/* Evaluates what is due and sends what follows, acknowledged. One place, so that a transaction could be put around it.
 */
int mill__watch_emit(struct mill__watch *watch, struct mill_error *err) MILL_MUST_CHECK;

/* evaluator_metrics.c */
struct mill__drift_metrics *mill__drift_metrics_new(struct mill_metrics *metrics);
void mill__drift_metrics_free(struct mill__drift_metrics *metrics);
void mill__drift_metrics_report(struct mill__drift_metrics *metrics, const struct mill_drift_report *report);
void mill__drift_metrics_alert(struct mill__drift_metrics *metrics, const struct mill_drift_alert *alert);
void mill__drift_metrics_trigger(struct mill__drift_metrics *metrics, const char *model,
                                 enum mill_trigger_reason reason);
/* The monitor's series are another process's now. */
void mill__drift_metrics_unset(struct mill__drift_metrics *metrics, const char *monitor);

#endif

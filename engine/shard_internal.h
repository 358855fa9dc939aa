/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A shard: one thread with its own consumer, producer, Redis connection and entity state. Shards share the plan, the
 * RocksDB handle and counters, nothing else.
 *
 *   shard.c         the loop            shard_input.c   assignment, batches    shard_output.c   where results go
 *   shard_flush.c   write-back          shard_online.c  fences of Redis        shard_rebuild.c  rows that it has lost
 *   shard_drift.c   counts of monitors  shard_feed.c    scores and labels on   shard_join.c     where they meet
 *                                                       their way to meet
 *
 *   engine > shard > task   partition number n: the state of all views there
 *                  > input  (topic, n): one pass over its current batch; inputs of one merge group and number are
 *                           merged by event time
 *
 * Every function here runs on the shard's own thread unless it says otherwise.
 */
#ifndef MILL_ENGINE_SHARD_INTERNAL_H
#define MILL_ENGINE_SHARD_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "engine/admit_internal.h"
#include "engine/cloud_event_internal.h"
#include "engine/contributor_internal.h"
#include "engine/encode_internal.h"
#include "engine/labels_internal.h"
#include "engine/meta_internal.h"
#include "engine/pass_internal.h"
#include "engine/rekey_internal.h"

struct mill__shard;

/* Putting the rows of a task again, which the online store has lost. */
struct mill__rebuild {
    bool is_wanted;
    uint64_t flush; /* begins once so many flushes have brought what was folded before to the key-value store */
    uint32_t view;  /* of the project */
    struct mill_row_walk walk;
    uint64_t row_count, skipped_count;
    int64_t begin_ns, told_ns;
};

struct mill__task {
    struct mill__task *next;
    int32_t number;
    uint32_t input_count;
    /* The fencing token of the online store. Fenced: another engine took it; nothing is folded until it is ours again,
     * and what is in memory is not written. */
    bool is_claimed, is_fenced;
    bool is_spoilt;       /* an input has left without its events being written: its state must not be, either */
    uint32_t fence_count; /* in a row */
    int64_t claimed_ns, fenced_ns;
    struct mill__rebuild rebuild;
    struct mill_view_table **tables;
};

/* The join of a monitor, as far as one partition of its keys goes. */
struct mill__join_input {
    struct mill_join *join;    /* NULL: it is an input of events */
    struct mill_buffer prefix; /* of its keys in RocksDB */
    bool is_defined;           /* RocksDB knows what it is made of */
    struct mill__told told;
    struct mill_join_status counted; /* by the shard's metrics */
};

struct mill__input {
    struct mill__input *next;
    struct mill__shard *shard;
    struct mill__task *task;
    const struct mill__stage *stage;
    struct mill_partition *partition;
    int32_t number;

    struct mill__pass pass;
    struct mill_record *records; /* row i of the batch is record i */
    uint32_t record_count;       /* fetched and not yet given back */
    bool is_loaded;              /* decoded into the pass */
    struct mill__rekey_origin *origins;
    struct mill__admission admission; /* stage 0 */

    struct mill__upstreams loaded;          /* stages behind 0: what was taken into batches */
    struct mill__input_meta applied;        /* what has been folded and sent out */
    struct mill__contributors contributors; /* of drift monitors */
    struct mill_column *label_values;       /* per feed of the stage: of the batch */
    struct mill__join_input join;           /* where scores and labels meet */
    int64_t announced_us;                   /* to later stages, with announced_idle; INT64_MIN: nothing yet */
    int64_t announced_ns;                   /* monotonic time of that */
    bool announced_idle, has_announced;
    int64_t assigned_ns; /* monotonic */
    int64_t data_ns;     /* monotonic time of the last record, for max_idle */

    struct mill_metric *lag, *watermark;
};

struct mill__label_metrics {
    struct mill_metric *joined, *expired, *unclaimed, *too_many, *keyless, *odd, *pending;
};

/* Counters of a shard; each is written by its thread only. */
struct mill__shard_metrics {
    struct mill_metric **records;       /* per topic of the plan */
    struct mill_metric **rejected;      /* per topic and reason */
    struct mill_metric **rows;          /* per view */
    struct mill_metric **scores;        /* per model */
    struct mill__label_metrics *labels; /* per monitor */
    struct mill_metric *late_dropped, *late_applied, *duplicates, *null_warnings, *undeliverable;
    struct mill_metric *batch_seconds, *latency_seconds, *flush_seconds;
    struct mill_metric *entities, *state_bytes, *evicted, *cold_reads, *events_dropped;
    struct mill_metric *online_pending_bytes, *restored_rows, *rebuilding, *fenced;
};

enum mill__trouble {
    MILL__TROUBLE_KAFKA = 1,
    MILL__TROUBLE_REDIS = 2,
    MILL__TROUBLE_DISK = 4,
    MILL__TROUBLE_REGISTRY = 8,
    MILL__TROUBLE_STARTING = 16,
    MILL__TROUBLE_FENCED = 32,
};

struct mill__shard {
    struct mill_engine *engine;
    const struct mill__plan *plan;
    uint32_t index;
    pthread_t thread;

    struct mill_consumer *consumer;
    struct mill_producer *producer;
    unsigned *stage_topics; /* producer topic per topic of the plan */
    unsigned *view_topics;  /* producer topic per view with `topic:` */
    unsigned scores_topic, dead_letter_topic, panes_topic, labels_topic;
    struct mill_online *online;
    uint32_t *online_views;         /* index in the online store per view, UINT32_MAX: not online */
    struct mill_decoder **decoders; /* per source */

    struct mill__task *tasks;
    struct mill__input *inputs;

    struct mill__cloud_headers headers; /* of a joined label */
    struct mill_batch meeting;          /* one row, on its way to a join */
    struct mill_arena meeting_arena;

    struct mill_kv_batch *batch;
    bool batch_is_pending; /* serialised, but the disk refused it */
    int64_t flushed_ns, disk_retry_ns;
    uint64_t flushed_moved; /* of `moved` at the last flush */
    uint64_t flush_count;

    struct mill_buffer text, key, scratch;
    struct mill__shard_metrics metrics;

    /* Read by other threads. */
    _Atomic unsigned trouble;   /* enum mill__trouble bits */
    _Atomic uint64_t moved;     /* counts every step forward; a still number means idle */
    _Atomic uint32_t settled;   /* the engine's `settle` that the last flush has seen */
    _Atomic uint64_t announced; /* counts what flushes have told others */
    _Atomic uint32_t input_count;
    _Atomic uint32_t awake_count;      /* inputs of which everybody has been told that they do not sleep */
    _Atomic int64_t first_ns, last_ns; /* monotonic times of the first and last batch; 0: none yet */
    _Atomic bool is_at_end;
    _Atomic bool is_confirmed; /* the broker says so, too; answers the engine's `confirm` of that number */
    _Atomic uint32_t confirmed;

    int rc; /* how the thread ended */
    struct mill_error err;
};

/* shard.c */
void *mill__shard_main(void *shard);
void mill__shard_set_trouble(struct mill__shard *shard, enum mill__trouble which, bool on);

/* shard_input.c */
int mill__shard_assigned(void *context, struct mill_partition *partition, unsigned topic, int32_t number,
                         int64_t *ret_offset, void **ret_user, struct mill_error *err);
void mill__shard_revoked(void *context, struct mill_partition *partition, void *user, bool lost);
/* Takes the next batch where none is loaded and one is there: 1 loaded, 0 nothing to load. */
int mill__input_load(struct mill__input *input, struct mill_error *err) MILL_MUST_CHECK;
/* Sends out what was stepped, notes it as applied and, when the batch is done, gives its records back. */
void mill__input_emit(struct mill__input *input);

/* shard_output.c */
int mill__shard_open_outputs(struct mill__shard *shard, struct mill_error *err) MILL_MUST_CHECK;
void mill__shard_close_outputs(struct mill__shard *shard);
extern const struct mill__sink mill__shard_sink; /* context: the input */
/* Waits where the producer's queue is full. partition -1: by the key. */
void mill__shard_send(struct mill__shard *shard, unsigned topic, int32_t partition, struct mill_slice key,
                      struct mill_slice value);
/* By the key, with shard->headers. */
void mill__shard_send_event(struct mill__shard *shard, unsigned topic, struct mill_slice key, struct mill_slice value);
void mill__shard_send_dead_letters(struct mill__input *input);

/* shard_online.c */
/* Takes the fencing token of the task where it does not have it. Retriable: not now, nothing of the task may be folded.
 */
int mill__shard_claim(struct mill__shard *shard, struct mill__task *task, struct mill_error *err) MILL_MUST_CHECK;
/* Moves what is queued, without waiting, and looks at what the store has said. */
int mill__shard_sync_online(struct mill__shard *shard, struct mill_error *err) MILL_MUST_CHECK;
/* Waits until the store has acknowledged everything. Retriable: not yet. */
int mill__shard_settle_online(struct mill__shard *shard, struct mill_error *err) MILL_MUST_CHECK;
/* Asks the store about partitions that nothing was written for lately. */
void mill__shard_check_online(struct mill__shard *shard);
void mill__shard_note_fences(struct mill__shard *shard);

/* shard_rebuild.c */
/* The rows of the task are put again from the beginning, in steps. */
void mill__rebuild_begin(struct mill__shard *shard, struct mill__task *task);
/* A step for all tasks, as far as the window to the online store allows. */
int mill__shard_rebuild(struct mill__shard *shard, struct mill_error *err) MILL_MUST_CHECK;
void mill__rebuild_clear(struct mill__rebuild *rebuild);

/* shard_announce.c */
/* The event time that no event to come is behind by more than the lateness; INT64_MIN: not known. *ret_idle: nobody
 * should wait for this input. */
int64_t mill__input_complete(const struct mill__input *input, bool *ret_idle);
/* Tells later stages, where that has changed. Everything before must be acknowledged. */
void mill__input_announce(struct mill__input *input);
/* Whether it may say that it has gone on: not before the others had the time to say that they are awake. */
bool mill__input_may_go_on(const struct mill__input *input);

/* shard_drift.c */
/* Finds what was counted before. MILL_EDATA: it is damaged. */
int mill__input_open_drift(struct mill__input *input, struct mill_error *err) MILL_MUST_CHECK;
/* Closed panes and how far the input is, to the panes topic. */
void mill__input_send_drift(struct mill__input *input);
/* Adds what is counted to the shard's write batch. */
void mill__input_write_drift(struct mill__input *input);
void mill__input_send_part(struct mill__input *input, const struct mill__plan_monitor *monitor,
                           enum mill_part_kind kind, const struct mill_drift_part *part);
/* Where it is news. */
void mill__input_tell_progress(struct mill__input *input, const struct mill__plan_monitor *monitor,
                               struct mill__told *told, int64_t watermark_us, bool is_idle);

/* shard_feed.c */
/* Labels of the loaded batch, where a monitor has its labels from there. */
void mill__input_read_labels(struct mill__input *input);
/* Rows from <= i < to of the batch go on to the joins. */
void mill__input_send_labels(struct mill__input *input, uint32_t from, uint32_t to);
void mill__input_send_scores(struct mill__input *input, const struct mill__plan_model *model,
                             const struct mill_column *score, uint32_t from, uint32_t to);

/* shard_join.c; the first four: where the input's stage joins */
/* Finds what waited before. MILL_EDATA: it is damaged. */
int mill__input_open_join(struct mill__input *input, struct mill_error *err) MILL_MUST_CHECK;
void mill__input_join_rows(struct mill__input *input, uint32_t from, uint32_t to);
/* Joins what can be joined: records to the labels topic, closed panes and how far it is to the panes topic. */
void mill__input_send_joined(struct mill__input *input);
/* Adds what has changed to the shard's write batch. */
void mill__input_write_join(struct mill__input *input);
void mill__input_clear_join(struct mill__input *input);
void mill__shard_count_joins(struct mill__shard *shard);

/* shard_flush.c */
/* Everything out and acknowledged, then state and applied offsets into RocksDB. MILL_ERETRY/MILL_EUNAVAIL: not now,
 * nothing lost. */
int mill__shard_flush(struct mill__shard *shard, struct mill_error *err) MILL_MUST_CHECK;

#endif

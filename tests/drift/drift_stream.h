/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of drift parts through Kafka, in miniature: contributors that read a log of rows and crash, a compacted
 * topic, evaluators that crash. What they say is gathered by id.
 */
#ifndef TESTS_DRIFT_STREAM_H
#define TESTS_DRIFT_STREAM_H

#include "base/buffer.h"
#include "tests/drift/drift_rows.h"

enum { STREAM_CONTRIBUTORS_MAX = 12 };

/* A record of the panes topic; the latest of a key counts. */
struct stream_record {
    bool is_progress;
    enum mill_part_kind kind;
    uint32_t contributor, part;
    int64_t start_us; /* or the watermark */
    char *bytes;
    size_t n;
    bool is_dead; /* compacted away, or a tombstone followed */
};

struct stream_log {
    struct drift_row *rows; /* in order of arrival; late by less than lateness_us */
    uint32_t count;
};

/* What was said: sorted by id. */
struct stream_said {
    char id[33];
    char *json;
};

struct stream {
    const struct mill_drift_monitor_spec *spec;
    int64_t lateness_us;
    bool with_outcomes;
    uint32_t contributor_count;
    struct stream_log logs[STREAM_CONTRIBUTORS_MAX];
    const struct mill_profile *given; /* or NULL: made of the stream */
    struct mill_profile *published;   /* read back from the references topic */
    struct contributor *contributors[STREAM_CONTRIBUTORS_MAX];
    struct stream_record *records;
    uint32_t record_count, record_capacity;
    struct mill_buffer state; /* the evaluator's, durable */
    bool has_state;
    struct stream_said *said;
    uint32_t said_count, said_capacity;
    uint64_t random;
    uint32_t crashes;
};

/* Runs all contributors to the ends of their logs. disturbed: random interleaving, flushes, crashes of contributors and
 * of the evaluator at every place; else one after the other in turns, and one evaluator that lives. */
void stream_run(struct stream *stream, bool disturbed);
/* The same with one contributor that reads all logs merged by time, up to the least watermark of the others. */
void stream_run_offline(struct stream *stream);
void stream_clear(struct stream *stream); /* not the logs */

#endif

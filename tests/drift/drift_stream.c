/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/drift/drift_stream.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <setjmp.h>

#include <cmocka.h>

#include "base/timestamp.h"

/* ------------------------------------------------------------------ the topic */

static bool is_same_key(const struct stream_record *a, const struct stream_record *b)
{
    return a->is_progress == b->is_progress && a->contributor == b->contributor &&
           (a->is_progress || (a->kind == b->kind && a->start_us == b->start_us && a->part == b->part));
}

/* The older record of the key stays until something reads the topic anew: compaction is lazy. */
static void produce(struct stream *stream, struct stream_record record, struct mill_slice bytes)
{
    if (stream->record_count == stream->record_capacity) {
        stream->record_capacity = stream->record_capacity == 0 ? 1024 : 2 * stream->record_capacity;
        stream->records = mill_realloc(stream->records, stream->record_capacity * sizeof(record));
    }
    record.bytes = mill_malloc(bytes.n + 1);
    record.n = bytes.n;
    memcpy(record.bytes, bytes.n == 0 ? "" : bytes.p, bytes.n);
    stream->records[stream->record_count++] = record;
}

static void compact(struct stream *stream)
{
    for (uint32_t i = stream->record_count; i-- > 0;) {
        for (uint32_t k = i + 1; k < stream->record_count && !stream->records[i].is_dead; k++) {
            stream->records[i].is_dead =
                !stream->records[k].is_dead && is_same_key(&stream->records[i], &stream->records[k]);
        }
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < stream->record_count; i++) {
        if (stream->records[i].is_dead) {
            free(stream->records[i].bytes);
        } else {
            stream->records[kept++] = stream->records[i];
        }
    }
    stream->record_count = kept;
}

/* ------------------------------------------------------------------ contributors */

struct contributor {
    struct stream *stream;
    uint32_t number;
    const struct stream_log *log;
    uint32_t position;
    int64_t newest_us;
    int64_t closed_us; /* labels of panes before were produced */
    struct mill_drift_counter *counter;
    bool has_profile;
    /* durable: written in one go, after what was produced was acknowledged */
    struct mill_buffer saved;
    uint32_t saved_position;
    int64_t saved_newest_us, saved_closed_us; /* INT64_MIN: nothing yet */
    bool saved_has_profile;
};

static const struct mill_profile *known_profile(const struct stream *stream)
{
    return stream->given != NULL ? stream->given : stream->published;
}

static void start_counter(struct contributor *c, bool with_profile)
{
    struct mill_drift_counter_options options = {
        .profile = with_profile ? known_profile(c->stream) : NULL,
        .spec = &c->stream->spec->columns,
        .pane_us = c->stream->spec->every_us,
    };
    c->counter = mill_drift_counter_new(&options);
    c->has_profile = with_profile;
}

static struct contributor *contributor_new(struct stream *stream, uint32_t number, const struct stream_log *log)
{
    struct contributor *c = mill_calloc(1, sizeof(*c));
    c->stream = stream;
    c->number = number;
    c->log = log;
    c->newest_us = c->saved_newest_us = c->closed_us = c->saved_closed_us = INT64_MIN;
    start_counter(c, stream->given != NULL);
    c->saved_has_profile = c->has_profile;
    return c;
}

static void contributor_free(struct contributor *c)
{
    if (c != NULL) {
        mill_drift_counter_free(c->counter);
        mill_buffer_clear(&c->saved);
        free(c);
    }
}

static int64_t watermark_of(const struct contributor *c)
{
    return c->newest_us == INT64_MIN ? INT64_MIN : c->newest_us - c->stream->lateness_us;
}

static void contributor_read(struct contributor *c, uint32_t rows)
{
    uint32_t left = c->log->count - c->position;
    rows = rows < left ? rows : left;
    drift_rows_count(c->counter, c->log->rows + c->position, rows);
    for (uint32_t i = 0; i < rows; i++) {
        int64_t t = c->log->rows[c->position++].time_us;
        c->newest_us = t > c->newest_us ? t : c->newest_us;
    }
}

enum { LABEL_PANES = 3 }; /* a label comes within so many panes */

/* When the row's label comes: some panes later, the same for whoever asks. */
static int64_t label_time(const struct stream *stream, const struct drift_row *row)
{
    uint64_t seed = (uint64_t)row->time_us;
    return row->time_us + (int64_t)(drift_random(&seed) % (uint64_t)((LABEL_PANES - 1) * stream->spec->every_us));
}

static void produce_outcomes(struct contributor *c, struct stream_record record, const struct mill_outcomes *outcomes)
{
    struct mill_buffer bytes = {0};

    record.contributor = c->number;
    mill_outcomes_write(outcomes, &bytes);
    produce(c->stream, record, mill_buffer_slice(&bytes));
    mill_buffer_clear(&bytes);
}

/* Scores of the pane's rows. */
static void produce_scores(struct contributor *c, int64_t start_us)
{
    struct mill_outcomes *outcomes = mill_outcomes_new();

    for (uint32_t i = 0; i < c->log->count; i++) {
        const struct drift_row *row = &c->log->rows[i];
        if (row->time_us >= start_us && row->time_us < start_us + c->stream->spec->every_us) {
            mill_outcomes_add(outcomes, row->score, -1, 0.5);
        }
    }
    produce_outcomes(c, (struct stream_record){.kind = MILL_PART_SCORES, .start_us = start_us}, outcomes);
    mill_outcomes_free(outcomes);
}

/* Outcomes whose labels came in the pane: a part for each pane of their scores. */
static void produce_labels(struct contributor *c, int64_t pane_us)
{
    struct mill_outcomes *outcomes[LABEL_PANES] = {NULL};
    int64_t every_us = c->stream->spec->every_us;

    for (uint32_t i = 0; i < c->log->count; i++) {
        const struct drift_row *row = &c->log->rows[i];
        if (row->label < 0 || mill_timestamp_floor(label_time(c->stream, row), every_us) != pane_us) {
            continue;
        }
        int64_t part = (pane_us - mill_timestamp_floor(row->time_us, every_us)) / every_us;
        outcomes[part] = outcomes[part] != NULL ? outcomes[part] : mill_outcomes_new();
        mill_outcomes_add(outcomes[part], row->score, row->label, 0.5);
    }
    for (uint32_t part = 0; part < LABEL_PANES; part++) {
        if (outcomes[part] != NULL) {
            produce_outcomes(c,
                             (struct stream_record){.kind = MILL_PART_OUTCOMES,
                                                    .start_us = pane_us - (int64_t)part * every_us,
                                                    .part = part},
                             outcomes[part]);
            mill_outcomes_free(outcomes[part]);
        }
    }
}

/* Label panes that have closed since the last save; after a crash once more. */
static void produce_closed_labels(struct contributor *c)
{
    int64_t every_us = c->stream->spec->every_us, to_us = mill_timestamp_floor(watermark_of(c), every_us);
    int64_t from_us = to_us;

    for (uint32_t i = 0; c->saved_closed_us == INT64_MIN && i < c->log->count; i++) {
        int64_t pane_us = mill_timestamp_floor(c->log->rows[i].time_us, every_us);
        from_us = pane_us < from_us ? pane_us : from_us;
    }
    for (from_us = c->saved_closed_us == INT64_MIN ? from_us : c->saved_closed_us; from_us < to_us;
         from_us += every_us) {
        produce_labels(c, from_us);
    }
    c->closed_us = to_us;
}

static void produce_part(void *context, const struct mill_drift_part *part)
{
    struct contributor *c = context;
    struct stream_record record = {
        .kind = MILL_PART_COUNTS, .contributor = c->number, .start_us = part->start_us, .part = part->part};
    produce(c->stream, record, part->bytes);
    if (c->stream->with_outcomes) {
        produce_scores(c, part->start_us);
    }
}

static void produce_progress(struct contributor *c)
{
    struct stream_record record = {.is_progress = true, .contributor = c->number, .start_us = watermark_of(c)};
    if (c->newest_us != INT64_MIN) {
        produce(c->stream, record, (struct mill_slice){NULL, 0});
    }
}

/* Produces what is closed; a crash may come before the parts, the progress or the save. */
static void contributor_flush(struct contributor *c, unsigned crash_at)
{
    if (!c->has_profile && known_profile(c->stream) != NULL) {
        mill_drift_counter_set_profile(c->counter, known_profile(c->stream));
        c->has_profile = true;
    }
    if (crash_at == 1) {
        return;
    }
    if (c->newest_us != INT64_MIN) {
        mill_drift_counter_take(c->counter, watermark_of(c), produce_part, c);
    }
    if (c->newest_us != INT64_MIN && c->stream->with_outcomes) {
        produce_closed_labels(c);
    }
    if (crash_at == 2) {
        return;
    }
    produce_progress(c);
    if (crash_at == 3) {
        return;
    }
    mill_buffer_reset(&c->saved);
    mill_drift_counter_save(c->counter, &c->saved);
    c->saved_position = c->position;
    c->saved_newest_us = c->newest_us;
    c->saved_closed_us = c->closed_us;
    c->saved_has_profile = c->has_profile;
}

static void contributor_restart(struct contributor *c)
{
    struct mill_error err = {0};

    mill_drift_counter_free(c->counter);
    start_counter(c, c->saved_has_profile);
    if (c->saved.n > 0 && mill_drift_counter_load(c->counter, mill_buffer_slice(&c->saved), &err) != MILL_OK) {
        fail_msg("counter state: %s", err.msg);
    }
    c->position = c->saved_position;
    c->newest_us = c->saved_newest_us;
}

/* ------------------------------------------------------------------ the evaluator */

struct evaluator {
    struct stream *stream;
    struct mill_drift_monitor *monitor;
    uint32_t read; /* records */
    int64_t left;  /* that it may still say before it crashes; -1: any */
    struct stream_record *expired;
    uint32_t expired_count, expired_capacity;
};

static void say(struct evaluator *evaluator, const char *id, struct mill_buffer *json)
{
    struct stream *stream = evaluator->stream;

    if (evaluator->left == 0) {
        return; /* it has crashed by now */
    }
    evaluator->left -= evaluator->left > 0;
    for (uint32_t i = 0; i < stream->said_count; i++) {
        if (strcmp(stream->said[i].id, id) == 0) {
            assert_string_equal(stream->said[i].json, mill_buffer_cstr(json));
            return;
        }
    }
    if (stream->said_count == stream->said_capacity) {
        stream->said_capacity = stream->said_capacity == 0 ? 64 : 2 * stream->said_capacity;
        stream->said = mill_realloc(stream->said, stream->said_capacity * sizeof(*stream->said));
    }
    struct stream_said *said = &stream->said[stream->said_count++];
    memcpy(said->id, id, sizeof(said->id));
    said->json = mill_strdup(mill_buffer_cstr(json));
}

static void on_profile(void *context, const struct mill_profile *profile)
{
    struct evaluator *evaluator = context;
    struct mill_buffer bytes = {0};
    struct mill_error err;

    if (evaluator->left != 0) {
        evaluator->left -= evaluator->left > 0;
        mill_profile_write(profile, &bytes);
        if (evaluator->stream->published == NULL) {
            assert_int_equal(mill_profile_read(mill_buffer_slice(&bytes), &evaluator->stream->published, &err),
                             MILL_OK);
        }
        assert_string_equal(evaluator->stream->published->sha256, profile->sha256);
        mill_buffer_clear(&bytes);
    }
}

static void on_report(void *context, const struct mill_drift_report *report)
{
    struct evaluator *evaluator = context;
    struct mill_buffer json = {0};
    mill_drift_report_write_json(report, evaluator->stream->spec->project, INT64_MIN, &json);
    say(evaluator, report->id, &json);
    mill_buffer_clear(&json);
}

static void on_alert(void *context, const struct mill_drift_alert *alert)
{
    struct evaluator *evaluator = context;
    struct mill_buffer json = {0};
    mill_drift_alert_write_json(alert, evaluator->stream->spec->project, INT64_MIN, &json);
    say(evaluator, alert->id, &json);
    mill_buffer_clear(&json);
}

static void on_trigger(void *context, const struct mill_retrain_trigger *trigger,
                       const struct mill_drift_report *report)
{
    struct evaluator *evaluator = context;
    struct mill_buffer json = {0};
    assert_ptr_equal(trigger->report, report);
    mill_retrain_trigger_write_json(trigger, evaluator->stream->spec, INT64_MIN, &json);
    say(evaluator, trigger->id, &json);
    mill_buffer_clear(&json);
}

static void on_expired(void *context, enum mill_part_kind kind, uint32_t contributor, int64_t start_us, uint32_t part)
{
    struct evaluator *e = context;

    if (e->expired_count == e->expired_capacity) {
        e->expired_capacity = e->expired_capacity == 0 ? 64 : 2 * e->expired_capacity;
        e->expired = mill_realloc(e->expired, e->expired_capacity * sizeof(*e->expired));
    }
    e->expired[e->expired_count++] =
        (struct stream_record){.kind = kind, .contributor = contributor, .start_us = start_us, .part = part};
}

static struct mill_drift_monitor_sink sink_of_evaluator(struct evaluator *evaluator)
{
    return (struct mill_drift_monitor_sink){evaluator, on_profile, on_report, on_alert, on_trigger, on_expired};
}

static void evaluator_start(struct evaluator *evaluator, struct stream *stream)
{
    struct mill_error err = {0};

    *evaluator = (struct evaluator){.stream = stream, .left = -1};
    evaluator->monitor = mill_drift_monitor_new(stream->spec, known_profile(stream), stream->contributor_count);
    if (stream->has_state &&
        mill_drift_monitor_load(evaluator->monitor, mill_buffer_slice(&stream->state), &err) != MILL_OK) {
        fail_msg("monitor state: %s", err.msg);
    }
}

static void evaluator_stop(struct evaluator *evaluator)
{
    mill_drift_monitor_free(evaluator->monitor);
    free(evaluator->expired);
}

/* Reads up to count records that are new to it. */
static void evaluator_read(struct evaluator *evaluator, uint32_t count)
{
    struct mill_error err = {0};

    for (; count > 0 && evaluator->read < evaluator->stream->record_count; count--) {
        const struct stream_record *r = &evaluator->stream->records[evaluator->read++];
        if (r->is_dead) {
            continue;
        }
        if (r->is_progress) {
            mill_drift_monitor_progress(evaluator->monitor, r->contributor, r->start_us);
            continue;
        }
        struct mill_drift_part part = {r->start_us, r->part, {r->bytes, r->n}};
        if (mill_drift_monitor_part(evaluator->monitor, r->kind, r->contributor, &part, &err) != MILL_OK) {
            fail_msg("part: %s", err.msg);
        }
    }
}

/* Outputs, then state, then tombstones. */
static void evaluator_run(struct evaluator *evaluator, bool all)
{
    struct stream *stream = evaluator->stream;
    const struct mill_drift_monitor_sink sink = sink_of_evaluator(evaluator);

    mill_drift_monitor_run(evaluator->monitor, &sink, all);
    if (evaluator->left == 0) {
        return;
    }
    struct mill_drift_monitor_status status;
    mill_drift_monitor_status(evaluator->monitor, &status);
    if (status.has_profile) {
        mill_buffer_reset(&stream->state);
        mill_drift_monitor_save(evaluator->monitor, &stream->state);
        stream->has_state = true;
    }
    for (uint32_t i = 0; i < evaluator->expired_count; i++) {
        for (uint32_t k = 0; k < stream->record_count; k++) {
            stream->records[k].is_dead =
                stream->records[k].is_dead || is_same_key(&evaluator->expired[i], &stream->records[k]);
        }
    }
    evaluator->expired_count = 0;
}

/* ------------------------------------------------------------------ runs */

static uint32_t below(struct stream *stream, uint32_t n)
{
    return (uint32_t)(drift_random(&stream->random) % n);
}

static bool is_done(const struct stream *stream)
{
    for (uint32_t i = 0; i < stream->contributor_count; i++) {
        const struct contributor *c = stream->contributors[i];
        if (c->saved_position < c->log->count) {
            return false;
        }
    }
    return true;
}

static void disturb_contributor(struct stream *stream)
{
    struct contributor *c = stream->contributors[below(stream, stream->contributor_count)];
    unsigned crash_at = below(stream, 6);

    contributor_read(c, below(stream, 120));
    contributor_flush(c, crash_at);
    if (crash_at == 1 || crash_at == 2 || crash_at == 3) {
        stream->crashes++;
        contributor_restart(c);
    }
}

static void restart_evaluator(struct evaluator *evaluator)
{
    struct stream *stream = evaluator->stream;

    stream->crashes++;
    evaluator_stop(evaluator);
    compact(stream);
    evaluator_start(evaluator, stream);
    evaluator_read(evaluator, UINT32_MAX);
}

/* A live consumer may see records more than once, too. */
static void disturb_evaluator(struct evaluator *evaluator)
{
    struct stream *stream = evaluator->stream;

    if (below(stream, 3) == 0) {
        uint32_t back = below(stream, 20);
        evaluator->read -= back < evaluator->read ? back : evaluator->read;
    }
    evaluator_read(evaluator, below(stream, 60));
    if (below(stream, 3) == 0) {
        evaluator->left = below(stream, 4) != 0 ? -1 : (int64_t)below(stream, 12);
        evaluator_run(evaluator, false);
        if (evaluator->left >= 0) {
            evaluator->left = 0;
            restart_evaluator(evaluator);
        }
    } else if (below(stream, 20) == 0) {
        restart_evaluator(evaluator);
    }
}

static void finish(struct stream *stream, struct evaluator *evaluator, bool all)
{
    evaluator->left = -1;
    evaluator_read(evaluator, UINT32_MAX);
    evaluator_run(evaluator, all);
    evaluator_stop(evaluator);
    for (uint32_t i = 0; i < stream->contributor_count; i++) {
        contributor_free(stream->contributors[i]);
        stream->contributors[i] = NULL;
    }
}

void stream_run(struct stream *stream, bool disturbed)
{
    struct evaluator evaluator;

    for (uint32_t i = 0; i < stream->contributor_count; i++) {
        stream->contributors[i] = contributor_new(stream, i, &stream->logs[i]);
    }
    evaluator_start(&evaluator, stream);
    while (!is_done(stream)) {
        if (disturbed) {
            disturb_contributor(stream);
            disturb_evaluator(&evaluator);
            continue;
        }
        for (uint32_t i = 0; i < stream->contributor_count; i++) {
            contributor_read(stream->contributors[i], 50);
            contributor_flush(stream->contributors[i], 0);
        }
        evaluator_read(&evaluator, UINT32_MAX);
        evaluator_run(&evaluator, false);
    }
    finish(stream, &evaluator, false);
}

static int compare_times(const void *a, const void *b)
{
    const struct drift_row *p = a, *q = b;
    return (p->time_us > q->time_us) - (p->time_us < q->time_us);
}

void stream_run_offline(struct stream *stream)
{
    struct evaluator evaluator;
    struct stream_log merged = {0};
    int64_t least_us = INT64_MAX;

    for (uint32_t i = 0; i < stream->contributor_count; i++) {
        const struct stream_log *log = &stream->logs[i];
        int64_t newest_us = INT64_MIN;
        merged.rows = mill_realloc(merged.rows, (merged.count + log->count) * sizeof(*merged.rows));
        memcpy(merged.rows + merged.count, log->rows, log->count * sizeof(*merged.rows));
        merged.count += log->count;
        for (uint32_t k = 0; k < log->count; k++) {
            newest_us = log->rows[k].time_us > newest_us ? log->rows[k].time_us : newest_us;
        }
        least_us = newest_us - stream->lateness_us < least_us ? newest_us - stream->lateness_us : least_us;
    }
    qsort(merged.rows, merged.count, sizeof(*merged.rows), compare_times);
    int64_t end_us = mill_timestamp_floor(least_us, stream->spec->every_us);
    while (merged.count > 0 && merged.rows[merged.count - 1].time_us >= end_us) {
        merged.count--;
    }
    stream->contributor_count = 1;
    stream->contributors[0] = contributor_new(stream, 0, &merged);
    evaluator_start(&evaluator, stream);
    contributor_read(stream->contributors[0], merged.count);
    stream->contributors[0]->newest_us = end_us + stream->lateness_us; /* the end of the file closes all panes */
    contributor_flush(stream->contributors[0], 0);
    finish(stream, &evaluator, true);
    free(merged.rows);
}

void stream_clear(struct stream *stream)
{
    for (uint32_t i = 0; i < stream->record_count; i++) {
        free(stream->records[i].bytes);
    }
    for (uint32_t i = 0; i < stream->said_count; i++) {
        free(stream->said[i].json);
    }
    free(stream->records);
    free(stream->said);
    mill_buffer_clear(&stream->state);
    mill_profile_free(stream->published);
}

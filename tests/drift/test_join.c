/* SPDX-License-Identifier: Apache-2.0 */
/* Joins of scores and labels against a naive one, in any order of arrival and with any steps of the watermark. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/timestamp.h"
#include "tests/base/random.h"
#include "tests/drift/drift_rows.h"

static const int64_t BEGIN = INT64_C(1700000000) / 3600 * 3600 * MILL_US_PER_SECOND;
enum { MATCHES_MAX = 4096, PARTS_MAX = 4096 };

struct record {
    char key[16];
    int64_t time_us;
    double score;
    int label; /* -1: a score */
    struct mill_join_origin origin;
    bool is_given;
};

struct part {
    enum mill_part_kind kind;
    int64_t start_us;
    uint32_t part;
    struct mill_buffer bytes;
};

/* What a join said. */
struct said {
    struct mill_join_match matches[MATCHES_MAX];
    char keys[MATCHES_MAX][16];
    struct part parts[PARTS_MAX];
    uint32_t match_count, part_count;
    int64_t pane_us, watermark_us; /* of the advance at hand */
};

static void on_matched(void *context, const struct mill_join_match *match)
{
    struct said *said = context;

    assert_true(said->match_count < MATCHES_MAX && match->key.n < 16);
    snprintf(said->keys[said->match_count], 16, "%.*s", (int)match->key.n, match->key.p);
    said->matches[said->match_count] = *match;
    said->matches[said->match_count].key = (struct mill_slice){said->keys[said->match_count], match->key.n};
    assert_true(match->label_us < said->watermark_us);
    said->match_count++;
}

static void on_part(void *context, enum mill_part_kind kind, const struct mill_drift_part *part)
{
    struct said *said = context;
    struct part *kept = &said->parts[said->part_count++];

    assert_true(said->part_count < PARTS_MAX);
    assert_true(part->start_us + ((int64_t)part->part + 1) * said->pane_us <= said->watermark_us);
    *kept = (struct part){kind, part->start_us, part->part, {0}};
    mill_buffer_add_slice(&kept->bytes, part->bytes);
}

static void said_clear(struct said *said)
{
    for (uint32_t i = 0; i < said->part_count; i++) {
        mill_buffer_clear(&said->parts[i].bytes);
    }
    free(said);
}

static void give(struct mill_join *join, const struct record *record)
{
    struct mill_slice key = mill_slice_of(record->key);

    if (record->label < 0) {
        mill_join_score(join, key, record->time_us, record->score, &record->origin);
    } else {
        mill_join_label(join, key, record->time_us, record->label, &record->origin);
    }
}

static void advance(struct mill_join *join, struct said *said, int64_t watermark_us)
{
    const struct mill_join_sink sink = {said, on_matched, on_part};

    said->watermark_us = watermark_us;
    mill_join_advance(join, watermark_us, &sink);
}

/* ------------------------------------------------------------------ a store, and what a crash goes back to */

enum { KEPT_MAX = 8192 };

struct kept {
    struct mill_buffer id, bytes; /* id.n 0: removed */
};
struct store {
    struct kept at[KEPT_MAX];
    uint32_t count;
    /* Of the last save. */
    bool is_given[MATCHES_MAX];
    uint32_t match_count, part_count;
    uint32_t puts, removes, crashes;
};

static struct kept *find_kept(struct store *store, struct mill_slice id)
{
    for (uint32_t i = 0; i < store->count; i++) {
        if (mill_slice_equal(mill_buffer_slice(&store->at[i].id), id)) {
            return &store->at[i];
        }
    }
    return NULL;
}

static void on_put(void *context, struct mill_slice id, struct mill_slice bytes)
{
    struct store *store = context;
    struct kept *kept = find_kept(store, id);

    if (kept == NULL) {
        assert_true(store->count < KEPT_MAX);
        kept = &store->at[store->count++];
        mill_buffer_add_slice(&kept->id, id);
    }
    mill_buffer_reset(&kept->bytes);
    mill_buffer_add_slice(&kept->bytes, bytes);
    store->puts++;
}

/* Only what was put is removed. */
static void on_remove(void *context, struct mill_slice id)
{
    struct store *store = context;
    struct kept *kept = find_kept(store, id);

    assert_non_null(kept);
    mill_buffer_reset(&kept->id);
    store->removes++;
}

static void store_free(struct store *store)
{
    for (uint32_t i = 0; store != NULL && i < store->count; i++) {
        mill_buffer_clear(&store->at[i].id);
        mill_buffer_clear(&store->at[i].bytes);
    }
    free(store);
}

static void save(struct mill_join *join, struct store *store, const struct said *said, const struct record *records,
                 uint32_t count)
{
    mill_join_save(join, &(struct mill_join_store){store, on_put, on_remove});
    for (uint32_t i = 0; i < count; i++) {
        store->is_given[i] = records[i].is_given;
    }
    store->match_count = said->match_count;
    store->part_count = said->part_count;
}

/* What was said since the last save is said again. */
static struct mill_join *crash(struct mill_join *join, const struct mill_join_options *options, struct store *store,
                               struct said *said, struct record *records, uint32_t count)
{
    struct mill_join *next = mill_join_new(options);

    mill_join_free(join);
    for (uint32_t i = store->count; i-- > 0;) {
        if (store->at[i].id.n > 0) {
            assert_int_equal(
                mill_join_load(next, mill_buffer_slice(&store->at[i].id), mill_buffer_slice(&store->at[i].bytes), NULL),
                MILL_OK);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        records[i].is_given = store->is_given[i];
    }
    for (; said->part_count > store->part_count; said->part_count--) {
        mill_buffer_clear(&said->parts[said->part_count - 1].bytes);
    }
    said->match_count = store->match_count;
    store->crashes++;
    return next;
}

/* ------------------------------------------------------------------ the naive join */

static bool is_before(const struct record *a, const struct record *b)
{
    if (a->time_us != b->time_us) {
        return a->time_us < b->time_us;
    }
    return a->origin.partition != b->origin.partition ? a->origin.partition < b->origin.partition
                                                      : a->origin.offset < b->origin.offset;
}

static const struct record *label_of(const struct record *records, uint32_t count, const struct record *score,
                                     int64_t horizon_us)
{
    const struct record *first = NULL;

    for (uint32_t i = 0; i < count; i++) {
        const struct record *label = &records[i];
        if (label->label >= 0 && strcmp(label->key, score->key) == 0 && label->time_us >= score->time_us &&
            label->time_us <= score->time_us + horizon_us && (first == NULL || is_before(label, first))) {
            first = label;
        }
    }
    return first;
}

static struct mill_outcomes *naive_outcomes(const struct record *records, uint32_t count, int64_t horizon_us,
                                            int64_t pane_us, const struct part *part)
{
    struct mill_outcomes *outcomes = mill_outcomes_new();

    for (uint32_t i = 0; i < count; i++) {
        const struct record *label = label_of(records, count, &records[i], horizon_us);
        int64_t start_us = mill_timestamp_floor(records[i].time_us, pane_us);
        if (records[i].label >= 0 || start_us != part->start_us) {
            continue;
        }
        if (part->kind == MILL_PART_SCORES) {
            mill_outcomes_add(outcomes, records[i].score, -1, 0.5);
        } else if (label != NULL &&
                   mill_timestamp_floor(label->time_us, pane_us) == start_us + (int64_t)part->part * pane_us) {
            mill_outcomes_add(outcomes, records[i].score, label->label, 0.5);
        }
    }
    return outcomes;
}

static void compare_with_naive(const struct said *said, const struct record *records, uint32_t count,
                               int64_t horizon_us)
{
    uint32_t matches = 0, scores = 0;

    for (uint32_t i = 0; i < count; i++) {
        const struct record *score = &records[i], *label = label_of(records, count, score, horizon_us);
        uint32_t found = 0;
        scores += score->label < 0;
        if (score->label >= 0 || label == NULL) {
            continue;
        }
        matches++;
        for (uint32_t m = 0; m < said->match_count; m++) {
            const struct mill_join_match *match = &said->matches[m];
            found += match->origin.partition == score->origin.partition &&
                     match->origin.offset == score->origin.offset && match->score_us == score->time_us &&
                     match->label_us == label->time_us && match->label == label->label &&
                     mill_slice_is(match->key, score->key) && match->score == score->score;
        }
        assert_int_equal(found, 1);
    }
    assert_int_equal(said->match_count, matches);
    uint64_t counted[3] = {0};
    for (uint32_t p = 0; p < said->part_count; p++) {
        struct mill_buffer bytes = {0};
        struct mill_outcomes *outcomes = naive_outcomes(records, count, horizon_us, said->pane_us, &said->parts[p]);
        struct mill_performance performance;
        mill_outcomes_evaluate(outcomes, &performance);
        counted[said->parts[p].kind] += performance.scored;
        mill_outcomes_write(outcomes, &bytes);
        assert_int_equal(bytes.n, said->parts[p].bytes.n);
        assert_memory_equal(bytes.p, said->parts[p].bytes.p, bytes.n);
        mill_buffer_clear(&bytes);
        mill_outcomes_free(outcomes);
    }
    assert_int_equal(counted[MILL_PART_SCORES], scores);
    assert_int_equal(counted[MILL_PART_OUTCOMES], matches);
}

/* ------------------------------------------------------------------ any order */

static uint32_t make_records(uint64_t *state, struct record *records, uint32_t count, int64_t span_us, uint32_t keys)
{
    for (uint32_t i = 0; i < count; i++) {
        records[i] = (struct record){.time_us = BEGIN + (int64_t)(drift_random(state) % (uint64_t)span_us),
                                     .score = drift_uniform(state),
                                     .label = (int)(drift_random(state) % 3) - 1,
                                     .origin = {(int32_t)(drift_random(state) % 3), (int64_t)i}};
        /* Times that meet are the hard ones. */
        records[i].time_us -= records[i].time_us % (10 * MILL_US_PER_MINUTE);
        snprintf(records[i].key, sizeof(records[i].key), "k%u", (unsigned)(drift_random(state) % keys));
    }
    return count;
}

static uint32_t count_left(const struct record *records, uint32_t count)
{
    uint32_t left = 0;

    for (uint32_t i = 0; i < count; i++) {
        left += !records[i].is_given;
    }
    return left;
}

/* Gives them in random order; the watermark is the earliest that is still to come, told now and then. With a store the
 * join is saved now and then, and begins again from there. */
static struct said *run_in_any_order(uint64_t *state, struct record *records, uint32_t count,
                                     const struct mill_join_options *options, struct store *store)
{
    struct said *said = mill_calloc(1, sizeof(*said));
    struct mill_join *join = mill_join_new(options);
    struct mill_join_status status;

    said->pane_us = options->pane_us;
    for (uint32_t i = 0; i < count; i++) {
        records[i].is_given = false;
    }
    while (count_left(records, count) > 0) {
        uint32_t i = (uint32_t)(drift_random(state) % count);
        while (records[i].is_given) {
            i = (i + 1) % count;
        }
        give(join, &records[i]);
        records[i].is_given = true;
        int64_t least_us = INT64_MAX;
        for (uint32_t k = 0; k < count; k++) {
            least_us = !records[k].is_given && records[k].time_us < least_us ? records[k].time_us : least_us;
        }
        if (least_us != INT64_MAX && drift_random(state) % 4 == 0) {
            advance(join, said, least_us);
        }
        if (store != NULL && drift_random(state) % 16 == 0) {
            save(join, store, said, records, count);
        }
        if (store != NULL && drift_random(state) % 64 == 0) {
            join = crash(join, options, store, said, records, count);
        }
    }
    advance(join, said, BEGIN + 1000 * MILL_US_PER_DAY);
    mill_join_status(join, &status);
    assert_int_equal(status.pending, 0);
    assert_int_equal(status.dropped, 0);
    assert_true(store != NULL || status.joined == said->match_count);
    if (store != NULL) {
        save(join, store, said, records, count);
        for (uint32_t i = 0; i < store->count; i++) {
            assert_true(store->at[i].id.n == 0 || mill_slice_is(mill_buffer_slice(&store->at[i].id), "w"));
        }
    }
    mill_join_free(join);
    return said;
}

static void compare_orders(bool is_stored)
{
    uint64_t random = random_u64();
    struct record *records = mill_calloc(400, sizeof(*records));
    uint32_t matches = 0, crashes = 0;

    for (unsigned round = 0; round < 60; round++) {
        struct mill_join_options options = {
            .horizon_us = (int64_t)(drift_random(&random) % 40) * 10 * MILL_US_PER_MINUTE,
            .pane_us = MILL_US_PER_HOUR,
            .threshold = 0.5,
            .pending_max = 1000,
            .is_stored = is_stored,
        };
        struct store *store = is_stored ? mill_calloc(1, sizeof(*store)) : NULL;
        uint32_t count = make_records(&random, records, 100 + (uint32_t)(drift_random(&random) % 300),
                                      MILL_US_PER_DAY * (1 + (int64_t)(drift_random(&random) % 8)),
                                      1 + (uint32_t)(drift_random(&random) % 40));
        struct said *said = run_in_any_order(&random, records, count, &options, store);
        compare_with_naive(said, records, count, options.horizon_us);
        matches += said->match_count;
        crashes += is_stored ? store->crashes : 0;
        said_clear(said);
        store_free(store);
    }
    printf("%u matches, %u crashes\n", matches, crashes);
    assert_true(matches > 1000 && (!is_stored || crashes > 100));
    free(records);
}

static void test_any_order(void **state)
{
    (void)state;
    compare_orders(false);
}

static void test_crashes(void **state)
{
    (void)state;
    compare_orders(true);
}

/* More panes at once than are kept open. */
static void test_many_panes(void **state)
{
    (void)state;
    uint64_t random = random_u64();
    enum { COUNT = 900 };
    struct record *records = mill_calloc(COUNT, sizeof(*records));
    const struct mill_join_options options = {
        .horizon_us = 400 * MILL_US_PER_HOUR, .pane_us = MILL_US_PER_HOUR, .threshold = 0.5, .pending_max = COUNT};

    make_records(&random, records, COUNT, 200 * MILL_US_PER_HOUR, 200);
    struct said *said = run_in_any_order(&random, records, COUNT, &options, NULL);
    compare_with_naive(said, records, COUNT, options.horizon_us);
    assert_true(said->part_count > 200);
    said_clear(said);
    free(records);
}

/* ------------------------------------------------------------------ edges */

struct edge {
    struct mill_join *join;
    struct said *said;
};

static int setup(void **state)
{
    struct edge *e = mill_calloc(1, sizeof(*e));
    const struct mill_join_options options = {
        .horizon_us = 2 * MILL_US_PER_HOUR, .pane_us = MILL_US_PER_HOUR, .threshold = 0.5, .pending_max = 3};

    e->join = mill_join_new(&options);
    e->said = mill_calloc(1, sizeof(*e->said));
    e->said->pane_us = options.pane_us;
    *state = e;
    return 0;
}

static int teardown(void **state)
{
    struct edge *e = *state;
    mill_join_free(e->join);
    said_clear(e->said);
    free(e);
    return 0;
}

static void give_at(struct edge *e, const char *key, int64_t minute, int label)
{
    struct record record = {.time_us = BEGIN + minute * MILL_US_PER_MINUTE, .score = 0.75, .label = label};
    snprintf(record.key, sizeof(record.key), "%s", key);
    give(e->join, &record);
}

static void advance_to(struct edge *e, int64_t minute)
{
    advance(e->join, e->said, BEGIN + minute * MILL_US_PER_MINUTE);
}

static void assert_status(const struct edge *e, uint32_t pending, uint64_t joined, uint64_t expired, uint64_t unclaimed,
                          uint64_t dropped)
{
    struct mill_join_status status;
    mill_join_status(e->join, &status);
    assert_int_equal(status.pending, pending);
    assert_int_equal(status.joined, joined);
    assert_int_equal(status.expired, expired);
    assert_int_equal(status.unclaimed, unclaimed);
    assert_int_equal(status.dropped, dropped);
}

static void test_horizon(void **state)
{
    struct edge *e = *state;

    give_at(e, "a", 0, -1);
    give_at(e, "b", 0, -1);
    give_at(e, "a", 120, 1); /* the last moment */
    advance_to(e, 120);
    assert_status(e, 3, 0, 0, 0, 0); /* not yet: another label of that time may come */
    advance_to(e, 121);
    assert_status(e, 0, 1, 1, 0, 0);
    give_at(e, "b", 121, 1);
    advance_to(e, 122);
    assert_status(e, 0, 1, 1, 1, 0);
}

static void test_label_before_score(void **state)
{
    struct edge *e = *state;

    give_at(e, "a", 10, 1); /* came first, happened later */
    give_at(e, "a", 5, -1);
    give_at(e, "a", 11, -1); /* happened after the label */
    advance_to(e, 12);
    assert_status(e, 1, 1, 0, 0, 0);
    assert_int_equal(e->said->matches[0].score_us, BEGIN + 5 * MILL_US_PER_MINUTE);
}

static void test_too_many(void **state)
{
    struct edge *e = *state;
    struct mill_performance performance;
    struct mill_outcomes *outcomes = mill_outcomes_new();

    for (int i = 0; i < 5; i++) {
        give_at(e, "a", i, -1);
    }
    give_at(e, "a", 5, 1);
    assert_status(e, 4, 0, 0, 0, 2);
    advance_to(e, 60);
    assert_status(e, 0, 3, 0, 0, 2);
    assert_int_equal(e->said->matches[2].score_us, BEGIN + 2 * MILL_US_PER_MINUTE);
    assert_int_equal(e->said->part_count, 2); /* all scores count for the estimate, before those with labels */
    assert_int_equal(mill_outcomes_merge(outcomes, mill_buffer_slice(&e->said->parts[0].bytes), 1, NULL), MILL_OK);
    mill_outcomes_evaluate(outcomes, &performance);
    assert_int_equal(performance.scored, 5);
    mill_outcomes_free(outcomes);
}

/* From behind the watermark: counted in the pane that is open. */
static void test_late(void **state)
{
    struct edge *e = *state;
    struct mill_join_origin origin = {0, 0};

    give_at(e, "a", 50, -1);
    advance_to(e, 130);
    give_at(e, "a", 55, 1); /* its pane and the next are gone */
    give_at(e, "b", 100, -1);
    advance_to(e, 200);
    assert_status(e, 1, 1, 0, 0, 0);
    advance_to(e, 120); /* never back */
    assert_int_equal(e->said->part_count, 3);
    assert_int_equal(e->said->parts[0].kind, MILL_PART_SCORES);
    assert_int_equal(e->said->parts[0].part, 0);
    assert_int_equal(e->said->parts[1].kind, MILL_PART_SCORES);
    assert_int_equal(e->said->parts[1].start_us, BEGIN + MILL_US_PER_HOUR);
    assert_int_equal(e->said->parts[1].part, 1);
    assert_int_equal(e->said->parts[2].kind, MILL_PART_OUTCOMES);
    assert_int_equal(e->said->parts[2].start_us, BEGIN);
    assert_int_equal(e->said->parts[2].part, 2);
    mill_join_score(e->join, mill_slice_of("c"), BEGIN, (double)NAN, &origin);
    assert_status(e, 1, 1, 0, 0, 0);
}

/* A table that is full of scores still takes the labels that they wait for. */
static void test_full_of_scores(void **state)
{
    static const char *const keys[] = {"a", "b", "c", "d"};
    struct edge *e = *state;

    for (int i = 0; i < 4; i++) {
        give_at(e, keys[i], i, -1);
    }
    assert_status(e, 3, 0, 0, 0, 1);
    for (int i = 0; i < 4; i++) {
        give_at(e, keys[i], 10 + i, 1);
    }
    assert_status(e, 6, 0, 0, 0, 2);
    advance_to(e, 20);
    assert_status(e, 0, 3, 0, 0, 2);
}

/* ------------------------------------------------------------------ times at the ends of time */

/* What is saved is what is loaded; frees the join. */
static struct mill_join *save_and_load(struct mill_join *join, const struct mill_join_options *options,
                                       struct store *store)
{
    struct mill_join *next = mill_join_new(options);
    struct mill_error err = {0};

    mill_join_save(join, &(struct mill_join_store){store, on_put, on_remove});
    for (uint32_t i = 0; i < store->count; i++) {
        const struct kept *kept = &store->at[i];
        if (kept->id.n > 0) {
            assert_int_equal(mill_join_load(next, mill_buffer_slice(&kept->id), mill_buffer_slice(&kept->bytes), &err),
                             MILL_OK);
        }
    }
    mill_join_free(join);
    return next;
}

/* The pane of the first time begins before it. */
static void test_first_and_last_time(void **state)
{
    (void)state;
    static const int64_t panes[] = {1, MILL_US_PER_HOUR, 7 * MILL_US_PER_DAY, 1000 * MILL_US_PER_DAY};
    const struct mill_join_origin origin = {0, 0}, other = {0, 1};

    for (size_t i = 0; i < sizeof(panes) / sizeof(panes[0]); i++) {
        const struct mill_join_options options = {
            .horizon_us = INT64_MAX, .pane_us = panes[i], .threshold = 0.5, .pending_max = 9, .is_stored = true};
        struct said *said = mill_calloc(1, sizeof(*said));
        struct store *store = mill_calloc(1, sizeof(*store));
        struct mill_join *join = mill_join_new(&options);
        said->pane_us = options.pane_us;
        mill_join_score(join, mill_slice_of("a"), MILL_TIMESTAMP_MIN, 0.5, &origin);
        mill_join_score(join, mill_slice_of("a"), MILL_TIMESTAMP_MAX, 0.5, &other);
        mill_join_label(join, mill_slice_of("a"), MILL_TIMESTAMP_MIN, 1, &origin);
        join = save_and_load(join, &options, store);
        advance(join, said, MILL_TIMESTAMP_MIN + 1);
        assert_int_equal(said->match_count, 1);
        mill_join_free(save_and_load(join, &options, store));
        said_clear(said);
        store_free(store);
    }
}

/* A record so late that no part has a number for it joins, and is not counted. */
static void test_too_far_behind(void **state)
{
    (void)state;
    const struct mill_join_options options = {.horizon_us = MILL_TIMESTAMP_MAX - MILL_TIMESTAMP_MIN,
                                              .pane_us = MILL_US_PER_SECOND,
                                              .threshold = 0.5,
                                              .pending_max = 9,
                                              .is_stored = true};
    const struct mill_join_origin origin = {0, 0};
    struct said *said = mill_calloc(1, sizeof(*said));
    struct store *store = mill_calloc(1, sizeof(*store));
    struct mill_join *join = mill_join_new(&options);

    said->pane_us = options.pane_us;
    advance(join, said, BEGIN);
    mill_join_score(join, mill_slice_of("a"), MILL_TIMESTAMP_MIN, 0.5, &origin);
    mill_join_label(join, mill_slice_of("a"), BEGIN, 1, &origin);
    join = save_and_load(join, &options, store);
    advance(join, said, BEGIN + MILL_US_PER_DAY);
    assert_int_equal(said->match_count, 1);
    assert_int_equal(said->part_count, 0);
    mill_join_free(join);
    said_clear(said);
    store_free(store);
}

static int load(const char *id, size_t id_size, const char *bytes, size_t size)
{
    const struct mill_join_options options = {
        .horizon_us = 1, .pane_us = MILL_US_PER_HOUR, .threshold = 0.5, .pending_max = 3, .is_stored = true};
    struct mill_join *join = mill_join_new(&options);
    struct mill_error err = {0};

    int rc = mill_join_load(join, (struct mill_slice){id, id_size}, (struct mill_slice){bytes, size}, &err);
    assert_true(rc == MILL_OK || (rc == MILL_EDATA && err.msg[0] != 0));
    mill_join_free(join);
    return rc;
}

/* Each record is refused with one byte less or more, unless that byte is of a key; and where it says what cannot be. */
static void test_damaged_records(void **state)
{
    (void)state;
    static const char score[] = "e\1\0\0\0\7\0\0\0\0\0\0\0", label[] = "l\1\0\0\0\7\0\0\0\0\0\0\0";
    static const char nan_score[] = "\4\0\0\0\0\0\0\xf8\x7f", half[] = "\4\0\0\0\0\0\0\xe0\x3f"
                                                                       "key";
    char pane[18] = "p\2";
    struct mill_buffer outcomes_bytes = {0};
    struct mill_outcomes *outcomes = mill_outcomes_new();

    assert_int_equal(load(score, 13, half, 12), MILL_OK);
    assert_int_equal(load(score, 13, half, 9), MILL_OK); /* an empty key */
    assert_int_equal(load(score, 13, half, 8), MILL_EDATA);
    assert_int_equal(load(score, 12, half, 12), MILL_EDATA);
    assert_int_equal(load(score, 14, half, 12), MILL_EDATA);
    assert_int_equal(load(score, 13, nan_score, 9), MILL_EDATA);
    assert_int_equal(load(label, 13, "\4\1k", 3), MILL_OK);
    assert_int_equal(load(label, 13, "\4\2k", 3), MILL_EDATA);
    assert_int_equal(load(label, 13, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\1k", 12), MILL_EDATA); /* no such time */
    assert_int_equal(load("w", 1, "\4", 1), MILL_OK);
    assert_int_equal(load("w", 1, "\4\4", 2), MILL_EDATA);
    assert_int_equal(load("w", 1, "", 0), MILL_EDATA);
    assert_int_equal(load("ww", 2, "\4", 1), MILL_EDATA);
    assert_int_equal(load("x", 1, "\4", 1), MILL_EDATA);
    assert_int_equal(load("", 0, "\4", 1), MILL_EDATA);
    mill_outcomes_add(outcomes, 0.25, 1, 0.5);
    mill_outcomes_write(outcomes, &outcomes_bytes);
    assert_int_equal(load(pane, 18, outcomes_bytes.p, outcomes_bytes.n), MILL_OK);
    assert_int_equal(load(pane, 17, outcomes_bytes.p, outcomes_bytes.n), MILL_EDATA);
    assert_int_equal(load(pane, 18, outcomes_bytes.p, outcomes_bytes.n - 1), MILL_EDATA);
    pane[2] = 1; /* begins where no pane does */
    assert_int_equal(load(pane, 18, outcomes_bytes.p, outcomes_bytes.n), MILL_EDATA);
    pane[2] = 0;
    pane[1] = 0; /* counts are no outcomes */
    assert_int_equal(load(pane, 18, outcomes_bytes.p, outcomes_bytes.n), MILL_EDATA);
    mill_buffer_clear(&outcomes_bytes);
    mill_outcomes_free(outcomes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_order),
        cmocka_unit_test(test_crashes),
        cmocka_unit_test(test_many_panes),
        cmocka_unit_test(test_damaged_records),
        cmocka_unit_test(test_first_and_last_time),
        cmocka_unit_test(test_too_far_behind),
        cmocka_unit_test_setup_teardown(test_horizon, setup, teardown),
        cmocka_unit_test_setup_teardown(test_label_before_score, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_of_scores, setup, teardown),
        cmocka_unit_test_setup_teardown(test_late, setup, teardown),
    };
    random_seed("join");
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scores and labels that wait for one another: a hash table by key. When the watermark moves, the labels before it are
 * taken out and sorted; the scores of their keys before it are all here by then, and both are walked in order of time,
 * so that a key with many records costs no more than many keys.
 */
#include "drift/join_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/timestamp.h"

enum { BUCKETS_MIN = 256 };

struct entry {
    struct entry *next;
    uint64_t hash;
    int64_t time_us;
    struct mill_join_origin origin;
    double score;
    int label; /* -1: a score */
    size_t key_size;
    char key[];
};

struct list {
    struct entry **at;
    uint32_t count, capacity;
};

struct mill_join {
    struct mill_join_options options;
    struct entry **buckets;
    uint32_t bucket_count;      /* a power of two */
    int64_t watermark_us;       /* INT64_MIN: none yet */
    int64_t next_label_us;      /* no label that waits is earlier; INT64_MAX: there is none */
    int64_t next_score_us;      /* no score that waits is earlier */
    struct list labels, scores; /* of the advance at hand */
    struct mill__join_panes panes;
    struct mill_join_status status;
};

struct mill_join *mill_join_new(const struct mill_join_options *options)
{
    struct mill_join *join = mill_calloc(1, sizeof(*join));

    mill_assert(options->horizon_us >= 0 && options->pane_us > 0);
    join->options = *options;
    join->bucket_count = BUCKETS_MIN;
    join->buckets = mill_calloc(join->bucket_count, sizeof(*join->buckets));
    join->watermark_us = INT64_MIN;
    join->next_label_us = join->next_score_us = INT64_MAX;
    return join;
}

void mill_join_free(struct mill_join *join)
{
    if (join == NULL) {
        return;
    }
    for (uint32_t b = 0; b < join->bucket_count; b++) {
        while (join->buckets[b] != NULL) {
            struct entry *entry = join->buckets[b];
            join->buckets[b] = entry->next;
            free(entry);
        }
    }
    free(join->buckets);
    free(join->labels.at);
    free(join->scores.at);
    mill__join_panes_clear(&join->panes);
    free(join);
}

/* ------------------------------------------------------------------------------------------------
 * The table
 * --------------------------------------------------------------------------------------------- */

static struct entry **bucket_of(struct mill_join *join, uint64_t hash)
{
    return &join->buckets[hash & (join->bucket_count - 1)];
}

static void put(struct mill_join *join, struct entry *entry)
{
    struct entry **bucket = bucket_of(join, entry->hash);
    entry->next = *bucket;
    *bucket = entry;
}

static void grow(struct mill_join *join)
{
    struct entry **old = join->buckets;
    uint32_t old_count = join->bucket_count;

    join->bucket_count *= 2;
    join->buckets = mill_calloc(join->bucket_count, sizeof(*join->buckets));
    for (uint32_t b = 0; b < old_count; b++) {
        for (struct entry *entry = old[b], *next; entry != NULL; entry = next) {
            next = entry->next;
            put(join, entry);
        }
    }
    free(old);
}

/* A new entry without score and label; NULL where too many wait. */
static struct entry *add(struct mill_join *join, struct mill_slice key, int64_t time_us,
                         const struct mill_join_origin *origin)
{
    if (join->status.pending >= join->options.pending_max) {
        join->status.dropped++;
        return NULL;
    }
    if (join->status.pending == join->bucket_count) {
        grow(join);
    }
    struct entry *entry = mill_malloc(sizeof(*entry) + key.n);
    *entry = (struct entry){
        .hash = mill_hash64(key.p, key.n), .time_us = time_us, .origin = *origin, .label = -1, .key_size = key.n};
    if (key.n > 0) {
        memcpy(entry->key, key.p, key.n);
    }
    put(join, entry);
    join->status.pending++;
    return entry;
}

static void list_add(struct list *list, struct entry *entry)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity == 0 ? 64 : 2 * list->capacity;
        list->at = mill_realloc(list->at, list->capacity * sizeof(struct entry *));
    }
    list->at[list->count++] = entry;
}

/* By key, then by time, then by origin. */
static int compare_keys(const struct entry *a, const struct entry *b)
{
    if (a->hash != b->hash) {
        return a->hash < b->hash ? -1 : 1;
    }
    if (a->key_size != b->key_size) {
        return a->key_size < b->key_size ? -1 : 1;
    }
    return memcmp(a->key, b->key, a->key_size);
}

static int compare_entries(const void *left, const void *right)
{
    const struct entry *a = *(struct entry *const *)left, *b = *(struct entry *const *)right;
    int order = compare_keys(a, b);

    if (order != 0) {
        return order;
    }
    if (a->time_us != b->time_us) {
        return a->time_us < b->time_us ? -1 : 1;
    }
    if (a->origin.partition != b->origin.partition) {
        return a->origin.partition < b->origin.partition ? -1 : 1;
    }
    return (a->origin.offset > b->origin.offset) - (a->origin.offset < b->origin.offset);
}

static void sort(struct list *list)
{
    if (list->count > 1) {
        qsort(list->at, list->count, sizeof(struct entry *), compare_entries);
    }
}

/* ------------------------------------------------------------------------------------------------
 * Records
 * --------------------------------------------------------------------------------------------- */

/* Where a record of that time counts: in its pane, or in the one that is open where that is handed out. */
static int64_t counted_in(const struct mill_join *join, int64_t time_us, int64_t watermark_us)
{
    int64_t pane_us = mill_timestamp_floor(time_us, join->options.pane_us);
    int64_t open_us = watermark_us == INT64_MIN ? INT64_MIN : mill_timestamp_floor(watermark_us, join->options.pane_us);
    return pane_us > open_us ? pane_us : open_us;
}

static void count(struct mill_join *join, enum mill_part_kind kind, int64_t score_us, int64_t counted_us, double score,
                  int label)
{
    const struct mill__join_count one = {
        .kind = kind,
        .start_us = mill_timestamp_floor(score_us, join->options.pane_us),
        .counted_us = counted_us,
        .score = score,
        .threshold = join->options.threshold,
        .label = label,
    };
    mill__join_panes_add(&join->panes, &one);
}

void mill_join_score(struct mill_join *join, struct mill_slice key, int64_t time_us, double score,
                     const struct mill_join_origin *origin)
{
    mill_assert(time_us >= MILL_TIMESTAMP_MIN && time_us <= MILL_TIMESTAMP_MAX);
    if (isnan(score)) {
        return;
    }
    count(join, MILL_PART_SCORES, time_us, counted_in(join, time_us, join->watermark_us), score, -1);
    struct entry *entry = add(join, key, time_us, origin);
    if (entry != NULL) {
        entry->score = score;
        join->next_score_us = time_us < join->next_score_us ? time_us : join->next_score_us;
    }
}

void mill_join_label(struct mill_join *join, struct mill_slice key, int64_t time_us, int label,
                     const struct mill_join_origin *origin)
{
    mill_assert(time_us >= MILL_TIMESTAMP_MIN && time_us <= MILL_TIMESTAMP_MAX);
    mill_assert(label == 0 || label == 1);
    struct entry *entry = add(join, key, time_us, origin);
    if (entry != NULL) {
        entry->label = label;
        join->next_label_us = time_us < join->next_label_us ? time_us : join->next_label_us;
    }
}

/* ------------------------------------------------------------------------------------------------
 * The watermark moves
 * --------------------------------------------------------------------------------------------- */

/* Takes the labels before the watermark out of the table. */
static void take_labels(struct mill_join *join, int64_t watermark_us)
{
    join->labels.count = 0;
    join->next_label_us = INT64_MAX;
    for (uint32_t b = 0; b < join->bucket_count; b++) {
        for (struct entry **at = &join->buckets[b]; *at != NULL;) {
            struct entry *entry = *at;
            if (entry->label >= 0 && entry->time_us < watermark_us) {
                *at = entry->next;
                list_add(&join->labels, entry);
                continue;
            }
            if (entry->label >= 0 && entry->time_us < join->next_label_us) {
                join->next_label_us = entry->time_us;
            }
            at = &entry->next;
        }
    }
    sort(&join->labels);
}

/* Takes the key's scores before the watermark out of the table. */
static void take_scores(struct mill_join *join, const struct entry *label, int64_t watermark_us)
{
    join->scores.count = 0;
    for (struct entry **at = bucket_of(join, label->hash); *at != NULL;) {
        struct entry *entry = *at;
        if (entry->label < 0 && entry->time_us < watermark_us && compare_keys(entry, label) == 0) {
            *at = entry->next;
            list_add(&join->scores, entry);
        } else {
            at = &entry->next;
        }
    }
    sort(&join->scores);
}

static void match(struct mill_join *join, const struct entry *score, const struct entry *label,
                  const struct mill_join_sink *sink)
{
    const struct mill_join_match match = {
        .key = {score->key, score->key_size},
        .score_us = score->time_us,
        .label_us = label->time_us,
        .origin = score->origin,
        .score = score->score,
        .label = label->label,
    };

    join->status.joined++;
    count(join, MILL_PART_OUTCOMES, score->time_us, counted_in(join, label->time_us, join->watermark_us), score->score,
          label->label);
    sink->matched(sink->context, &match);
}

/* All of one key: labels from <= i < to. Both lists are in order of time, so the first label that is not before a score
 * is never before the one of the score before it. */
static void join_key(struct mill_join *join, uint32_t from, uint32_t to, const struct mill_join_sink *sink)
{
    uint32_t l = from, claimed = UINT32_MAX;

    for (uint32_t s = 0; s < join->scores.count; s++) {
        struct entry *score = join->scores.at[s];
        while (l < to && join->labels.at[l]->time_us < score->time_us) {
            l++;
        }
        if (l == to || join->labels.at[l]->time_us - score->time_us > join->options.horizon_us) {
            put(join, score);
            continue;
        }
        match(join, score, join->labels.at[l], sink);
        join->status.unclaimed -= l != claimed;
        claimed = l;
        join->status.pending--;
        free(score);
    }
    join->status.unclaimed += to - from;
}

static void join_labels(struct mill_join *join, int64_t watermark_us, const struct mill_join_sink *sink)
{
    const struct list *labels = &join->labels;

    take_labels(join, watermark_us);
    for (uint32_t from = 0, to; from < labels->count; from = to) {
        for (to = from + 1; to < labels->count && compare_keys(labels->at[from], labels->at[to]) == 0;) {
            to++;
        }
        take_scores(join, labels->at[from], watermark_us);
        join_key(join, from, to, sink);
    }
    for (uint32_t i = 0; i < labels->count; i++) {
        free(labels->at[i]);
    }
    join->status.pending -= labels->count;
}

/* Scores whose labels would all have been joined by now. */
static void expire(struct mill_join *join, int64_t watermark_us)
{
    join->next_score_us = INT64_MAX;
    for (uint32_t b = 0; b < join->bucket_count; b++) {
        for (struct entry **at = &join->buckets[b]; *at != NULL;) {
            struct entry *entry = *at;
            if (entry->label < 0 && watermark_us - entry->time_us > join->options.horizon_us) {
                *at = entry->next;
                free(entry);
                join->status.expired++;
                join->status.pending--;
                continue;
            }
            if (entry->label < 0 && entry->time_us < join->next_score_us) {
                join->next_score_us = entry->time_us;
            }
            at = &entry->next;
        }
    }
}

void mill_join_advance(struct mill_join *join, int64_t watermark_us, const struct mill_join_sink *sink)
{
    watermark_us = watermark_us > MILL_TIMESTAMP_MAX ? MILL_TIMESTAMP_MAX : watermark_us;
    if (watermark_us < MILL_TIMESTAMP_MIN || watermark_us < join->watermark_us) {
        return;
    }
    if (join->next_label_us < watermark_us) {
        join_labels(join, watermark_us, sink);
    }
    if (join->next_score_us != INT64_MAX && watermark_us - join->next_score_us > join->options.horizon_us) {
        expire(join, watermark_us);
    }
    join->watermark_us = watermark_us;
    mill__join_panes_take(&join->panes, join->options.pane_us, watermark_us, sink);
}

void mill_join_status(const struct mill_join *join, struct mill_join_status *ret_status)
{
    *ret_status = join->status;
}

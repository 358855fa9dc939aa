/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scores and labels that wait for one another: scores in a hash table by key, and both in heaps by time. When the
 * watermark moves, the labels before it are taken out and sorted; the scores of their keys before it are all here by
 * then, and both are walked in order of time, so that a key with many records costs no more than many keys.
 */
#include "drift/join_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/timestamp.h"

enum { BUCKETS_MIN = 256 };
#define ALL_OF_TIME_US (MILL_TIMESTAMP_MAX - MILL_TIMESTAMP_MIN) /* no horizon needs to be longer */

struct mill_join *mill_join_new(const struct mill_join_options *options)
{
    struct mill_join *join = mill_calloc(1, sizeof(*join));

    mill_assert(options->horizon_us >= 0 && options->pane_us > 0);
    join->options = *options;
    join->options.horizon_us = options->horizon_us < ALL_OF_TIME_US ? options->horizon_us : ALL_OF_TIME_US;
    join->bucket_count = BUCKETS_MIN;
    join->buckets = mill_calloc(join->bucket_count, sizeof(*join->buckets));
    join->watermark_us = INT64_MIN;
    return join;
}

static void free_all(struct mill__join_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        free(list->at[i]);
    }
    free(list->at);
}

void mill_join_free(struct mill_join *join)
{
    if (join == NULL) {
        return;
    }
    free_all(&join->scores);
    free_all(&join->labels);
    free(join->buckets);
    free(join->matched.at);
    free(join->matching.at);
    free(join->fresh.at);
    mill_buffer_clear(&join->gone);
    mill__join_panes_clear(&join->panes);
    free(join);
}

/* ------------------------------------------------------------------------------------------------
 * The table
 * --------------------------------------------------------------------------------------------- */

static void link_entry(struct mill_join *join, struct mill__join_entry *entry)
{
    struct mill__join_entry **bucket = &join->buckets[entry->hash & (join->bucket_count - 1)];

    entry->next = *bucket;
    entry->link = bucket;
    if (*bucket != NULL) {
        (*bucket)->link = &entry->next;
    }
    *bucket = entry;
}

static void unlink_entry(struct mill__join_entry *entry)
{
    *entry->link = entry->next;
    if (entry->next != NULL) {
        entry->next->link = entry->link;
    }
}

static void grow(struct mill_join *join)
{
    free(join->buckets);
    join->bucket_count *= 2;
    join->buckets = mill_calloc(join->bucket_count, sizeof(*join->buckets));
    for (uint32_t i = 0; i < join->scores.count; i++) {
        link_entry(join, join->scores.at[i]);
    }
}

void mill__join_put(struct mill_join *join, struct mill__join_entry *entry)
{
    join->status.pending++;
    if (entry->label >= 0) {
        mill__join_heap_push(&join->labels, entry);
        return;
    }
    if (join->scores.count == join->bucket_count) {
        grow(join);
    }
    mill__join_heap_push(&join->scores, entry);
    link_entry(join, entry);
}

struct mill__join_entry *mill__join_entry_new(struct mill_slice key, int64_t time_us,
                                              const struct mill_join_origin *origin)
{
    struct mill__join_entry *entry = mill_malloc(sizeof(*entry) + key.n);

    mill_assert(key.n < UINT32_MAX);
    *entry = (struct mill__join_entry){.hash = mill_hash64(key.p, key.n),
                                       .time_us = time_us,
                                       .origin = *origin,
                                       .label = -1,
                                       .key_size = (uint32_t)key.n};
    if (key.n > 0) {
        memcpy(entry->key, key.p, key.n);
    }
    return entry;
}

/* Of neither heap nor table any more. */
static void drop(struct mill_join *join, struct mill__join_entry *entry)
{
    mill__join_forget_entry(join, entry);
    join->status.pending--;
    free(entry);
}

/* By key, then by time, then by origin. */
static int compare_keys(const struct mill__join_entry *a, const struct mill__join_entry *b)
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
    const struct mill__join_entry *a = *(struct mill__join_entry *const *)left,
                                  *b = *(struct mill__join_entry *const *)right;
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

static void sort(struct mill__join_list *list)
{
    if (list->count > 1) {
        qsort(list->at, list->count, sizeof(struct mill__join_entry *), compare_entries);
    }
}

/* ------------------------------------------------------------------------------------------------
 * Records
 * --------------------------------------------------------------------------------------------- */

/* Where a record of that time counts: in its pane, or in the one that is open where that is handed out. */
static int64_t counted_in(const struct mill_join *join, int64_t time_us)
{
    int64_t pane_us = mill_timestamp_floor(time_us, join->options.pane_us);
    int64_t open_us =
        join->watermark_us == INT64_MIN ? INT64_MIN : mill_timestamp_floor(join->watermark_us, join->options.pane_us);
    return pane_us > open_us ? pane_us : open_us;
}

/* Not at all where it is so late that its part would have no number: in panes of a second, after 136 years. */
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
    if ((one.counted_us - one.start_us) / join->options.pane_us <= UINT32_MAX) {
        mill__join_panes_add(&join->panes, &one);
    }
}

/* Dropped where too many of its kind wait: scores do so for the whole horizon, and must not keep out the labels that
 * they wait for. */
static void add(struct mill_join *join, struct mill__join_entry *entry)
{
    const struct mill__join_list *kind = entry->label < 0 ? &join->scores : &join->labels;

    if (kind->count >= join->options.pending_max) {
        join->status.dropped++;
        free(entry);
        return;
    }
    mill__join_note_entry(join, entry);
    mill__join_put(join, entry);
}

void mill_join_score(struct mill_join *join, struct mill_slice key, int64_t time_us, double score,
                     const struct mill_join_origin *origin)
{
    mill_assert(time_us >= MILL_TIMESTAMP_MIN && time_us <= MILL_TIMESTAMP_MAX);
    if (isnan(score)) {
        return;
    }
    count(join, MILL_PART_SCORES, time_us, counted_in(join, time_us), score, -1);
    struct mill__join_entry *entry = mill__join_entry_new(key, time_us, origin);
    entry->score = score;
    add(join, entry);
}

void mill_join_label(struct mill_join *join, struct mill_slice key, int64_t time_us, int label,
                     const struct mill_join_origin *origin)
{
    mill_assert(time_us >= MILL_TIMESTAMP_MIN && time_us <= MILL_TIMESTAMP_MAX);
    mill_assert(label == 0 || label == 1);
    struct mill__join_entry *entry = mill__join_entry_new(key, time_us, origin);
    entry->label = label;
    add(join, entry);
}

/* ------------------------------------------------------------------------------------------------
 * The watermark moves
 * --------------------------------------------------------------------------------------------- */

static struct mill__join_entry *first_before(const struct mill__join_list *heap, int64_t limit_us)
{
    return heap->count > 0 && heap->at[0]->time_us < limit_us ? heap->at[0] : NULL;
}

static void take_labels(struct mill_join *join, int64_t watermark_us)
{
    join->matched.count = 0;
    for (struct mill__join_entry *label; (label = first_before(&join->labels, watermark_us)) != NULL;) {
        mill__join_heap_remove(&join->labels, label);
        mill__join_list_add(&join->matched, label);
    }
    sort(&join->matched);
}

/* The key's scores before the watermark; they stay where they are. */
static void find_scores(struct mill_join *join, const struct mill__join_entry *label, int64_t watermark_us)
{
    join->matching.count = 0;
    for (struct mill__join_entry *entry = join->buckets[label->hash & (join->bucket_count - 1)]; entry != NULL;
         entry = entry->next) {
        if (entry->time_us < watermark_us && compare_keys(entry, label) == 0) {
            mill__join_list_add(&join->matching, entry);
        }
    }
    sort(&join->matching);
}

static void drop_score(struct mill_join *join, struct mill__join_entry *score)
{
    mill__join_heap_remove(&join->scores, score);
    unlink_entry(score);
    drop(join, score);
}

static void match(struct mill_join *join, struct mill__join_entry *score, const struct mill__join_entry *label,
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
    count(join, MILL_PART_OUTCOMES, score->time_us, counted_in(join, label->time_us), score->score, label->label);
    sink->matched(sink->context, &match);
    drop_score(join, score);
}

/* All of one key: labels from <= i < to. Both lists are in order of time, so the first label that is not before a score
 * is never before the one of the score before it. */
static void join_key(struct mill_join *join, uint32_t from, uint32_t to, const struct mill_join_sink *sink)
{
    struct mill__join_entry **labels = join->matched.at;
    uint32_t l = from, claimed = UINT32_MAX;

    for (uint32_t s = 0; s < join->matching.count; s++) {
        struct mill__join_entry *score = join->matching.at[s];
        while (l < to && labels[l]->time_us < score->time_us) {
            l++;
        }
        if (l < to && labels[l]->time_us - score->time_us <= join->options.horizon_us) {
            match(join, score, labels[l], sink);
            join->status.unclaimed -= l != claimed;
            claimed = l;
        }
    }
    join->status.unclaimed += to - from;
}

static void join_labels(struct mill_join *join, int64_t watermark_us, const struct mill_join_sink *sink)
{
    const struct mill__join_list *labels = &join->matched;

    take_labels(join, watermark_us);
    for (uint32_t from = 0, to; from < labels->count; from = to) {
        for (to = from + 1; to < labels->count && compare_keys(labels->at[from], labels->at[to]) == 0;) {
            to++;
        }
        find_scores(join, labels->at[from], watermark_us);
        join_key(join, from, to, sink);
    }
    for (uint32_t i = 0; i < labels->count; i++) {
        drop(join, labels->at[i]);
    }
}

/* Scores whose labels would all have been joined by now. */
static void expire(struct mill_join *join, int64_t watermark_us)
{
    for (struct mill__join_entry *score;
         (score = first_before(&join->scores, watermark_us - join->options.horizon_us)) != NULL;) {
        drop_score(join, score);
        join->status.expired++;
    }
}

static void step_to(struct mill_join *join, int64_t watermark_us, const struct mill_join_sink *sink)
{
    join_labels(join, watermark_us, sink);
    expire(join, watermark_us);
    join->is_moved |= watermark_us > join->watermark_us;
    join->watermark_us = watermark_us;
    mill__join_panes_take(&join->panes, join->options.pane_us, watermark_us, sink, mill__join_forget_pane, join);
}

/* Pane by pane, so that the outcomes of few panes are open at once, however far the watermark goes. */
void mill_join_advance(struct mill_join *join, int64_t watermark_us, const struct mill_join_sink *sink)
{
    watermark_us = watermark_us > MILL_TIMESTAMP_MAX ? MILL_TIMESTAMP_MAX : watermark_us;
    if (watermark_us < MILL_TIMESTAMP_MIN || watermark_us < join->watermark_us) {
        return;
    }
    for (struct mill__join_entry *label; (label = first_before(&join->labels, watermark_us)) != NULL;) {
        int64_t until_us = mill_timestamp_floor(label->time_us, join->options.pane_us) + join->options.pane_us;
        until_us = until_us > join->watermark_us ? until_us : join->watermark_us;
        step_to(join, until_us < watermark_us ? until_us : watermark_us, sink);
    }
    step_to(join, watermark_us, sink);
}

int64_t mill_join_watermark(const struct mill_join *join)
{
    return join->watermark_us;
}

void mill_join_status(const struct mill_join *join, struct mill_join_status *ret_status)
{
    *ret_status = join->status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A join of scores and labels:
 *
 *   join.c         the table of what waits, and what happens when the watermark moves
 *   join_heap.c    what waits, by time           join_panes.c   what is counted        join_store.c   all of it on disk
 */
#ifndef MILL_DRIFT_JOIN_INTERNAL_H
#define MILL_DRIFT_JOIN_INTERNAL_H

#include "drift/drift.h"

/* A score or label that waits. */
struct mill__join_entry {
    struct mill__join_entry *next, **link; /* scores: of the bucket; *link is this entry */
    uint64_t hash;
    int64_t time_us;
    struct mill_join_origin origin;
    double score;
    int label; /* -1: a score */
    uint32_t key_size;
    uint32_t heap_at;
    uint32_t fresh_at; /* of the join's `fresh`; UINT32_MAX: the store has it */
    char key[];
};

struct mill__join_list {
    struct mill__join_entry **at;
    uint32_t count, capacity;
};
void mill__join_list_add(struct mill__join_list *list, struct mill__join_entry *entry);

/* Binary heaps by time, the earliest first; an entry knows its place. */
void mill__join_heap_push(struct mill__join_list *heap, struct mill__join_entry *entry);
void mill__join_heap_remove(struct mill__join_list *heap, struct mill__join_entry *entry);

/* Outcomes by the pane of the score and the pane in which they are counted, kept as counts while they are few panes, as
 * sparse bytes where they are many. */
enum { MILL__JOIN_OPEN_MAX = 64 }; /* half a MiB each */

struct mill__join_pane {
    enum mill_part_kind kind;
    int64_t start_us, counted_us;
    struct mill_outcomes *outcomes; /* NULL: none beyond the bytes */
    struct mill_buffer bytes;       /* what was put away, n 0: nothing */
    uint64_t used;                  /* when it was last added to */
    bool is_dirty, is_stored;       /* the store has not all of it; it has something */
};

struct mill__join_panes {
    struct mill__join_pane *at; /* ascending by counted_us, kind, start_us */
    uint32_t count, capacity, open_count;
    uint64_t clock;
};

struct mill__join_count {
    enum mill_part_kind kind;
    int64_t start_us, counted_us;
    double score, threshold;
    int label; /* -1: not known */
};
/* Finds or adds the pane of those numbers. The pointer is good until the next call. */
struct mill__join_pane *mill__join_panes_get(struct mill__join_panes *panes, const struct mill__join_count *count);
void mill__join_panes_add(struct mill__join_panes *panes, const struct mill__join_count *count);
/* The pane's bytes as of now; the pane stays as it is. */
void mill__join_pane_write(const struct mill__join_pane *pane, struct mill_buffer *out);
/* Hands out what is counted in panes that end by until_us, and then calls gone() for each. */
void mill__join_panes_take(struct mill__join_panes *panes, int64_t pane_us, int64_t until_us,
                           const struct mill_join_sink *sink, void (*gone)(void *, const struct mill__join_pane *),
                           void *context);
void mill__join_panes_clear(struct mill__join_panes *panes);

struct mill_join {
    struct mill_join_options options;
    struct mill__join_entry **buckets;        /* of scores by key */
    uint32_t bucket_count;                    /* a power of two */
    int64_t watermark_us;                     /* INT64_MIN: none yet */
    struct mill__join_list scores, labels;    /* heaps */
    struct mill__join_list matched, matching; /* labels and scores of the advance at hand */
    struct mill__join_panes panes;
    struct mill_join_status status;
    /* For the store, where there is one: entries that it does not have (NULL: gone again), ids that it has no longer to
     * keep, each behind its length in a byte. */
    struct mill__join_list fresh;
    struct mill_buffer gone;
    bool is_moved; /* the watermark, since the last save */
};

/* Puts an entry where it belongs. */
void mill__join_put(struct mill_join *join, struct mill__join_entry *entry);
struct mill__join_entry *mill__join_entry_new(struct mill_slice key, int64_t time_us,
                                              const struct mill_join_origin *origin);

/* join_store.c */
void mill__join_note_entry(struct mill_join *join, struct mill__join_entry *entry);
void mill__join_forget_entry(struct mill_join *join, const struct mill__join_entry *entry);
void mill__join_forget_pane(void *join, const struct mill__join_pane *pane);

#endif

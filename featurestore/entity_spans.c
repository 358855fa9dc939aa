/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running windows of an entity; see struct mill__span_state.
 *
 * The elements of a span are the panes of its set and the open events, or, for raw spans, all events of the log. Keys
 * of panes and of open events ascend, and no pane has a larger key than an open event.
 */
#include "featurestore/table_internal.h"

struct walk {
    struct mill_view_table *table;
    struct mill__entity *e;
    const struct mill__span *span;
    const struct mill__pane_set *set; /* NULL for raw spans */
    struct mill__ring *panes;
    uint32_t first_event;
};

static struct walk walk_of(struct mill_view_table *table, struct mill__entity *e, uint32_t index)
{
    const struct mill__span *span = &table->view->spans[index];
    struct walk w = {.table = table, .e = e, .span = span};

    if (span->pane_set != MILL__NONE) {
        w.set = &table->view->pane_sets[span->pane_set];
        w.panes = &mill__entity_panes(table, e)[span->pane_set];
        w.first_event = e->closed_count;
    }
    return w;
}

static int64_t event_key(const struct walk *w, uint32_t index)
{
    return mill__hop_key(w->span->window.hop_us, mill__record_time(mill__event_at(w->table, w->e, index)));
}

/* First event of the walk whose key is >= key. Keys of a hop are multiples of it, so times compare as their keys do. */
static uint32_t event_lower_bound(const struct walk *w, int64_t key)
{
    return mill__events_lower_bound(w->table, w->e, w->first_event, key);
}

static char *states_of(const struct walk *w)
{
    return mill__entity_states(w->table, w->e) + w->span->state_offset;
}

/* ---- members that can subtract ---- */

static void change_by_pane(const struct walk *w, const char *pane, bool add)
{
    char *states = states_of(w);

    for (uint32_t m = 0; m < w->span->member_count; m++) {
        const struct mill__member *member = &w->span->members[m];
        const struct mill__accumulator *a = member->accumulator;
        if (member->front_offset == MILL__NONE) {
            (add ? a->merge : a->unmerge)(states + member->run_offset, pane + member->pane_offset);
        }
    }
}

static void change_by_event(const struct walk *w, const void *record, bool add)
{
    const struct mill_view *view = w->table->view;
    char *states = states_of(w);

    for (uint32_t m = 0; m < w->span->member_count; m++) {
        const struct mill__member *member = &w->span->members[m];
        const struct mill__accumulator *a = member->accumulator;
        if (member->front_offset == MILL__NONE && mill__record_in_lane(view, record, member->lane)) {
            (add ? a->add : a->subtract)(states + member->run_offset, mill__record_order(record),
                                         mill__record_lane_value(view, record, member->lane));
        }
    }
}

/* Adds or takes back all elements with from <= key < to (to INT64_MAX: no end). Returns the smallest time or pane key
 * from `to` on, or INT64_MAX. */
static int64_t change_range(const struct walk *w, int64_t from, int64_t to, bool add)
{
    int64_t next = INT64_MAX;

    if (w->set != NULL) {
        uint32_t i = mill__panes_lower_bound(w->panes, w->set->pane_size, from);
        for (; i < w->panes->count; i++) {
            const char *pane = mill__ring_at(w->panes, i, w->set->pane_size);
            if (mill__pane_key(pane) >= to) {
                next = mill__pane_key(pane);
                break;
            }
            change_by_pane(w, pane, add);
        }
    }
    for (uint32_t i = event_lower_bound(w, from); i < w->e->events.count; i++) {
        const void *record = mill__event_at(w->table, w->e, i);
        if (mill__record_time(record) >= to) {
            next = mill__record_time(record) < next ? mill__record_time(record) : next;
            break;
        }
        change_by_event(w, record, add);
    }
    return next;
}

/* ---- members that cannot: two stacks ---- */

static uint32_t front_entry_size(const struct mill__span *span)
{
    return (uint32_t)sizeof(int64_t) + span->front_size;
}

enum where { IN_FRONT_ENTRY, IN_FRONT, IN_BACK };

static void *stack_state(const struct walk *w, const struct mill__member *member, enum where where, char *entry)
{
    switch (where) {
    case IN_FRONT_ENTRY:
        return entry + sizeof(int64_t) + member->front_offset;
    case IN_FRONT:
        return states_of(w) + w->span->run_size + member->front_offset;
    case IN_BACK:
        return states_of(w) + member->run_offset;
    }
    return NULL;
}

static void reset_states(const struct walk *w, enum where where, char *entry)
{
    for (uint32_t m = 0; m < w->span->member_count; m++) {
        const struct mill__member *member = &w->span->members[m];
        if (member->front_offset != MILL__NONE) {
            void *state = stack_state(w, member, where, entry);
            if (member->accumulator->clear != NULL) {
                member->accumulator->clear(state);
            }
            member->accumulator->init(state);
        }
    }
}

/* A new entry: what the entry behind it has (none: nothing). */
static void init_entry(const struct walk *w, char *entry, const char *behind)
{
    for (uint32_t m = 0; m < w->span->member_count; m++) {
        const struct mill__member *member = &w->span->members[m];
        if (member->front_offset == MILL__NONE) {
            continue;
        }
        uint32_t offset = (uint32_t)sizeof(int64_t) + member->front_offset;
        member->accumulator->init(entry + offset);
        if (behind != NULL) {
            member->accumulator->merge(entry + offset, behind + offset);
        }
    }
}

static void drop_front_entry(const struct walk *w, struct mill__span_state *state)
{
    char *entry = mill__ring_at(&state->fronts, 0, front_entry_size(w->span));

    for (uint32_t m = 0; m < w->span->member_count; m++) {
        const struct mill__member *member = &w->span->members[m];
        if (member->front_offset != MILL__NONE && member->accumulator->clear != NULL) {
            member->accumulator->clear(stack_state(w, member, IN_FRONT_ENTRY, entry));
        }
    }
    mill__ring_drop_front(&state->fronts);
}

/* The entity's own copy of the front entry spares a reading the way to the ring. */
static void load_front(const struct walk *w, struct mill__span_state *state)
{
    reset_states(w, IN_FRONT, NULL);
    if (state->fronts.count == 0) {
        return;
    }
    char *entry = mill__ring_at(&state->fronts, 0, front_entry_size(w->span));
    for (uint32_t m = 0; m < w->span->member_count; m++) {
        const struct mill__member *member = &w->span->members[m];
        if (member->front_offset != MILL__NONE) {
            member->accumulator->merge(stack_state(w, member, IN_FRONT, NULL),
                                       stack_state(w, member, IN_FRONT_ENTRY, entry));
        }
    }
}

static void merge_pane_into_entry(const struct walk *w, char *entry, const char *pane)
{
    for (uint32_t m = 0; m < w->span->member_count; m++) {
        const struct mill__member *member = &w->span->members[m];
        if (member->front_offset != MILL__NONE) {
            member->accumulator->merge(stack_state(w, member, IN_FRONT_ENTRY, entry), pane + member->pane_offset);
        }
    }
}

static void add_event_to_stack(const struct walk *w, enum where where, char *entry, const void *record)
{
    const struct mill_view *view = w->table->view;

    for (uint32_t m = 0; m < w->span->member_count; m++) {
        const struct mill__member *member = &w->span->members[m];
        if (member->front_offset != MILL__NONE && mill__record_in_lane(view, record, member->lane)) {
            member->accumulator->add(stack_state(w, member, where, entry), mill__record_order(record),
                                     mill__record_lane_value(view, record, member->lane));
        }
    }
}

/* The entry for elements of that key while the fronts are built from the newest element back: the ring is filled from
 * its end, `*at` being the entry written last. */
static char *entry_for(const struct walk *w, struct mill__span_state *state, uint32_t *at, int64_t key)
{
    uint32_t size = front_entry_size(w->span);
    char *last = *at < state->fronts.capacity ? state->fronts.data + (size_t)*at * size : NULL;

    if (last != NULL && mill__pane_key(last) == key) {
        return last;
    }
    mill_assert(*at > 0);
    char *entry = state->fronts.data + (size_t)-- * at * size;
    memcpy(entry, &key, sizeof(key));
    init_entry(w, entry, last);
    return entry;
}

static void clear_stacks(const struct walk *w, struct mill__span_state *state)
{
    while (state->fronts.count > 0) {
        drop_front_entry(w, state);
    }
    reset_states(w, IN_FRONT, NULL);
    reset_states(w, IN_BACK, NULL);
    state->back_min_us = INT64_MAX;
}

static void rebuild_stacks(const struct walk *w, struct mill__span_state *state, int64_t first_key)
{
    clear_stacks(w, state);
    uint32_t event_from = event_lower_bound(w, first_key);
    uint32_t pane_from = w->set == NULL ? 0 : mill__panes_lower_bound(w->panes, w->set->pane_size, first_key);
    uint32_t count = w->e->events.count - event_from + (w->set == NULL ? 0 : w->panes->count - pane_from);
    if (count == 0) {
        return;
    }
    mill__ring_reserve(&state->fronts, &w->table->pool, count, front_entry_size(w->span));
    uint32_t at = state->fronts.capacity;
    for (uint32_t i = w->e->events.count; i > event_from; i--) {
        char *entry = entry_for(w, state, &at, event_key(w, i - 1));
        add_event_to_stack(w, IN_FRONT_ENTRY, entry, mill__event_at(w->table, w->e, i - 1));
    }
    for (uint32_t i = w->set == NULL ? 0 : w->panes->count; i > pane_from; i--) {
        const char *pane = mill__ring_at(w->panes, i - 1, w->set->pane_size);
        merge_pane_into_entry(w, entry_for(w, state, &at, mill__pane_key(pane)), pane);
    }
    state->fronts.first = at;
    state->fronts.count = state->fronts.capacity - at;
    load_front(w, state);
}

static void advance_stacks(const struct walk *w, struct mill__span_state *state, int64_t first_key)
{
    if (state->back_min_us < first_key) {
        rebuild_stacks(w, state, first_key);
        return;
    }
    bool dropped = false;
    while (state->fronts.count > 0 &&
           mill__pane_key(mill__ring_at(&state->fronts, 0, front_entry_size(w->span))) < first_key) {
        drop_front_entry(w, state);
        dropped = true;
    }
    if (dropped) {
        load_front(w, state);
    }
}

/* ---- both ---- */

static void reset_sums(const struct walk *w)
{
    char *states = states_of(w);

    for (uint32_t m = 0; m < w->span->member_count; m++) {
        const struct mill__member *member = &w->span->members[m];
        if (member->front_offset == MILL__NONE) {
            if (member->accumulator->clear != NULL) {
                member->accumulator->clear(states + member->run_offset);
            }
            member->accumulator->init(states + member->run_offset);
        }
    }
}

void mill__span_reset(struct mill_view_table *table, struct mill__entity *e, uint32_t span)
{
    struct walk w = walk_of(table, e, span);
    struct mill__span_state *state = &mill__entity_spans(table, e)[span];

    clear_stacks(&w, state);
    reset_sums(&w);
    state->first_key = INT64_MAX;
    state->oldest_us = INT64_MAX;
}

static void rebuild(const struct walk *w, struct mill__span_state *state, int64_t first_key)
{
    reset_sums(w);
    change_range(w, first_key, INT64_MAX, true);
    if (w->span->front_size > 0) {
        rebuild_stacks(w, state, first_key);
    }
    state->oldest_us = first_key; /* a lower bound will do; the next advance finds out */
}

void mill__span_advance(struct mill_view_table *table, struct mill__entity *e, uint32_t span, int64_t first_key)
{
    struct mill__span_state *state = &mill__entity_spans(table, e)[span];

    if (first_key == state->first_key) {
        return;
    }
    if (state->first_key <= first_key && state->oldest_us >= first_key) {
        state->first_key = first_key; /* nothing leaves */
        return;
    }
    struct walk w = walk_of(table, e, span);
    if (first_key < state->first_key) {
        rebuild(&w, state, first_key);
    } else {
        state->oldest_us = change_range(&w, state->first_key, first_key, false);
        if (w.span->front_size > 0) {
            advance_stacks(&w, state, first_key);
        }
    }
    state->first_key = first_key;
}

void mill__span_add(struct mill_view_table *table, struct mill__entity *e, uint32_t span, const void *record)
{
    struct mill__span_state *state = &mill__entity_spans(table, e)[span];
    struct walk w = {.table = table, .e = e, .span = &table->view->spans[span]};
    int64_t time_us = mill__record_time(record);

    if (state->first_key == INT64_MAX || time_us < state->first_key) {
        return;
    }
    if (w.span->has_sums) {
        change_by_event(&w, record, true);
    }
    if (w.span->front_size > 0) {
        add_event_to_stack(&w, IN_BACK, NULL, record);
        state->back_min_us = time_us < state->back_min_us ? time_us : state->back_min_us;
    }
    state->oldest_us = time_us < state->oldest_us ? time_us : state->oldest_us;
}

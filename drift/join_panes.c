/* SPDX-License-Identifier: Apache-2.0 */
/* Panes of joined outcomes; see join_internal.h. Called by join.c. */
#include <stdlib.h>
#include <string.h>

#include "drift/join_internal.h"

static int compare(const struct mill__join_pane *pane, const struct mill__join_count *count)
{
    if (pane->counted_us != count->counted_us) {
        return pane->counted_us < count->counted_us ? -1 : 1;
    }
    if (pane->kind != count->kind) {
        return pane->kind < count->kind ? -1 : 1;
    }
    return (pane->start_us > count->start_us) - (pane->start_us < count->start_us);
}

struct mill__join_pane *mill__join_panes_get(struct mill__join_panes *panes, const struct mill__join_count *count)
{
    uint32_t low = 0, high = panes->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = compare(&panes->at[middle], count);
        if (order == 0) {
            return &panes->at[middle];
        }
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    if (panes->count == panes->capacity) {
        panes->capacity = panes->capacity == 0 ? 16 : 2 * panes->capacity;
        panes->at = mill_realloc(panes->at, panes->capacity * sizeof(*panes->at));
    }
    memmove(&panes->at[low + 1], &panes->at[low], (panes->count - low) * sizeof(*panes->at));
    panes->at[low] =
        (struct mill__join_pane){.kind = count->kind, .start_us = count->start_us, .counted_us = count->counted_us};
    panes->count++;
    return &panes->at[low];
}

void mill__join_pane_write(const struct mill__join_pane *pane, struct mill_buffer *out)
{
    if (pane->outcomes != NULL) {
        mill_outcomes_write(pane->outcomes, out);
    } else {
        mill_buffer_add_slice(out, mill_buffer_slice(&pane->bytes));
    }
}

/* Everything as bytes. */
static void put_away(struct mill__join_panes *panes, struct mill__join_pane *pane)
{
    mill_buffer_reset(&pane->bytes);
    mill_outcomes_write(pane->outcomes, &pane->bytes);
    mill_outcomes_free(pane->outcomes);
    pane->outcomes = NULL;
    panes->open_count--;
}

static void put_one_away(struct mill__join_panes *panes)
{
    struct mill__join_pane *oldest = NULL;

    for (uint32_t i = 0; i < panes->count; i++) {
        struct mill__join_pane *pane = &panes->at[i];
        if (pane->outcomes != NULL && (oldest == NULL || pane->used < oldest->used)) {
            oldest = pane;
        }
    }
    mill_assert(oldest != NULL);
    put_away(panes, oldest);
}

static void open_pane(struct mill__join_panes *panes, struct mill__join_pane *pane)
{
    if (panes->open_count == MILL__JOIN_OPEN_MAX) {
        put_one_away(panes);
    }
    pane->outcomes = mill_outcomes_new();
    panes->open_count++;
    if (pane->bytes.n > 0) {
        int rc = mill_outcomes_merge(pane->outcomes, mill_buffer_slice(&pane->bytes), 1, NULL);
        mill_assert(rc == MILL_OK);
    }
}

void mill__join_panes_add(struct mill__join_panes *panes, const struct mill__join_count *count)
{
    struct mill__join_pane *pane = mill__join_panes_get(panes, count);

    if (pane->outcomes == NULL) {
        open_pane(panes, pane);
    }
    pane->used = ++panes->clock;
    pane->is_dirty = true;
    mill_outcomes_add(pane->outcomes, count->score, count->label, count->threshold);
}

void mill__join_panes_take(struct mill__join_panes *panes, int64_t pane_us, int64_t until_us,
                           const struct mill_join_sink *sink, void (*gone)(void *, const struct mill__join_pane *),
                           void *context)
{
    uint32_t taken = 0;

    for (; taken < panes->count && panes->at[taken].counted_us + pane_us <= until_us; taken++) {
        struct mill__join_pane *pane = &panes->at[taken];
        if (pane->outcomes != NULL) {
            put_away(panes, pane);
        }
        struct mill_drift_part part = {pane->start_us, (uint32_t)((pane->counted_us - pane->start_us) / pane_us),
                                       mill_buffer_slice(&pane->bytes)};
        sink->part(sink->context, pane->kind, &part);
        gone(context, pane);
        mill_buffer_clear(&pane->bytes);
    }
    panes->count -= taken;
    if (taken > 0) {
        memmove(panes->at, panes->at + taken, panes->count * sizeof(*panes->at));
    }
}

void mill__join_panes_clear(struct mill__join_panes *panes)
{
    for (uint32_t i = 0; i < panes->count; i++) {
        mill_outcomes_free(panes->at[i].outcomes);
        mill_buffer_clear(&panes->at[i].bytes);
    }
    free(panes->at);
    *panes = (struct mill__join_panes){0};
}

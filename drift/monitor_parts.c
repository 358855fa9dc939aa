/* SPDX-License-Identifier: Apache-2.0 */
/* Live parts by pane: few panes (a window's, and those of contributors that are ahead), looked up by binary search. */
#include <stdlib.h>
#include <string.h>

#include "drift/monitor_internal.h"

uint32_t mill__parts_lower_bound(const struct mill__parts *parts, int64_t start_us)
{
    uint32_t low = 0, high = parts->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (parts->panes[middle].start_us < start_us) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct mill__pane *get_pane(struct mill__parts *parts, int64_t start_us)
{
    uint32_t i = mill__parts_lower_bound(parts, start_us);

    if (i < parts->count && parts->panes[i].start_us == start_us) {
        return &parts->panes[i];
    }
    if (parts->count == parts->capacity) {
        parts->capacity = parts->capacity == 0 ? 16 : 2 * parts->capacity;
        parts->panes = mill_realloc(parts->panes, parts->capacity * sizeof(*parts->panes));
    }
    memmove(&parts->panes[i + 1], &parts->panes[i], (parts->count - i) * sizeof(*parts->panes));
    parts->panes[i] = (struct mill__pane){.start_us = start_us};
    parts->count++;
    return &parts->panes[i];
}

static int compare(const struct mill__part *a, const struct mill__part *b)
{
    if (a->kind != b->kind) {
        return a->kind < b->kind ? -1 : 1;
    }
    if (a->contributor != b->contributor) {
        return a->contributor < b->contributor ? -1 : 1;
    }
    if (a->start_us != b->start_us) {
        return a->start_us < b->start_us ? -1 : 1;
    }
    return (a->part > b->part) - (a->part < b->part);
}

struct mill__part *mill__parts_get(struct mill__parts *parts, int64_t pane_us, const struct mill__part *wanted)
{
    struct mill__pane *pane = get_pane(parts, pane_us);
    uint32_t low = 0, high = pane->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = compare(&pane->parts[middle], wanted);
        if (order == 0) {
            return &pane->parts[middle];
        }
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    if (pane->count == pane->capacity) {
        pane->capacity = pane->capacity == 0 ? 4 : 2 * pane->capacity;
        pane->parts = mill_realloc(pane->parts, pane->capacity * sizeof(*pane->parts));
    }
    memmove(&pane->parts[low + 1], &pane->parts[low], (pane->count - low) * sizeof(*pane->parts));
    pane->parts[low] = (struct mill__part){
        .kind = wanted->kind, .contributor = wanted->contributor, .part = wanted->part, .start_us = wanted->start_us};
    pane->count++;
    parts->part_count++;
    return &pane->parts[low];
}

void mill__parts_set_bytes(struct mill__parts *parts, struct mill__part *part, struct mill_slice bytes)
{
    mill_assert(!part->is_summed);
    parts->part_bytes += bytes.n - part->n;
    free(part->bytes);
    part->bytes = mill_malloc(bytes.n + 1);
    part->n = bytes.n;
    if (bytes.n > 0) {
        memcpy(part->bytes, bytes.p, bytes.n);
    }
}

static void clear_pane(struct mill__parts *parts, struct mill__pane *pane)
{
    for (uint32_t i = 0; i < pane->count; i++) {
        parts->part_bytes -= pane->parts[i].n;
        free(pane->parts[i].bytes);
    }
    parts->part_count -= pane->count;
    free(pane->parts);
}

void mill__parts_drop(struct mill__parts *parts, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        clear_pane(parts, &parts->panes[i]);
    }
    parts->count -= count;
    if (count > 0) {
        memmove(parts->panes, parts->panes + count, parts->count * sizeof(*parts->panes));
    }
}

void mill__parts_clear(struct mill__parts *parts)
{
    mill__parts_drop(parts, parts->count);
    free(parts->panes);
    *parts = (struct mill__parts){0};
}

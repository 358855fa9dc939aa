/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of entries and heaps of them; see join_internal.h. */
#include "drift/join_internal.h"

void mill__join_list_add(struct mill__join_list *list, struct mill__join_entry *entry)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity == 0 ? 64 : 2 * list->capacity;
        list->at = mill_realloc(list->at, list->capacity * sizeof(struct mill__join_entry *));
    }
    list->at[list->count++] = entry;
}

static void place(struct mill__join_list *heap, uint32_t at, struct mill__join_entry *entry)
{
    heap->at[at] = entry;
    entry->heap_at = at;
}

static void rise(struct mill__join_list *heap, uint32_t at, struct mill__join_entry *entry)
{
    while (at > 0 && entry->time_us < heap->at[(at - 1) / 2]->time_us) {
        place(heap, at, heap->at[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    place(heap, at, entry);
}

static void sink(struct mill__join_list *heap, uint32_t at, struct mill__join_entry *entry)
{
    for (uint32_t child; (child = 2 * at + 1) < heap->count; at = child) {
        if (child + 1 < heap->count && heap->at[child + 1]->time_us < heap->at[child]->time_us) {
            child++;
        }
        if (heap->at[child]->time_us >= entry->time_us) {
            break;
        }
        place(heap, at, heap->at[child]);
    }
    place(heap, at, entry);
}

void mill__join_heap_push(struct mill__join_list *heap, struct mill__join_entry *entry)
{
    mill__join_list_add(heap, entry);
    rise(heap, heap->count - 1, entry);
}

void mill__join_heap_remove(struct mill__join_list *heap, struct mill__join_entry *entry)
{
    uint32_t at = entry->heap_at;
    struct mill__join_entry *last = heap->at[--heap->count];

    mill_assert(at <= heap->count && (at == heap->count || heap->at[at] == entry));
    if (at == heap->count) {
        return;
    }
    if (at > 0 && last->time_us < heap->at[(at - 1) / 2]->time_us) {
        rise(heap, at, last);
    } else {
        sink(heap, at, last);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slot: replaces a model while threads score with it (M. Michael, "Hazard Pointers", 2004, with one pointer a reader).
 *
 * A reader says which model it is about to use, then looks whether that is still the one in the slot. Both are
 * sequentially consistent, as is the exchange of swap(): either the reader sees the new model and turns to it, or
 * swap() sees the reader on the old one and waits for it.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/arena.h"
#include "inference/model_internal.h"

/* A cache line each, so that readers do not slow one another. */
struct mill_model_reader {
    _Alignas(64) _Atomic(struct mill_model *) held; /* NULL between batches */
    struct mill_model_slot *slot;
    struct mill_model_reader *next;
};

struct mill_model_slot {
    _Atomic(struct mill_model *) current;
    pthread_mutex_t lock; /* of the list of readers, and of swaps, one at a time */
    struct mill_model_reader *readers;
};

struct mill_model_slot *mill_model_slot_new(struct mill_model *first)
{
    mill_assert(first != NULL);
    struct mill_model_slot *slot = mill_calloc(1, sizeof(*slot));
    atomic_init(&slot->current, first);
    mill_assert(pthread_mutex_init(&slot->lock, NULL) == 0);
    return slot;
}

struct mill_model *mill_model_slot_free(struct mill_model_slot *slot)
{
    mill_assert(slot->readers == NULL);
    struct mill_model *last = atomic_load(&slot->current);
    pthread_mutex_destroy(&slot->lock);
    free(slot);
    return last;
}

struct mill_model_reader *mill_model_slot_join(struct mill_model_slot *slot)
{
    struct mill_model_reader *reader = aligned_alloc(_Alignof(struct mill_model_reader), sizeof(*reader));
    mill_assert(reader != NULL);
    atomic_init(&reader->held, NULL);
    reader->slot = slot;
    pthread_mutex_lock(&slot->lock);
    reader->next = slot->readers;
    slot->readers = reader;
    pthread_mutex_unlock(&slot->lock);
    return reader;
}

void mill_model_slot_leave(struct mill_model_reader *reader)
{
    struct mill_model_slot *slot = reader->slot;
    mill_assert(atomic_load(&reader->held) == NULL);
    pthread_mutex_lock(&slot->lock);
    struct mill_model_reader **at = &slot->readers;
    while (*at != reader) {
        at = &(*at)->next;
    }
    *at = reader->next;
    pthread_mutex_unlock(&slot->lock);
    free(reader);
}

const struct mill_model *mill_model_begin(struct mill_model_reader *reader)
{
    struct mill_model *model = atomic_load(&reader->slot->current), *seen;
    mill_assert(atomic_load_explicit(&reader->held, memory_order_relaxed) == NULL);
    do {
        seen = model;
        atomic_store(&reader->held, seen);
        model = atomic_load(&reader->slot->current);
    } while (model != seen);
    return model;
}

void mill_model_end(struct mill_model_reader *reader)
{
    atomic_store_explicit(&reader->held, NULL, memory_order_release);
}

/* Batches take microseconds, so this hardly ever sleeps. */
static void wait_for(const struct mill_model_reader *reader, const struct mill_model *model)
{
    const struct timespec pause = {.tv_nsec = 20000};
    while (atomic_load(&reader->held) == model) {
        nanosleep(&pause, NULL);
    }
}

struct mill_model *mill_model_slot_swap(struct mill_model_slot *slot, struct mill_model *next)
{
    mill_assert(next != NULL);
    pthread_mutex_lock(&slot->lock);
    struct mill_model *old = atomic_exchange(&slot->current, next);
    mill_assert(old != next);
    for (const struct mill_model_reader *r = slot->readers; r != NULL; r = r->next) {
        wait_for(r, old);
    }
    pthread_mutex_unlock(&slot->lock);
    return old;
}

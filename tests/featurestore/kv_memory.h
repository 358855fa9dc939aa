/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A key-value store in memory, for tests of entity state that restart thousands of times: it takes the place of the
 * RocksDB one at link time. Included by one file of a test. A batch is written by mill_kv_write, not before.
 */
#ifndef MILL_TEST_KV_MEMORY_H
#define MILL_TEST_KV_MEMORY_H

#include <stdlib.h>

#include "featurestore/featurestore.h"

struct kv_entry {
    char *key, *value;
    size_t key_n, value_n;
};

struct kv_entries {
    struct kv_entry *at;
    uint32_t count, capacity;
};

struct mill_kv {
    struct kv_entries entries;
    int fail_gets;        /* so many gets fail with MILL_EIO */
    uint64_t get_count;   /* so far */
    uint64_t fail_get_at; /* the get of that number fails with MILL_EUNAVAIL; 0: none */
};

struct mill_kv_batch {
    struct kv_entries entries;
};

static char *kv_copy(struct mill_slice s)
{
    char *p = mill_malloc(s.n);
    if (s.n > 0) {
        memcpy(p, s.p, s.n);
    }
    return p;
}

static void kv_put(struct kv_entries *entries, struct mill_slice key, struct mill_slice value)
{
    for (uint32_t i = 0; i < entries->count; i++) {
        struct kv_entry *e = &entries->at[i];
        if (e->key_n == key.n && memcmp(e->key, key.p, key.n) == 0) {
            free(e->value);
            e->value = kv_copy(value);
            e->value_n = value.n;
            return;
        }
    }
    if (entries->count == entries->capacity) {
        entries->capacity = entries->capacity == 0 ? 8 : entries->capacity * 2;
        entries->at = mill_realloc(entries->at, entries->capacity * sizeof(*entries->at));
    }
    entries->at[entries->count++] =
        (struct kv_entry){.key = kv_copy(key), .key_n = key.n, .value = kv_copy(value), .value_n = value.n};
}

static void kv_clear(struct kv_entries *entries)
{
    for (uint32_t i = 0; i < entries->count; i++) {
        free(entries->at[i].key);
        free(entries->at[i].value);
    }
    free(entries->at);
    *entries = (struct kv_entries){0};
}

int mill_kv_get(struct mill_kv *kv, enum mill_kv_family family, struct mill_slice key, struct mill_buffer *out,
                struct mill_error *err)
{
    (void)family;
    if (++kv->get_count == kv->fail_get_at) {
        return mill_fail(err, MILL_EUNAVAIL, "the test's store fails");
    }
    if (kv->fail_gets > 0) {
        kv->fail_gets--;
        return mill_fail(err, MILL_EIO, "the test's store fails");
    }
    for (uint32_t i = 0; i < kv->entries.count; i++) {
        struct kv_entry *e = &kv->entries.at[i];
        if (e->key_n == key.n && memcmp(e->key, key.p, key.n) == 0) {
            mill_buffer_reset(out);
            mill_buffer_add(out, e->value, e->value_n);
            return 1;
        }
    }
    return 0;
}

static bool kv_is_greater(const struct kv_entry *a, const char *key, size_t key_n)
{
    int order = memcmp(a->key, key, a->key_n < key_n ? a->key_n : key_n);
    return order != 0 ? order > 0 : a->key_n > key_n;
}

int mill_kv_scan(struct mill_kv *kv, enum mill_kv_family family, struct mill_slice prefix, struct mill_slice after,
                 bool (*each)(void *context, struct mill_slice key, struct mill_slice value), void *context,
                 struct mill_error *err)
{
    const char *last = after.p;
    size_t last_n = after.n;

    (void)family;
    (void)err;
    for (;;) {
        const struct kv_entry *next = NULL;
        for (uint32_t i = 0; i < kv->entries.count; i++) {
            const struct kv_entry *e = &kv->entries.at[i];
            if (e->key_n >= prefix.n && memcmp(e->key, prefix.p, prefix.n) == 0 &&
                (last_n == 0 || kv_is_greater(e, last, last_n)) &&
                (next == NULL || kv_is_greater(next, e->key, e->key_n))) {
                next = e;
            }
        }
        if (next == NULL || !each(context, (struct mill_slice){next->key, next->key_n},
                                  (struct mill_slice){next->value, next->value_n})) {
            return MILL_OK;
        }
        last = next->key;
        last_n = next->key_n;
    }
}

void mill_kv_batch_put(struct mill_kv_batch *batch, enum mill_kv_family family, struct mill_slice key,
                       struct mill_slice value)
{
    (void)family;
    kv_put(&batch->entries, key, value);
}

int mill_kv_write(struct mill_kv *kv, struct mill_kv_batch *batch, struct mill_error *err)
{
    (void)err;
    for (uint32_t i = 0; i < batch->entries.count; i++) {
        struct kv_entry *e = &batch->entries.at[i];
        kv_put(&kv->entries, (struct mill_slice){e->key, e->key_n}, (struct mill_slice){e->value, e->value_n});
    }
    kv_clear(&batch->entries);
    return MILL_OK;
}

/* The rest, so that the linker has no reason to look at the real store. */

int mill_kv_open(const struct mill_kv_options *options, struct mill_kv **ret_kv, struct mill_error *err)
{
    (void)options;
    (void)err;
    *ret_kv = mill_calloc(1, sizeof(**ret_kv));
    return MILL_OK;
}

void mill_kv_close(struct mill_kv *kv)
{
    kv_clear(&kv->entries);
    free(kv);
}

int mill_kv_resume(struct mill_kv *kv, struct mill_error *err)
{
    (void)kv;
    (void)err;
    return MILL_OK;
}

struct mill_kv_batch *mill_kv_batch_new(void)
{
    return mill_calloc(1, sizeof(struct mill_kv_batch));
}

void mill_kv_batch_free(struct mill_kv_batch *batch)
{
    kv_clear(&batch->entries);
    free(batch);
}

void mill_kv_batch_reset(struct mill_kv_batch *batch)
{
    kv_clear(&batch->entries);
}

uint32_t mill_kv_batch_count(const struct mill_kv_batch *batch)
{
    return batch->entries.count;
}

void mill_kv_batch_delete(struct mill_kv_batch *batch, enum mill_kv_family family, struct mill_slice key)
{
    (void)batch;
    (void)family;
    (void)key;
    abort(); /* tables never delete */
}

#endif

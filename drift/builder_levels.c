/* SPDX-License-Identifier: Apache-2.0 */
/* A categorical feature from its distinct texts: the most frequent are levels, the others only hashes. */
#include <stdlib.h>

#include "drift/profile_internal.h"

/* qsort has no context argument that is portable: the texts are looked up through this. */
struct ranked {
    struct mill_slice text;
    uint64_t count;
    uint32_t id;
};

static int by_frequency(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    if (x->count != y->count) {
        return x->count > y->count ? -1 : 1;
    }
    return mill_slice_compare(x->text, y->text);
}

static int by_text(const void *a, const void *b)
{
    return mill_slice_compare(((const struct ranked *)a)->text, ((const struct ranked *)b)->text);
}

uint32_t mill__texts_top(const struct mill__texts *texts, uint32_t max, struct mill_arena *arena,
                         struct mill_slice **ret_levels, uint32_t *ret_rank)
{
    struct ranked *ranked = mill_malloc((texts->count + (size_t)1) * sizeof(*ranked));
    uint32_t kept = texts->count < max ? texts->count : max;

    for (uint32_t id = 0; id < texts->count; id++) {
        ranked[id] = (struct ranked){texts->texts[id], texts->counts[id], id};
        ret_rank[id] = UINT32_MAX;
    }
    qsort(ranked, texts->count, sizeof(*ranked), by_frequency);
    qsort(ranked, kept, sizeof(*ranked), by_text);
    *ret_levels = mill_arena_array(arena, struct mill_slice, kept);
    for (uint32_t i = 0; i < kept; i++) {
        (*ret_levels)[i] = mill_arena_slice(arena, ranked[i].text);
        ret_rank[ranked[i].id] = i;
    }
    free(ranked);
    return kept;
}

static int by_hash(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void keep_hashes(const struct mill__texts *texts, const uint32_t *rank, struct mill_arena *arena,
                        struct mill_profile_feature *feature)
{
    if (feature->other_levels == 0 || feature->other_levels > MILL_PROFILE_OTHERS_MAX) {
        return;
    }
    uint64_t *hashes = mill_arena_array(arena, uint64_t, feature->other_levels);
    uint32_t count = 0, distinct = 0;
    for (uint32_t id = 0; id < texts->count; id++) {
        hashes[count] = texts->hashes[id];
        count += rank[id] == UINT32_MAX;
        if (count == feature->other_levels) {
            break;
        }
    }
    qsort(hashes, count, sizeof(*hashes), by_hash);
    for (uint32_t i = 0; i < count; i++) {
        if (i == 0 || hashes[i] != hashes[distinct - 1]) {
            hashes[distinct++] = hashes[i];
        }
    }
    feature->other_hash_count = distinct;
    feature->other_hashes = hashes;
}

void mill__build_categorical(const struct mill__texts *texts, uint32_t levels_max, struct mill_arena *arena,
                             uint32_t *ret_rank, struct mill_profile_feature *feature)
{
    struct mill_slice *levels;

    feature->level_count = mill__texts_top(texts, levels_max, arena, &levels, ret_rank);
    feature->levels = levels;
    feature->other_levels = texts->count - feature->level_count;
    feature->slot_count = feature->level_count + 2;
    uint64_t *slots = mill_arena_zarray(arena, uint64_t, feature->slot_count);
    for (uint32_t id = 0; id < texts->count; id++) {
        slots[ret_rank[id] == UINT32_MAX ? feature->level_count : ret_rank[id]] += texts->counts[id];
    }
    feature->slots = slots;
    keep_hashes(texts, ret_rank, arena, feature);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Feast's Redis layout: what views look like in it, and their entities' keys. */
#include <stdlib.h>

#include "featurestore/online_feast_internal.h"

#include "base/timestamp.h"

/* feast.types.ValueType.Enum */
enum { FEAST_STRING = 2, FEAST_INT64 = 4 };

/* MurmurHash3_x86_32 with seed 0 (Austin Appleby, public domain). */
uint32_t mill__murmur3(const void *data, size_t n)
{
    const unsigned char *p = data;
    uint32_t h = 0, k;
    size_t blocks = n / 4;
    for (size_t i = 0; i < blocks; i++) {
        memcpy(&k, p + 4 * i, sizeof(k));
        k *= UINT32_C(0xcc9e2d51);
        k = (k << 15 | k >> 17) * UINT32_C(0x1b873593);
        h ^= k;
        h = (h << 13 | h >> 19) * 5 + UINT32_C(0xe6546b64);
    }
    k = 0;
    for (size_t i = n & 3; i > 0; i--) {
        k = k << 8 | p[4 * blocks + i - 1];
    }
    k *= UINT32_C(0xcc9e2d51);
    h ^= (k << 15 | k >> 17) * UINT32_C(0x1b873593);
    h ^= (uint32_t)n;
    h = (h ^ h >> 16) * UINT32_C(0x85ebca6b);
    h = (h ^ h >> 13) * UINT32_C(0xc2b2ae35);
    return h ^ h >> 16;
}

/* ------------------------------------------------------------------------------------------------
 * Keys
 * --------------------------------------------------------------------------------------------- */

static void add_counted(struct mill_buffer *out, struct mill_slice s)
{
    mill_buffer_add_u32(out, (uint32_t)s.n);
    mill_buffer_add_slice(out, s);
}

/* The part of the key that is the same for all entities of the view. */
static void make_key_head(const struct mill_entity *entity, struct mill__feast_view *view)
{
    mill_assert(entity->key_count <= MILL_KEY_PARTS_MAX);
    for (uint32_t i = 0; i < entity->key_count; i++) {
        uint32_t at = i;
        for (; at > 0 && strcmp(entity->keys[view->key_order[at - 1]].name, entity->keys[i].name) > 0; at--) {
            view->key_order[at] = view->key_order[at - 1];
        }
        view->key_order[at] = i;
    }
    mill_buffer_add_u32(&view->key_head, entity->key_count);
    for (uint32_t i = 0; i < entity->key_count; i++) {
        mill_buffer_add_u32(&view->key_head, FEAST_STRING);
        add_counted(&view->key_head, mill_slice_of(entity->keys[view->key_order[i]].name));
    }
}

void mill__feast_add_key(const struct mill__feast_view *view, const struct mill_entity *entity, struct mill_slice key,
                         const char *project, struct mill_buffer *out)
{
    struct mill_slice strings[MILL_KEY_PARTS_MAX] = {{NULL, 0}};
    int64_t integers[MILL_KEY_PARTS_MAX] = {0};
    struct mill_cursor cursor = mill_cursor_of(key.n == 0 ? mill_slice_of("") : key);
    for (uint32_t i = 0; i < entity->key_count; i++) {
        if (entity->keys[i].type == MILL_STRING) {
            strings[i].n = (size_t)mill_cursor_varint(&cursor);
            strings[i].p = mill_cursor_take(&cursor, strings[i].n);
        } else {
            integers[i] = mill_cursor_zigzag(&cursor);
        }
    }
    mill_assert(!cursor.bad && cursor.p == cursor.end); /* keys come from mill_key_encode and mill_key_parse */

    mill_buffer_add_slice(out, mill_buffer_slice(&view->key_head));
    for (uint32_t i = 0; i < entity->key_count; i++) {
        uint32_t part = view->key_order[i];
        if (entity->keys[part].type == MILL_STRING) {
            mill_buffer_add_u32(out, FEAST_STRING);
            add_counted(out, strings[part]);
        } else {
            mill_buffer_add_u32(out, FEAST_INT64);
            mill_buffer_add_u32(out, sizeof(int64_t));
            mill_buffer_add_u64(out, (uint64_t)integers[part]);
        }
    }
    mill_buffer_add_string(out, project);
}

/* ------------------------------------------------------------------------------------------------
 * Views
 * --------------------------------------------------------------------------------------------- */

/* Views of the same join keys (names and types) live in the same Redis hashes. */
static bool share_hashes(const struct mill_online_view *views, const struct mill__feast_view *feast, uint32_t a,
                         uint32_t b)
{
    bool same = mill_slice_equal(mill_buffer_slice(&feast[a].key_head), mill_buffer_slice(&feast[b].key_head));
    for (uint32_t i = 0; same && i < views[a].entity->key_count; i++) {
        same = views[a].entity->keys[feast[a].key_order[i]].type == views[b].entity->keys[feast[b].key_order[i]].type;
    }
    return same;
}

/* EXPIRE is of the whole hash: it must not come before the longest ttl of the views in it. */
static uint64_t expiry_of(const struct mill_online_view *views, uint32_t view_count,
                          const struct mill__feast_view *feast, uint32_t view)
{
    int64_t longest = 0;
    for (uint32_t v = 0; v < view_count; v++) {
        if (share_hashes(views, feast, view, v)) {
            if (views[v].ttl_us == 0) {
                return 0;
            }
            longest = views[v].ttl_us > longest ? views[v].ttl_us : longest;
        }
    }
    return (uint64_t)((longest + MILL_US_PER_SECOND - 1) / MILL_US_PER_SECOND);
}

struct field_use {
    uint32_t hash, view, feature;
};

static int compare_uses(const void *a, const void *b)
{
    const struct field_use *x = a, *y = b;
    return (x->hash > y->hash) - (x->hash < y->hash);
}

static int check_pair(const struct mill_online_view *views, const struct mill__feast_view *feast,
                      const struct field_use *a, const struct field_use *b, struct mill_error *err)
{
    if (!share_hashes(views, feast, a->view, b->view)) {
        return MILL_OK;
    }
    return mill_fail(
        err, MILL_ECONFIG,
        "features '%s:%s' and '%s:%s' have the same field %08x in the feast layout and would overwrite each "
        "other; hint: rename one, or use the packed layout",
        views[a->view].name, views[a->view].features[a->feature].name, views[b->view].name,
        views[b->view].features[b->feature].name, a->hash);
}

/* Feast itself never looks: two names with one murmur3 overwrite each other silently. */
static int check_collisions(const struct mill_online_view *views, uint32_t view_count,
                            const struct mill__feast_view *feast, struct mill_error *err)
{
    size_t count = 0;
    for (uint32_t v = 0; v < view_count; v++) {
        count += views[v].feature_count;
    }
    struct field_use *uses = mill_malloc(sizeof(*uses) * (count + 1));
    count = 0;
    for (uint32_t v = 0; v < view_count; v++) {
        for (uint32_t f = 0; f < views[v].feature_count; f++) {
            uses[count++] = (struct field_use){feast[v].fields[f], v, f};
        }
    }
    qsort(uses, count, sizeof(*uses), compare_uses);
    int rc = MILL_OK;
    for (size_t i = 0; i < count && rc == MILL_OK; i++) {
        for (size_t j = i + 1; j < count && uses[j].hash == uses[i].hash && rc == MILL_OK; j++) {
            rc = check_pair(views, feast, &uses[i], &uses[j], err);
        }
    }
    free(uses);
    return rc;
}

static void describe_view(const struct mill_online_view *view, struct mill__feast_view *feast)
{
    struct mill_buffer name = {0};
    make_key_head(view->entity, feast);
    feast->fields = mill_malloc(sizeof(uint32_t) * (view->feature_count + 1));
    for (uint32_t f = 0; f < view->feature_count; f++) {
        mill_buffer_reset(&name);
        mill_buffer_printf(&name, "%s:%s", view->name, view->features[f].name);
        feast->fields[f] = mill__murmur3(name.p, name.n);
    }
    mill_buffer_reset(&name);
    mill_buffer_printf(&name, "_ts:%s", view->name);
    feast->time_field = mill_strdup(mill_buffer_cstr(&name));
    mill_buffer_clear(&name);
}

int mill__feast_open(const struct mill_online_view *views, uint32_t view_count, struct mill__feast_view **ret_views,
                     struct mill_error *err)
{
    for (uint32_t v = 0; v < view_count; v++) {
        if (views[v].feature_count > MILL__FEAST_FEATURES_MAX) {
            return mill_fail(
                err, MILL_ECONFIG,
                "feature view '%s' has %u features, expected at most %d in the feast layout; hint: use the "
                "packed layout",
                views[v].name, views[v].feature_count, MILL__FEAST_FEATURES_MAX);
        }
    }
    struct mill__feast_view *feast = mill_calloc(view_count + 1, sizeof(*feast));
    for (uint32_t v = 0; v < view_count; v++) {
        describe_view(&views[v], &feast[v]);
    }
    for (uint32_t v = 0; v < view_count; v++) {
        feast[v].expire_s = expiry_of(views, view_count, feast, v);
    }
    int rc = check_collisions(views, view_count, feast, err);
    if (rc < 0) {
        mill__feast_close(feast, view_count);
        return rc;
    }
    *ret_views = feast;
    return MILL_OK;
}

void mill__feast_close(struct mill__feast_view *views, uint32_t view_count)
{
    for (uint32_t v = 0; views != NULL && v < view_count; v++) {
        mill_buffer_clear(&views[v].key_head);
        free(views[v].fields);
        free(views[v].time_field);
    }
    free(views);
}

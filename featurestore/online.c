/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The online store: open and close, partitions and their fencing tokens, sync. online_internal.h is the map.
 *
 * Why rows of a new owner are compared at first: after a restart it folds again from its last stored state, so it
 * passes entities through values that an earlier owner had already overtaken. Each fence remembers, per view and source
 * partition, the highest offset that was written; rows up to there are compared on the server, rows beyond are news.
 */
#include "featurestore/online_internal.h"

#include <stdlib.h>

enum { WINDOW_BYTES = 256 << 10, TIMEOUT_MS = 2000 };

/* ------------------------------------------------------------------------------------------------
 * Open and close
 * --------------------------------------------------------------------------------------------- */

static void make_greeting(struct mill_online *online)
{
    const struct mill__redis_address *address = &online->address;
    struct mill_buffer *out = &online->greeting;
    if (address->password != NULL) {
        mill__resp_command(out, address->user != NULL ? 3 : 2);
        mill__resp_text(out, "AUTH");
        if (address->user != NULL) {
            mill__resp_text(out, address->user);
        }
        mill__resp_text(out, address->password);
        online->greeting_replies++;
    }
    if (address->db != 0) {
        mill__resp_command(out, 2);
        mill__resp_text(out, "SELECT");
        mill__resp_int(out, address->db);
        online->greeting_replies++;
    }
    mill__resp_command(out, 3);
    mill__resp_text(out, "SCRIPT");
    mill__resp_text(out, "LOAD");
    mill__resp_text(out, online->layout == MILL_ONLINE_PACKED ? mill__script_packed : mill__script_feast);
    online->greeting_replies++; /* the last: its answer is the script's name */
}

static int open_views(struct mill_online *online, struct mill_error *err)
{
    struct mill_buffer head = {0};
    online->row_layouts = mill_calloc(online->view_count + 1, sizeof(*online->row_layouts));
    online->key_heads = mill_calloc(online->view_count + 1, sizeof(*online->key_heads));
    for (uint32_t v = 0; v < online->view_count; v++) {
        const struct mill_online_view *view = &online->views[v];
        if (view->feature_count > MILL__ROW_FEATURES_MAX) {
            mill_buffer_clear(&head);
            return mill_fail(err, MILL_ECONFIG, "feature view '%s' has %u features, expected at most %d", view->name,
                             view->feature_count, MILL__ROW_FEATURES_MAX);
        }
        online->row_layouts[v] = mill__row_layout_of(view->features, view->feature_count);
        mill_buffer_reset(&head);
        mill_buffer_printf(&head, "fs:%s:%s:", online->project, view->name);
        online->key_heads[v] = mill_strdup(mill_buffer_cstr(&head));
    }
    mill_buffer_clear(&head);
    return online->layout == MILL_ONLINE_FEAST
               ? mill__feast_open(online->views, online->view_count, &online->feast, err)
               : MILL_OK;
}

int mill_online_open(const struct mill_online_options *options, const struct mill_online_view *views,
                     uint32_t view_count, struct mill_online **ret_online, struct mill_error *err)
{
    struct mill__redis_address address;
    MILL_TRY(mill__redis_address_parse(options->connection_string, &address, err));
    if (options->password != NULL) {
        free(address.password);
        address.password = mill_strdup(options->password);
    }
    struct mill_online *online = mill_calloc(1, sizeof(*online));
    online->project = mill_strdup(options->project);
    online->layout = options->layout;
    online->views = views;
    online->view_count = view_count;
    online->address = address;
    online->window_bytes = options->window_bytes != 0 ? options->window_bytes : WINDOW_BYTES;
    online->timeout_ns = (options->timeout_ms != 0 ? options->timeout_ms : TIMEOUT_MS) * INT64_C(1000000);
    mill_arena_init(&online->arena, 0);
    make_greeting(online);
    int rc = open_views(online, err);
    if (rc < 0) {
        mill_online_close(online);
        return rc;
    }
    *ret_online = online;
    return MILL_OK;
}

static void free_fences(struct mill_online *online)
{
    for (uint32_t i = 0; i < online->fence_count; i++) {
        struct mill__online_fence *fence = &online->fences[i];
        for (uint32_t h = 0; h < fence->high_count; h++) {
            free(fence->highs[h].field);
        }
        free(fence->highs);
        free(fence->key);
    }
    free(online->fences);
}

void mill_online_close(struct mill_online *online)
{
    if (online == NULL) {
        return;
    }
    mill__link_close(online);
    free_fences(online);
    for (uint32_t v = 0; v < online->view_count; v++) {
        free(online->key_heads[v]);
    }
    mill__feast_close(online->feast, online->view_count);
    mill__redis_address_clear(&online->address);
    mill_buffer_clear(&online->open.keys);
    mill_buffer_clear(&online->open.args);
    mill_buffer_clear(&online->scratch);
    mill_buffer_clear(&online->packed);
    mill_arena_clear(&online->arena);
    mill_buffer_clear(&online->queue);
    mill_buffer_clear(&online->greeting);
    mill_buffer_clear(&online->request.bytes);
    free(online->calls);
    free(online->key_heads);
    free(online->row_layouts);
    free(online->project);
    free(online);
}

/* ------------------------------------------------------------------------------------------------
 * Fences
 * --------------------------------------------------------------------------------------------- */

uint32_t mill__online_find_fence(struct mill_online *online, int32_t partition)
{
    if (online->fence_last < online->fence_count && online->fences[online->fence_last].partition == partition) {
        return online->fence_last;
    }
    for (uint32_t i = 0; i < online->fence_count; i++) {
        if (online->fences[i].partition == partition) {
            online->fence_last = i;
            return i;
        }
    }
    return UINT32_MAX;
}

static struct mill__online_fence *add_fence(struct mill_online *online, int32_t partition)
{
    struct mill_buffer key = {0};
    mill_buffer_printf(&key, "fence:%s:%d", online->project, partition);
    online->fences = mill_realloc(online->fences, sizeof(*online->fences) * (online->fence_count + 1));
    struct mill__online_fence *fence = &online->fences[online->fence_count++];
    *fence = (struct mill__online_fence){.partition = partition, .key = mill_strdup(mill_buffer_cstr(&key))};
    mill_buffer_clear(&key);
    return fence;
}

struct mill__online_high *mill__online_high_of(struct mill_online *online, struct mill__online_fence *fence,
                                               uint32_t view, int32_t partition)
{
    /* Rows of one view and source come one after the other, and views in a round: look at the last, then after it. */
    for (uint32_t i = 0; i < fence->high_count; i++) {
        uint32_t at = (fence->high_last + i) % fence->high_count;
        if (fence->highs[at].view == view && fence->highs[at].partition == partition) {
            fence->high_last = at;
            return &fence->highs[at];
        }
    }
    if (fence->high_count == fence->high_capacity) {
        fence->high_capacity = fence->high_capacity == 0 ? 8 : fence->high_capacity * 2;
        fence->highs = mill_realloc(fence->highs, sizeof(*fence->highs) * fence->high_capacity);
    }
    struct mill_buffer field = {0};
    mill_buffer_printf(&field, "high:%s:%d", online->views[view].name, partition);
    fence->high_last = fence->high_count;
    fence->highs[fence->high_count] = (struct mill__online_high){.view = view,
                                                                 .partition = partition,
                                                                 .before = INT64_MIN,
                                                                 .now = INT64_MIN,
                                                                 .field = mill_strdup(mill_buffer_cstr(&field))};
    mill_buffer_clear(&field);
    return &fence->highs[fence->high_count++];
}

/* "high:<view>:<source partition>" = offset. Fields of views that are gone are left alone. */
static void take_high(struct mill_online *online, struct mill__online_fence *fence, struct mill_slice field,
                      struct mill_slice value)
{
    int64_t offset = 0, partition = 0;
    const char *colon = field.n < 5 || memcmp(field.p, "high:", 5) != 0 ? NULL : memrchr(field.p, ':', field.n);
    if (colon == NULL || colon < field.p + 5 ||
        mill_number_parse_int64(colon + 1, field.p + field.n, &partition) != field.p + field.n ||
        mill_number_parse_int64(value.p, value.p + value.n, &offset) != value.p + value.n) {
        return;
    }
    struct mill_slice name = {field.p + 5, (size_t)(colon - field.p) - 5};
    for (uint32_t v = 0; v < online->view_count; v++) {
        if (mill_slice_is(name, online->views[v].name)) {
            struct mill__online_high *high = mill__online_high_of(online, fence, v, (int32_t)partition);
            high->before = high->now = offset;
        }
    }
}

static int take_claim(struct mill_online *online, struct mill__online_fence *fence, struct mill_error *err)
{
    const struct mill__reply *reply = &online->request.reply;
    struct mill__reply token = {0};
    if (reply->kind == MILL__REPLY_ARRAY && reply->count >= 2 && reply->count % 2 == 0) {
        token = mill__reply_element(reply, 0);
    }
    if (token.kind != MILL__REPLY_TEXT || token.text.n == 0 || token.text.n >= sizeof(fence->token)) {
        return mill_fail(err, MILL_EIO, "redis at '%s' does not answer as the script does", online->address.label);
    }
    memcpy(fence->token, token.text.p, token.text.n);
    fence->token[token.text.n] = '\0';
    for (uint32_t h = 0; h < fence->high_count; h++) {
        fence->highs[h].before = fence->highs[h].now = INT64_MIN;
    }
    for (size_t i = 2; i + 1 < reply->count; i += 2) {
        take_high(online, fence, mill__reply_element(reply, i).text, mill__reply_element(reply, i + 1).text);
    }
    fence->show_lost = mill_slice_is(mill__reply_element(reply, 1).text, "1");
    fence->tell_fenced = fence->show_fenced = false;
    fence->last_call = fence->checked_call = 0;
    fence->is_owned = true;
    return MILL_OK;
}

int mill_online_claim(struct mill_online *online, int32_t partition, bool rows_missing, struct mill_error *err)
{
    uint32_t index = mill__online_find_fence(online, partition);
    struct mill__online_fence *fence = index == UINT32_MAX ? add_fence(online, partition) : &online->fences[index];
    mill__online_close_call(online);
    mill_buffer_reset(&online->request.bytes);
    mill__resp_command(&online->request.bytes, 5);
    mill__resp_text(&online->request.bytes, "EVAL");
    mill__resp_text(&online->request.bytes, mill__script_claim);
    mill__resp_int(&online->request.bytes, 1);
    mill__resp_text(&online->request.bytes, fence->key);
    mill__resp_int(&online->request.bytes, rows_missing);
    MILL_TRY(mill__link_request(online, err));
    return take_claim(online, fence, err);
}

bool mill_online_fenced(struct mill_online *online, int32_t *ret_partition)
{
    for (uint32_t i = 0; i < online->fence_count; i++) {
        if (online->fences[i].show_fenced) {
            online->fences[i].show_fenced = false;
            *ret_partition = online->fences[i].partition;
            return true;
        }
    }
    return false;
}

bool mill_online_lost(struct mill_online *online, int32_t *ret_partition)
{
    for (uint32_t i = 0; i < online->fence_count; i++) {
        if (online->fences[i].show_lost) {
            online->fences[i].show_lost = false;
            *ret_partition = online->fences[i].partition;
            return true;
        }
    }
    return false;
}

/* ------------------------------------------------------------------------------------------------
 * Sync
 * --------------------------------------------------------------------------------------------- */

int mill_online_sync(struct mill_online *online, bool wait, struct mill_error *err)
{
    mill__online_close_call(online);
    int rc = wait ? mill__link_drain(online, err) : mill__link_poke(online, err);
    /* Only when nothing else is wrong: a caller may pass over "fenced", but not over rows that are still here. */
    for (uint32_t i = 0; rc == MILL_OK && i < online->fence_count; i++) {
        if (online->fences[i].tell_fenced) {
            online->fences[i].tell_fenced = false;
            return mill_fail(err, MILL_EDATA, "fenced: another owner has taken partition %d of project '%s' in redis",
                             online->fences[i].partition, online->project);
        }
    }
    return rc;
}

uint64_t mill_online_pending_bytes(const struct mill_online *online)
{
    return online->queue_base + online->queue.n - online->acked + online->open.keys.n + online->open.args.n;
}

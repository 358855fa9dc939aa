/* SPDX-License-Identifier: Apache-2.0 */
/* Reads one entity's row back: GET of a packed row, HMGET of a view's fields in the feast layout. */
#include "featurestore/online_internal.h"

static void ask_packed(struct mill_online *online, uint32_t view, struct mill_slice key)
{
    struct mill_buffer *name = &online->scratch, *out = &online->request.bytes;
    mill_buffer_reset(name);
    mill_buffer_add_string(name, online->key_heads[view]);
    mill_buffer_add_slice(name, key);
    mill__resp_command(out, 2);
    mill__resp_text(out, "GET");
    mill__resp_bytes(out, name->p, name->n);
}

static void ask_feast(struct mill_online *online, uint32_t view, struct mill_slice key)
{
    const struct mill__feast_view *feast = &online->feast[view];
    struct mill_buffer *name = &online->scratch, *out = &online->request.bytes;
    mill_buffer_reset(name);
    mill__feast_add_key(feast, online->views[view].entity, key, online->project, name);
    mill__resp_command(out, 3 + (int64_t)online->views[view].feature_count);
    mill__resp_text(out, "HMGET");
    mill__resp_bytes(out, name->p, name->n);
    mill__resp_text(out, feast->time_field);
    for (uint32_t f = 0; f < online->views[view].feature_count; f++) {
        mill__resp_bytes(out, &feast->fields[f], sizeof(feast->fields[f]));
    }
}

static int take_packed(struct mill_online *online, uint32_t view, struct mill_arena *arena,
                       struct mill_online_row *ret_row, struct mill_error *err)
{
    const struct mill__reply *reply = &online->request.reply;
    if (reply->kind == MILL__REPLY_NIL) {
        return 0;
    }
    if (reply->kind != MILL__REPLY_TEXT) {
        return mill_fail(err, MILL_EDATA, "expected a string");
    }
    MILL_TRY(mill__row_read(&online->row_layouts[view], reply->text, arena, ret_row, err));
    return 1;
}

static int take_feature(const struct mill_field *feature, const struct mill__reply *value, struct mill_arena *arena,
                        struct mill_column *column, struct mill_error *err)
{
    mill_column_init(column, feature->type, 1, arena);
    if (value->kind == MILL__REPLY_NIL) {
        return MILL_OK; /* written before the feature was there */
    }
    if (value->kind != MILL__REPLY_TEXT || !mill__feast_read_value(mill_arena_slice(arena, value->text), column)) {
        return mill_fail(err, MILL_EDATA, "feature '%s' is not a Feast value of type %s", feature->name,
                         mill_type_name(feature->type));
    }
    return MILL_OK;
}

static int take_feast(struct mill_online *online, uint32_t view, struct mill_arena *arena,
                      struct mill_online_row *ret_row, struct mill_error *err)
{
    const struct mill__reply *reply = &online->request.reply;
    uint32_t n = online->views[view].feature_count;
    if (reply->kind != MILL__REPLY_ARRAY || reply->count != n + 1) {
        return mill_fail(err, MILL_EDATA, "expected %u fields", n + 1);
    }
    struct mill__reply time = mill__reply_element(reply, 0);
    if (time.kind == MILL__REPLY_NIL) {
        return 0;
    }
    struct mill_online_row row = {.offset = -1, .partition = -1};
    if (time.kind != MILL__REPLY_TEXT || !mill__feast_read_timestamp(time.text, &row.event_time_us)) {
        return mill_fail(err, MILL_EDATA, "field '%s' is not a timestamp", online->feast[view].time_field);
    }
    struct mill_column *columns = mill_arena_zarray(arena, struct mill_column, n);
    for (uint32_t f = 0; f < n; f++) {
        struct mill__reply value = mill__reply_element(reply, f + 1);
        MILL_TRY(take_feature(&online->views[view].features[f], &value, arena, &columns[f], err));
    }
    row.values = columns;
    *ret_row = row;
    return 1;
}

int mill_online_get(struct mill_online *online, uint32_t view, struct mill_slice key, struct mill_arena *arena,
                    struct mill_online_row *ret_row, struct mill_error *err)
{
    mill_assert(view < online->view_count);
    bool is_packed = online->layout == MILL_ONLINE_PACKED;
    mill__online_close_call(online);
    mill_buffer_reset(&online->request.bytes);
    (is_packed ? ask_packed : ask_feast)(online, view, key);
    MILL_TRY(mill__link_request(online, err));
    int rc = is_packed ? take_packed(online, view, arena, ret_row, err) : take_feast(online, view, arena, ret_row, err);
    if (rc < 0) {
        mill_error_prefix(err, "row of feature view '%s' in redis at '%s'", online->views[view].name,
                          online->address.label);
    }
    return rc;
}

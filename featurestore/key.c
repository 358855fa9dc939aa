/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entity keys: the canonical bytes of join key values. Two values are the same entity exactly where these bytes are
 * equal. See featurestore.h for the format.
 */
#include "base/number.h"
#include "featurestore/key_internal.h"

static size_t varint_size(uint64_t v)
{
    return v == 0 ? 1 : (70u - (unsigned)__builtin_clzll(v)) / 7;
}

static char *write_varint(char *p, uint64_t v)
{
    while (v >= 0x80) {
        *p++ = (char)(v | 0x80);
        v >>= 7;
    }
    *p++ = (char)v;
    return p;
}

size_t mill__key_size(const struct mill_entity *entity, const struct mill_column *const *parts, uint32_t row)
{
    size_t n = 0;

    for (uint32_t k = 0; k < entity->key_count; k++) {
        const struct mill_column *column = parts[k];
        if (!mill_bit_get(column->valid, row)) {
            return 0;
        }
        if (column->type == MILL_STRING) {
            size_t length = column->at.s[row].n;
            n += length > MILL_KEY_BYTES_MAX ? MILL_KEY_BYTES_MAX + 1 : varint_size(length) + length;
        } else {
            n += varint_size(mill_zigzag(column->at.i[row]));
        }
    }
    return n <= MILL_KEY_BYTES_MAX ? n : 0;
}

char *mill__key_write(const struct mill_entity *entity, const struct mill_column *const *parts, uint32_t row, char *p)
{
    for (uint32_t k = 0; k < entity->key_count; k++) {
        const struct mill_column *column = parts[k];
        if (column->type == MILL_STRING) {
            struct mill_slice s = column->at.s[row];
            p = write_varint(p, s.n);
            if (s.n > 0) {
                memcpy(p, s.p, s.n);
            }
            p += s.n;
        } else {
            p = write_varint(p, mill_zigzag(column->at.i[row]));
        }
    }
    return p;
}

bool mill_key_encode(const struct mill_entity *entity, const struct mill_batch *batch, const uint32_t *columns,
                     uint32_t row, struct mill_buffer *out)
{
    const struct mill_column *parts[MILL_KEY_PARTS_MAX];

    mill_assert(entity->key_count > 0 && entity->key_count <= MILL_KEY_PARTS_MAX);
    for (uint32_t k = 0; k < entity->key_count; k++) {
        parts[k] = &batch->columns[columns[k]];
        mill_assert((parts[k]->type == MILL_STRING) == (entity->keys[k].type == MILL_STRING));
    }
    size_t n = mill__key_size(entity, parts, row);
    if (n == 0) {
        return false;
    }
    mill__key_write(entity, parts, row, mill_buffer_reserve(out, n));
    out->n += n;
    return true;
}

static int parse_part(const struct mill_join_key *key, struct mill_slice text, struct mill_buffer *out,
                      struct mill_error *err)
{
    if (key->type == MILL_STRING) {
        mill_buffer_add_varint(out, text.n);
        mill_buffer_add_slice(out, text);
        return MILL_OK;
    }
    int64_t value;
    const char *end = text.p + text.n;
    if (text.n == 0 || mill_number_parse_int64(text.p, end, &value) != end) {
        return mill_fail(err, MILL_EUSAGE, "'%.*s' is no value of join key '%s', expected an integer",
                         (int)(text.n < 100 ? text.n : 100), text.p, key->name);
    }
    mill_buffer_add_zigzag(out, value);
    return MILL_OK;
}

static int fail_part_count(const struct mill_entity *entity, uint32_t part_count, struct mill_error *err)
{
    struct mill_buffer names = {0};

    for (uint32_t k = 0; k < entity->key_count; k++) {
        mill_buffer_printf(&names, "%s'%s'", k == 0 ? "" : ", ", entity->keys[k].name);
    }
    int rc = mill_fail(err, MILL_EUSAGE, "entity '%s' has %u join key%s (%s), %u given", entity->name,
                       (unsigned)entity->key_count, entity->key_count == 1 ? "" : "s", mill_buffer_cstr(&names),
                       (unsigned)part_count);
    mill_buffer_clear(&names);
    return rc;
}

int mill_key_parse(const struct mill_entity *entity, const struct mill_slice *parts, uint32_t part_count,
                   struct mill_buffer *out, struct mill_error *err)
{
    size_t start = out->n;

    if (part_count != entity->key_count) {
        return fail_part_count(entity, part_count, err);
    }
    for (uint32_t k = 0; k < part_count; k++) {
        int rc = parse_part(&entity->keys[k], parts[k], out, err);
        if (rc < 0) {
            out->n = start;
            return rc;
        }
    }
    if (out->n - start > MILL_KEY_BYTES_MAX) {
        size_t n = out->n - start;
        out->n = start;
        return mill_fail(err, MILL_EUSAGE, "key of entity '%s' has %zu bytes, at most %d are allowed", entity->name, n,
                         (int)MILL_KEY_BYTES_MAX);
    }
    return MILL_OK;
}

int mill_key_write_json(const struct mill_entity *entity, struct mill_slice key, struct mill_json_writer *w)
{
    struct mill_slice strings[MILL_KEY_PARTS_MAX];
    int64_t integers[MILL_KEY_PARTS_MAX];
    struct mill_cursor c = mill_cursor_of(key);

    mill_assert(entity->key_count <= MILL_KEY_PARTS_MAX);
    for (uint32_t k = 0; k < entity->key_count; k++) {
        if (entity->keys[k].type == MILL_STRING) {
            uint64_t n = mill_cursor_varint(&c);
            strings[k].p = mill_cursor_take(&c, n);
            strings[k].n = n;
            c.bad = c.bad || !mill_utf8_is_valid(strings[k]);
        } else {
            integers[k] = mill_cursor_zigzag(&c);
        }
        if (c.bad) {
            return MILL_EDATA;
        }
    }
    if (c.p != c.end) {
        return MILL_EDATA;
    }
    mill_json_write_object_begin(w);
    for (uint32_t k = 0; k < entity->key_count; k++) {
        mill_json_write_key(w, entity->keys[k].name);
        if (entity->keys[k].type == MILL_STRING) {
            mill_json_write_string(w, strings[k]);
        } else {
            mill_json_write_int64(w, integers[k]);
        }
    }
    mill_json_write_object_end(w);
    return MILL_OK;
}

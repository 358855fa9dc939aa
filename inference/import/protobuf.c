/* SPDX-License-Identifier: Apache-2.0 */
/* Protobuf: the reader (protobuf_internal.h). Little-endian hosts, as the whole project assumes. */
#include "inference/import/protobuf_internal.h"

struct mill__pb mill__pb_open(struct mill_slice message)
{
    struct mill_slice empty = {"", 0};
    return (struct mill__pb){.at = mill_cursor_of(message.p == NULL ? empty : message)};
}

bool mill__pb_next(struct mill__pb *pb)
{
    struct mill_cursor *c = &pb->at;
    if (c->bad || c->p == c->end) {
        return false;
    }
    uint64_t tag = mill_cursor_varint(c);
    pb->field = (uint32_t)(tag >> 3);
    pb->wire = tag & 7;
    pb->bytes = (struct mill_slice){NULL, 0};
    if (tag >> 3 == 0 || tag >> 32 != 0) {
        c->bad = true;
    } else if (pb->wire == 0) {
        pb->value = mill_cursor_varint(c);
    } else if (pb->wire == 1) {
        pb->value = mill_cursor_u64(c);
    } else if (pb->wire == 5) {
        pb->value = mill_cursor_u32(c);
    } else if (pb->wire == 2) {
        uint64_t n = mill_cursor_varint(c);
        const char *p = n > (uint64_t)(c->end - c->p) ? NULL : mill_cursor_take(c, (size_t)n);
        c->bad |= p == NULL;
        pb->bytes = (struct mill_slice){p, p == NULL ? 0 : (size_t)n};
    } else {
        c->bad = true; /* groups */
    }
    return !c->bad;
}

static bool add_int(mill__ints *out, uint64_t raw)
{
    int64_t value = (int64_t)raw;
    if (value != (int32_t)value) {
        return false;
    }
    mill__push(out, (int32_t)value);
    return true;
}

bool mill__pb_add_ints(const struct mill__pb *pb, mill__ints *out)
{
    if (pb->wire == 0) {
        return add_int(out, pb->value);
    }
    struct mill_cursor c = mill__pb_open(pb->bytes).at;
    while (pb->wire == 2 && c.p < c.end) {
        uint64_t value = mill_cursor_varint(&c);
        if (c.bad || !add_int(out, value)) {
            return false;
        }
    }
    return pb->wire == 2;
}

static double float_of_bits(uint64_t raw)
{
    uint32_t bits = (uint32_t)raw;
    float value;
    memcpy(&value, &bits, sizeof(value));
    return (double)value;
}

static void add_floats(struct mill_slice bytes, mill__doubles *out)
{
    for (size_t i = 0; i < bytes.n / 4; i++) {
        uint32_t bits;
        memcpy(&bits, bytes.p + i * 4, 4);
        mill__push(out, float_of_bits(bits));
    }
}

bool mill__pb_add_floats(const struct mill__pb *pb, mill__doubles *out)
{
    if (pb->wire == 5) {
        mill__push(out, float_of_bits(pb->value));
        return true;
    }
    if (pb->wire != 2 || pb->bytes.n % 4 != 0) {
        return false;
    }
    add_floats(pb->bytes, out);
    return true;
}

static void add_doubles(struct mill_slice bytes, mill__doubles *out)
{
    for (size_t i = 0; i < bytes.n / 8; i++) {
        double value;
        memcpy(&value, bytes.p + i * 8, sizeof(value));
        mill__push(out, value);
    }
}

static bool add_raw(struct mill_slice raw, int64_t type, mill__doubles *out)
{
    if (type == 1 && raw.n % 4 == 0) {
        add_floats(raw, out);
    } else if (type == 11 && raw.n % 8 == 0) {
        add_doubles(raw, out);
    } else if (type == 2) {
        for (size_t i = 0; i < raw.n; i++) {
            mill__push(out, (double)(uint8_t)raw.p[i]);
        }
    } else if (type == 7 && raw.n % 8 == 0) {
        for (size_t i = 0; i < raw.n / 8; i++) {
            int64_t value;
            memcpy(&value, raw.p + i * 8, sizeof(value));
            mill__push(out, (double)value);
        }
    } else {
        return false;
    }
    return true;
}

static bool add_tensor_ints(const struct mill__pb *pb, mill__doubles *out)
{
    if (pb->wire == 0) {
        mill__push(out, (double)(int64_t)pb->value);
        return true;
    }
    struct mill_cursor c = mill__pb_open(pb->bytes).at;
    while (pb->wire == 2 && c.p < c.end) {
        double value = (double)(int64_t)mill_cursor_varint(&c);
        if (c.bad) {
            return false;
        }
        mill__push(out, value);
    }
    return pb->wire == 2;
}

bool mill__pb_tensor(struct mill_slice message, mill__doubles *out, int64_t *ret_type)
{
    struct mill_slice raw = {NULL, 0};
    struct mill__pb pb = mill__pb_open(message);
    bool ok = true, has_raw = false;
    out->n = 0;
    *ret_type = 0;
    while (ok && mill__pb_next(&pb)) {
        if (pb.field == 2 && pb.wire == 0) {
            *ret_type = (int64_t)pb.value;
        } else if (pb.field == 4) {
            ok = mill__pb_add_floats(&pb, out);
        } else if (pb.field == 5 || pb.field == 7) {
            ok = add_tensor_ints(&pb, out);
        } else if (pb.field == 9 && pb.wire == 2) {
            raw = pb.bytes;
            has_raw = true;
        } else if (pb.field == 10) {
            ok = pb.wire == 2 && pb.bytes.n % 8 == 0;
            if (ok) {
                add_doubles(pb.bytes, out);
            }
        } else if (pb.field == 13 || pb.field == 14) {
            ok = false; /* data in another file */
        }
    }
    if (!ok || pb.at.bad) {
        return false;
    }
    return !has_raw || add_raw(raw, *ret_type, out);
}

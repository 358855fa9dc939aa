/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that did not make it: the list of rejects of a batch, and what decoders share to describe and erase such a row.
 */
#include <stdarg.h>
#include <stdio.h>

#include "ingest/decode_internal.h"

static const char *const reason_names[MILL_REJECT_REASON_COUNT] = {
    [MILL_REJECT_FRAMING] = "framing",
    [MILL_REJECT_UNKNOWN_SCHEMA] = "unknown_schema",
    [MILL_REJECT_INCOMPATIBLE] = "incompatible",
    [MILL_REJECT_MALFORMED] = "malformed",
    [MILL_REJECT_WRONG_TYPE] = "wrong_type",
    [MILL_REJECT_TOO_LARGE] = "too_large",
    [MILL_REJECT_NOT_FINITE] = "not_finite",
    [MILL_REJECT_NO_EVENT_TIME] = "no_event_time",
    [MILL_REJECT_REQUIRED] = "required",
    [MILL_REJECT_RANGE] = "range",
    [MILL_REJECT_NOT_ALLOWED] = "not_allowed",
    [MILL_REJECT_LATE] = "late",
    [MILL_REJECT_NO_KEY] = "no_key",
};

const char *mill_reject_reason_name(enum mill_reject_reason reason)
{
    mill_assert((unsigned)reason < MILL_REJECT_REASON_COUNT);
    return reason_names[reason];
}

void mill_rejects_init(struct mill_rejects *rejects, struct mill_arena *arena)
{
    mill_assert(arena != NULL);
    *rejects = (struct mill_rejects){.arena = arena};
}

static struct mill_reject *add_reject(struct mill_rejects *rejects)
{
    if (rejects->count == rejects->capacity) {
        uint32_t capacity = rejects->capacity == 0 ? 16 : rejects->capacity * 2;
        struct mill_reject *at = mill_arena_array(rejects->arena, struct mill_reject, capacity);
        if (rejects->count > 0) {
            memcpy(at, rejects->at, sizeof(*at) * rejects->count);
        }
        rejects->at = at;
        rejects->capacity = capacity;
    }
    return &rejects->at[rejects->count++];
}

void mill_reject_row(struct mill_rejects *rejects, struct mill_batch *batch, uint32_t row,
                     enum mill_reject_reason reason, const char *fmt, ...)
{
    char text[512];
    va_list args;

    mill_assert(row < batch->row_capacity);
    mill_assert((unsigned)reason < MILL_REJECT_REASON_COUNT);
    mill_bit_clear(batch->live, row);
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    struct mill_reject *reject = add_reject(rejects);
    reject->row = row;
    reject->reason = reason;
    reject->detail = mill_arena_strdup(rejects->arena, text);
}

bool mill__fault(struct mill__fault *fault, enum mill_reject_reason reason, const char *fmt, ...)
{
    va_list args;

    fault->reason = reason;
    va_start(args, fmt);
    vsnprintf(fault->text, sizeof(fault->text), fmt, args);
    va_end(args);
    return false;
}

const char *mill__quote(struct mill_slice s, char *out)
{
    static const char hex[] = "0123456789abcdef";
    size_t shown = s.n > 40 ? 40 : s.n;
    char *to = out;

    *to++ = '\'';
    for (size_t i = 0; i < shown; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c >= 0x20 && c < 0x7f) {
            *to++ = (char)c;
        } else {
            *to++ = '\\';
            *to++ = 'x';
            *to++ = hex[c >> 4];
            *to++ = hex[c & 15];
        }
    }
    *to++ = '\'';
    if (shown < s.n) {
        memcpy(to, "...", 3);
        to += 3;
    }
    *to = '\0';
    mill_assert(to - out < MILL__QUOTE_SIZE);
    return out;
}

void mill__column_erase(struct mill_column *column, uint32_t row)
{
    mill_bit_clear(column->valid, row);
    switch (column->type) {
    case MILL_BOOL:
        column->at.b[row] = 0;
        break;
    case MILL_INT64:
    case MILL_TIMESTAMP:
        column->at.i[row] = 0;
        break;
    case MILL_FLOAT64:
        column->at.f[row] = 0;
        break;
    case MILL_STRING:
        column->at.s[row] = (struct mill_slice){0};
        break;
    }
}

void mill__row_erase(struct mill_batch *batch, uint32_t column_count, uint32_t row)
{
    mill_assert(row < batch->row_capacity);
    mill_bit_clear(batch->live, row);
    for (uint32_t c = 0; c < column_count; c++) {
        mill__column_erase(&batch->columns[c], row);
    }
}

void mill__take_event_times(const struct mill_source_spec *spec, struct mill_batch *batch, struct mill_rejects *rejects)
{
    if (spec->timestamp_column == UINT32_MAX) {
        return;
    }
    const struct mill_column *time = &batch->columns[spec->timestamp_column];

    mill_assert(time->type == MILL_TIMESTAMP);
    memcpy(batch->event_time_us, time->at.i, sizeof(int64_t) * batch->row_count);
    for (uint32_t w = 0; w < mill_bit_words(batch->row_count); w++) {
        for (uint64_t bits = batch->live[w] & ~time->valid[w]; bits != 0; bits &= bits - 1) {
            uint32_t row = w * 64 + (uint32_t)__builtin_ctzll(bits);
            mill_reject_row(rejects, batch, row, MILL_REJECT_NO_EVENT_TIME, "timestamp field '%s' is null or missing",
                            spec->schema.fields[spec->timestamp_column].name);
        }
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the decoders of one row share: how a row that cannot be decoded is described (struct mill__fault), how values
 * enter a batch, and the checks that every wire format makes in the same way (UTF-8, finite, calendar).
 *
 * A decoder writes into rows that are zero and null, so a null is written by doing nothing.
 */
#ifndef MILL_INGEST_DECODE_INTERNAL_H
#define MILL_INGEST_DECODE_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/batch.h"
#include "base/error.h"
#include "ingest/ingest.h"

/* Why a row is rejected; filled only when it is. */
struct mill__fault {
    enum mill_reject_reason reason;
    char text[320];
};

/* Fills the fault and returns false, so that decoders can write `return mill__fault(...)`. */
bool mill__fault(struct mill__fault *fault, enum mill_reject_reason reason, const char *fmt, ...) MILL_PRINTF(3, 4);

/* At most 40 bytes of s in single quotes, what is not printable as \xNN, "..." where it was cut: for messages.
 * out must hold MILL__QUOTE_SIZE bytes; returns out. */
enum { MILL__QUOTE_SIZE = 40 * 4 + 8 };
const char *mill__quote(struct mill_slice s, char *out);

/* Makes row null and zero again in the first column_count columns, and dead. */
void mill__row_erase(struct mill_batch *batch, uint32_t column_count, uint32_t row);

void mill__column_erase(struct mill_column *column, uint32_t row);

/* Copies the timestamp column into event_time_us; live rows where it is null are rejected (MILL_REJECT_NO_EVENT_TIME).
 */
void mill__take_event_times(const struct mill_source_spec *spec, struct mill_batch *batch,
                            struct mill_rejects *rejects);

/* The scalars of text formats (scalar.c). text is a number by JSON's grammar; it goes into the column as int64 (where
 * it is integral, also when written as 5.0 or 5e0), float64, or timestamp (by the column's time unit; digits below a
 * microsecond are cut). */
bool mill__put_number(const struct mill_source_spec *spec, uint32_t column, struct mill_batch *batch, uint32_t row,
                      struct mill_slice text, struct mill__fault *fault);
/* RFC 3339 text into a timestamp column. */
bool mill__put_time(const struct mill_source_spec *spec, uint32_t column, struct mill_batch *batch, uint32_t row,
                    struct mill_slice text, struct mill__fault *fault);
/* "NaN", "Infinity", "-Infinity" (and "nan", "inf", "-inf", as C and Python print them) into a float64 column, where
 * the source allows them. *ret_is_one false: text is none of these and nothing was done. */
bool mill__put_non_finite(const struct mill_source_spec *spec, uint32_t column, struct mill_batch *batch, uint32_t row,
                          struct mill_slice text, bool *ret_is_one, struct mill__fault *fault);
/* number * 10^shift where that is an integer (or may be cut to one) that fits; false otherwise. */
bool mill__decimal_to_int64(struct mill_slice number, int shift, bool may_cut, int64_t *ret_value);

/* 0001-01-01T00:00:00Z and the last microsecond of year 9999. */
#define MILL__TIME_MIN_US INT64_C(-62135596800000000)
#define MILL__TIME_MAX_US INT64_C(253402300799999999)

/* How many microseconds one unit has; unit is not MILL_TIME_TEXT. */
static inline int64_t mill__time_scale(enum mill_time_unit unit)
{
    return unit == MILL_TIME_SECONDS ? 1000000 : unit == MILL_TIME_MILLIS ? 1000 : 1;
}

static inline bool mill__is_finite(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    return (bits & UINT64_C(0x7ff0000000000000)) != UINT64_C(0x7ff0000000000000);
}

/* True for ASCII without a call, which nearly all text is. */
static inline bool mill__is_utf8(const char *p, size_t n)
{
    const uint64_t high = UINT64_C(0x8080808080808080);
    uint64_t word, all = 0;

    if (n >= 8) {
        for (size_t i = 0; i + 8 < n; i += 8) {
            memcpy(&word, p + i, 8);
            all |= word;
        }
        memcpy(&word, p + n - 8, 8);
        all |= word;
    } else {
        for (size_t i = 0; i < n; i++) {
            all |= (unsigned char)p[i];
        }
    }
    if ((all & high) == 0) {
        return true;
    }
    struct mill_slice s = {p, n};
    return mill_utf8_is_valid(s);
}

#endif

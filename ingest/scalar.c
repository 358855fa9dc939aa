/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and times of the text formats (JSON, CSV) into columns, exactly: no integer passes through a double. */
#include <math.h>

#include "base/number.h"
#include "base/timestamp.h"
#include "ingest/decode_internal.h"

enum { INT64_DIGITS = 19, EXPONENT_CLAMP = 1000000 };

/* The parts of a number of JSON's grammar: digits (with a point among them) times 10^exponent. */
struct decimal {
    const char *first, *last; /* first and last digit that is not zero; first NULL: the number is zero */
    int64_t exponent;         /* of *last */
    bool negative;
};

static int64_t parse_exponent(const char *p, const char *end)
{
    bool negative = *p == '-';
    int64_t v = 0;

    for (p += *p == '-' || *p == '+'; p < end; p++) {
        v = v < EXPONENT_CLAMP ? v * 10 + (*p - '0') : v;
    }
    return negative ? -v : v;
}

static struct decimal parse_decimal(struct mill_slice number)
{
    const char *p = number.p, *end = number.p + number.n, *point = NULL;
    struct decimal d = {.negative = *p == '-'};

    for (p += d.negative; p < end && *p != 'e' && *p != 'E'; p++) {
        if (*p == '.') {
            point = p;
        } else if (*p != '0') {
            d.first = d.first == NULL ? p : d.first;
            d.last = p;
        }
    }
    if (d.first == NULL) {
        return d;
    }
    const char *units = (point != NULL ? point : p) - 1;                /* the digit worth 10^0 */
    d.exponent = d.last <= units ? units - d.last : units - d.last + 1; /* the point takes a place */
    if (p < end) {
        d.exponent += parse_exponent(p + 1, end);
    }
    return d;
}

bool mill__decimal_to_int64(struct mill_slice number, int shift, bool may_cut, int64_t *ret_value)
{
    struct decimal d = parse_decimal(number);
    uint64_t v = 0, limit = d.negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX;

    if (d.first == NULL) {
        *ret_value = 0;
        return true;
    }
    d.exponent += shift;
    for (; d.exponent < 0 && may_cut && d.last >= d.first; d.last--) {
        d.exponent += *d.last != '.';
    }
    if (d.last < d.first) {
        *ret_value = 0;
        return true;
    }
    if (d.exponent < 0 || d.exponent >= INT64_DIGITS || d.last - d.first > INT64_DIGITS) {
        return false;
    }
    for (const char *p = d.first; p <= d.last; p++) {
        if (*p != '.' && (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))) {
            return false;
        }
    }
    for (; d.exponent > 0; d.exponent--) {
        if (__builtin_mul_overflow(v, 10, &v)) {
            return false;
        }
    }
    *ret_value = (int64_t)(d.negative ? 0 - v : v);
    return v <= limit;
}

static const char *column_name(const struct mill_source_spec *spec, uint32_t column)
{
    return spec->schema.fields[column].name;
}

static bool put_int64(const struct mill_source_spec *spec, uint32_t column, struct mill_column *to, uint32_t row,
                      struct mill_slice text, struct mill__fault *fault)
{
    const char *end = text.p + text.n;
    char quoted[MILL__QUOTE_SIZE];
    int64_t v;

    if (mill_number_parse_int64(text.p, end, &v) != end && !mill__decimal_to_int64(text, 0, false, &v)) {
        return mill__fault(fault, MILL_REJECT_WRONG_TYPE, "field '%s': expected int64, found number %s",
                           column_name(spec, column), mill__quote(text, quoted));
    }
    to->at.i[row] = v;
    mill_bit_set(to->valid, row);
    return true;
}

static bool put_float64(const struct mill_source_spec *spec, uint32_t column, struct mill_column *to, uint32_t row,
                        struct mill_slice text, struct mill__fault *fault)
{
    char quoted[MILL__QUOTE_SIZE];
    double v = 0;

    const char *stop = mill_number_parse_double(text.p, text.p + text.n, &v);
    mill_assert(stop == text.p + text.n);
    if (!mill__is_finite(v)) {
        return mill__fault(fault, MILL_REJECT_NOT_FINITE, "field '%s': %s is too large for a float64",
                           column_name(spec, column), mill__quote(text, quoted));
    }
    to->at.f[row] = v;
    mill_bit_set(to->valid, row);
    return true;
}

static enum mill_reject_reason time_reason(const struct mill_source_spec *spec, uint32_t column)
{
    return column == spec->timestamp_column ? MILL_REJECT_NO_EVENT_TIME : MILL_REJECT_WRONG_TYPE;
}

static bool put_time_number(const struct mill_source_spec *spec, uint32_t column, struct mill_column *to, uint32_t row,
                            struct mill_slice text, struct mill__fault *fault)
{
    enum mill_time_unit unit = spec->time_unit[column];
    int shift = unit == MILL_TIME_SECONDS ? 6 : unit == MILL_TIME_MILLIS ? 3 : 0;
    char quoted[MILL__QUOTE_SIZE];
    int64_t us;

    if (unit == MILL_TIME_TEXT) {
        return mill__fault(fault, MILL_REJECT_WRONG_TYPE,
                           "field '%s': expected a time as text, found number %s; hint: declare its time unit",
                           column_name(spec, column), mill__quote(text, quoted));
    }
    if (!mill__decimal_to_int64(text, shift, true, &us) || us < MILL__TIME_MIN_US || us > MILL__TIME_MAX_US) {
        return mill__fault(fault, time_reason(spec, column),
                           "field '%s': %s is out of the range of times (years 1 to 9999)", column_name(spec, column),
                           mill__quote(text, quoted));
    }
    to->at.i[row] = us;
    mill_bit_set(to->valid, row);
    return true;
}

bool mill__put_number(const struct mill_source_spec *spec, uint32_t column, struct mill_batch *batch, uint32_t row,
                      struct mill_slice text, struct mill__fault *fault)
{
    struct mill_column *to = &batch->columns[column];
    char quoted[MILL__QUOTE_SIZE];

    mill_assert(text.n > 0);
    switch (to->type) {
    case MILL_INT64:
        return put_int64(spec, column, to, row, text, fault);
    case MILL_FLOAT64:
        return put_float64(spec, column, to, row, text, fault);
    case MILL_TIMESTAMP:
        return put_time_number(spec, column, to, row, text, fault);
    case MILL_BOOL:
    case MILL_STRING:
        break;
    }
    return mill__fault(fault, MILL_REJECT_WRONG_TYPE, "field '%s': expected %s, found number %s",
                       column_name(spec, column), mill_type_name(to->type), mill__quote(text, quoted));
}

bool mill__put_time(const struct mill_source_spec *spec, uint32_t column, struct mill_batch *batch, uint32_t row,
                    struct mill_slice text, struct mill__fault *fault)
{
    struct mill_column *to = &batch->columns[column];
    char quoted[MILL__QUOTE_SIZE];

    mill_assert(to->type == MILL_TIMESTAMP);
    int64_t us;
    if (mill_timestamp_parse(text, &us) < 0) {
        return mill__fault(fault, MILL_REJECT_WRONG_TYPE,
                           "field '%s': expected a time such as 2013-01-01T10:17:00Z, found %s",
                           column_name(spec, column), mill__quote(text, quoted));
    }
    if (us < MILL__TIME_MIN_US || us > MILL__TIME_MAX_US) {
        return mill__fault(fault, time_reason(spec, column),
                           "field '%s': %s is out of the range of times (years 1 to 9999)", column_name(spec, column),
                           mill__quote(text, quoted));
    }
    to->at.i[row] = us;
    mill_bit_set(to->valid, row);
    return true;
}

static bool parse_non_finite(struct mill_slice text, double *ret_value)
{
    static const struct {
        const char *text;
        double value;
    } known[] = {
        {"NaN", (double)NAN},           {"nan", (double)NAN},
        {"Infinity", (double)INFINITY}, {"-Infinity", (double)-INFINITY},
        {"inf", (double)INFINITY},      {"-inf", (double)-INFINITY},
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (mill_slice_is(text, known[i].text)) {
            *ret_value = known[i].value;
            return true;
        }
    }
    return false;
}

bool mill__put_non_finite(const struct mill_source_spec *spec, uint32_t column, struct mill_batch *batch, uint32_t row,
                          struct mill_slice text, bool *ret_is_one, struct mill__fault *fault)
{
    struct mill_column *to = &batch->columns[column];
    double v = 0;

    *ret_is_one = to->type == MILL_FLOAT64 && parse_non_finite(text, &v);
    if (!*ret_is_one) {
        return true;
    }
    if (!spec->allow_non_finite) {
        return mill__fault(
            fault, MILL_REJECT_NOT_FINITE,
            "field '%s': NaN or infinity where a finite number is expected; hint: the source can allow them",
            column_name(spec, column));
    }
    to->at.f[row] = v;
    mill_bit_set(to->valid, row);
    return true;
}

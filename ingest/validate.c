/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of a source on the live rows of a batch: required, ranges, allowed values. One pass over a column per rule;
 * the first rule that a row breaks names its reject. */
#include <math.h>

#include "base/number.h"
#include "base/timestamp.h"
#include "ingest/decode_internal.h"

/* The live rows of word w that the rule applies to. */
static uint64_t rows_of(const struct mill_batch *batch, const uint64_t *bits, uint32_t w)
{
    return batch->live[w] & bits[w];
}

static void check_required(const struct mill_source_spec *spec, const struct mill_field_rule *rule,
                           struct mill_batch *batch, struct mill_rejects *rejects)
{
    const uint64_t *valid = batch->columns[rule->column].valid;

    for (uint32_t w = 0; w < mill_bit_words(batch->row_count); w++) {
        for (uint64_t bits = batch->live[w] & ~valid[w]; bits != 0; bits &= bits - 1) {
            mill_reject_row(rejects, batch, w * 64 + (uint32_t)__builtin_ctzll(bits), MILL_REJECT_REQUIRED,
                            "required field '%s' is null or missing", spec->schema.fields[rule->column].name);
        }
    }
}

/* ---- ranges ---- */

static const char *print_bound(double v, char *out)
{
    size_t n = 0;

    if (isinf(v)) {
        return v < 0 ? "-infinity" : "infinity";
    }
    n = v == floor(v) && v >= -0x1p63 && v < 0x1p63 ? mill_number_print_int64((int64_t)v, out)
                                                    : mill_number_print_double(v, out);
    out[n] = '\0';
    return out;
}

static const char *print_value(const struct mill_column *column, uint32_t row, char *out)
{
    size_t n = 0;

    if (column->type == MILL_TIMESTAMP) {
        n = mill_timestamp_print(column->at.i[row], out);
    } else if (column->type == MILL_INT64) {
        n = mill_number_print_int64(column->at.i[row], out);
    } else if (!mill__is_finite(column->at.f[row])) {
        return isnan(column->at.f[row]) ? "NaN" : column->at.f[row] < 0 ? "-infinity" : "infinity";
    } else {
        n = mill_number_print_double(column->at.f[row], out);
    }
    out[n] = '\0';
    return out;
}

static void reject_range(const struct mill_source_spec *spec, const struct mill_field_rule *rule,
                         struct mill_batch *batch, struct mill_rejects *rejects, uint32_t row)
{
    const struct mill_column *column = &batch->columns[rule->column];
    char min[MILL_NUMBER_TEXT_MAX + 1], max[MILL_NUMBER_TEXT_MAX + 1], value[MILL_NUMBER_TEXT_MAX + 1];

    mill_reject_row(rejects, batch, row, MILL_REJECT_RANGE, "field '%s': %s is not in the range [%s, %s]%s",
                    spec->schema.fields[rule->column].name, print_value(column, row, value),
                    print_bound(rule->min, min), print_bound(rule->max, max),
                    column->type == MILL_TIMESTAMP ? " (seconds)" : "");
}

/* The least integer that is not below v; comparing integers with that is exact where a double is not. */
static int64_t least_integer(double v)
{
    double up = ceil(v);
    return isnan(v) || up >= 0x1p63 ? INT64_MAX : up < -0x1p63 ? INT64_MIN : (int64_t)up;
}

static int64_t greatest_integer(double v)
{
    double down = floor(v);
    return isnan(v) || down < -0x1p63 ? INT64_MIN : down >= 0x1p63 ? INT64_MAX : (int64_t)down;
}

static void check_integers(const struct mill_source_spec *spec, const struct mill_field_rule *rule, double scale,
                           struct mill_batch *batch, struct mill_rejects *rejects)
{
    const struct mill_column *column = &batch->columns[rule->column];
    int64_t min = least_integer(rule->min * scale), max = greatest_integer(rule->max * scale);
    bool none = rule->min * scale >= 0x1p63 || rule->max * scale < -0x1p63;

    for (uint32_t w = 0; w < mill_bit_words(batch->row_count); w++) {
        for (uint64_t bits = rows_of(batch, column->valid, w); bits != 0; bits &= bits - 1) {
            uint32_t row = w * 64 + (uint32_t)__builtin_ctzll(bits);
            if (none || column->at.i[row] < min || column->at.i[row] > max) {
                reject_range(spec, rule, batch, rejects, row);
            }
        }
    }
}

static void check_doubles(const struct mill_source_spec *spec, const struct mill_field_rule *rule,
                          struct mill_batch *batch, struct mill_rejects *rejects)
{
    const struct mill_column *column = &batch->columns[rule->column];

    for (uint32_t w = 0; w < mill_bit_words(batch->row_count); w++) {
        for (uint64_t bits = rows_of(batch, column->valid, w); bits != 0; bits &= bits - 1) {
            uint32_t row = w * 64 + (uint32_t)__builtin_ctzll(bits);
            double v = column->at.f[row];
            if (!(v >= rule->min && v <= rule->max)) { /* NaN is in no range */
                reject_range(spec, rule, batch, rejects, row);
            }
        }
    }
}

static void check_range(const struct mill_source_spec *spec, const struct mill_field_rule *rule,
                        struct mill_batch *batch, struct mill_rejects *rejects)
{
    switch (batch->columns[rule->column].type) {
    case MILL_INT64:
        check_integers(spec, rule, 1, batch, rejects);
        break;
    case MILL_TIMESTAMP:
        check_integers(spec, rule, (double)MILL_US_PER_SECOND, batch, rejects);
        break;
    case MILL_FLOAT64:
        check_doubles(spec, rule, batch, rejects);
        break;
    case MILL_BOOL:
    case MILL_STRING:
        mill_assert(false); /* a range is for numbers and times */
        break;
    }
}

/* ---- allowed values ---- */

static bool is_allowed(const struct mill_field_rule *rule, struct mill_slice value)
{
    for (uint32_t i = 0; i < rule->allowed_count; i++) {
        if (mill_slice_equal(rule->allowed[i], value)) {
            return true;
        }
    }
    return false;
}

static void check_allowed(const struct mill_source_spec *spec, const struct mill_field_rule *rule,
                          struct mill_batch *batch, struct mill_rejects *rejects)
{
    const struct mill_column *column = &batch->columns[rule->column];
    char quoted[MILL__QUOTE_SIZE];

    mill_assert(column->type == MILL_STRING);
    for (uint32_t w = 0; w < mill_bit_words(batch->row_count); w++) {
        for (uint64_t bits = rows_of(batch, column->valid, w); bits != 0; bits &= bits - 1) {
            uint32_t row = w * 64 + (uint32_t)__builtin_ctzll(bits);
            if (!is_allowed(rule, column->at.s[row])) {
                mill_reject_row(rejects, batch, row, MILL_REJECT_NOT_ALLOWED,
                                "field '%s': %s is not one of the %u allowed values",
                                spec->schema.fields[rule->column].name, mill__quote(column->at.s[row], quoted),
                                rule->allowed_count);
            }
        }
    }
}

void mill_validate_batch(const struct mill_source_spec *spec, struct mill_batch *batch, struct mill_rejects *rejects)
{
    for (uint32_t i = 0; i < spec->rule_count; i++) {
        const struct mill_field_rule *rule = &spec->rules[i];
        mill_assert(rule->column < spec->schema.field_count);
        if (rule->required) {
            check_required(spec, rule, batch, rejects);
        }
        if (rule->has_range) {
            check_range(spec, rule, batch, rejects);
        }
        if (rule->allowed_count > 0) {
            check_allowed(spec, rule, batch, rejects);
        }
    }
}

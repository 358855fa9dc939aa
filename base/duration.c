/* SPDX-License-Identifier: Apache-2.0 */
/* Durations ("5m") and sizes ("64MiB") of the project file and the command line; see timestamp.h. */
#include <inttypes.h>

#include "base/number.h"
#include "base/timestamp.h"

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit duration_units[] = {
    {"us", 1},
    {"ms", 1000},
    {"s", (uint64_t)MILL_US_PER_SECOND},
    {"m", (uint64_t)MILL_US_PER_MINUTE},
    {"h", (uint64_t)MILL_US_PER_HOUR},
    {"d", (uint64_t)MILL_US_PER_DAY},
    {"w", 7 * (uint64_t)MILL_US_PER_DAY},
};

static const struct unit size_units[] = {
    {"", 1},
    {"B", 1},
    {"kB", 1000},
    {"KB", 1000},
    {"MB", 1000000},
    {"GB", 1000000000},
    {"TB", UINT64_C(1000000000000)},
    {"KiB", UINT64_C(1) << 10},
    {"MiB", UINT64_C(1) << 20},
    {"GiB", UINT64_C(1) << 30},
    {"TiB", UINT64_C(1) << 40},
};

enum outcome { READ, NOT_READ, TOO_LARGE };

/* A whole number and one of the units, the product no more than INT64_MAX. */
static enum outcome read_quantity(struct mill_slice text, const struct unit *units, size_t unit_count, uint64_t *ret)
{
    uint64_t number = 0;
    size_t digits = 0;
    bool too_large = false;
    for (; digits < text.n && text.p[digits] >= '0' && text.p[digits] <= '9'; digits++) {
        too_large |= __builtin_mul_overflow(number, 10U, &number);
        too_large |= __builtin_add_overflow(number, (unsigned)(text.p[digits] - '0'), &number);
    }
    struct mill_slice name = {text.p + digits, text.n - digits};
    for (size_t i = 0; digits > 0 && i < unit_count; i++) {
        if (mill_slice_is(name, units[i].name)) {
            too_large |= __builtin_mul_overflow(number, units[i].factor, &number) || number > INT64_MAX;
            *ret = number;
            return too_large ? TOO_LARGE : READ;
        }
    }
    return NOT_READ;
}

int mill_duration_parse(struct mill_slice text, int64_t *ret_us, struct mill_error *err)
{
    uint64_t us = 0;
    switch (read_quantity(text, duration_units, sizeof(duration_units) / sizeof(duration_units[0]), &us)) {
    case NOT_READ:
        return mill_fail(err, MILL_EDATA,
                         "'%.*s' is not a duration, expected a whole number and one of the units us ms s m h d w; "
                         "hint: for example 90s, 5m or 7d",
                         MILL_SLICE_ARGS(text));
    case TOO_LARGE:
        return mill_fail(err, MILL_EDATA, "duration '%.*s' is too large", MILL_SLICE_ARGS(text));
    case READ:
    default:
        break;
    }
    if (us == 0) {
        return mill_fail(err, MILL_EDATA, "duration '%.*s' is zero, expected one above zero", MILL_SLICE_ARGS(text));
    }
    *ret_us = (int64_t)us;
    return MILL_OK;
}

void mill_duration_print(int64_t us, struct mill_buffer *out)
{
    /* Weeks are left out: 14d is easier to compare with 7d and 30d than 2w. */
    size_t unit = 5;
    uint64_t magnitude = us < 0 ? 0 - (uint64_t)us : (uint64_t)us;
    if (us == 0) {
        mill_buffer_add_string(out, "0s");
        return;
    }
    while (magnitude % duration_units[unit].factor != 0) {
        unit--;
    }
    mill_buffer_printf(out, "%s%" PRIu64 "%s", us < 0 ? "-" : "", magnitude / duration_units[unit].factor,
                       duration_units[unit].name);
}

int mill_size_parse(struct mill_slice text, uint64_t *ret_bytes, struct mill_error *err)
{
    uint64_t bytes = 0;
    switch (read_quantity(text, size_units, sizeof(size_units) / sizeof(size_units[0]), &bytes)) {
    case NOT_READ:
        return mill_fail(err, MILL_EDATA,
                         "'%.*s' is not a size, expected a whole number and one of the units B kB MB GB TB KiB MiB "
                         "GiB TiB; hint: for example 64MiB",
                         MILL_SLICE_ARGS(text));
    case TOO_LARGE:
        return mill_fail(err, MILL_EDATA, "size '%.*s' is too large", MILL_SLICE_ARGS(text));
    case READ:
    default:
        break;
    }
    *ret_bytes = bytes;
    return MILL_OK;
}

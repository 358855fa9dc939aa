/* SPDX-License-Identifier: Apache-2.0 */
/* Calendar arithmetic shared by timestamp.c and the time zones. */
#ifndef MILL_BASE_TIMESTAMP_INTERNAL_H
#define MILL_BASE_TIMESTAMP_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/* Days since 1970-01-01; month 1 to 12, day from 1 (days behind the month's end count on). */
int64_t mill__days_of_date(int64_t year, unsigned month, unsigned day);
bool mill__is_leap_year(int64_t year);
unsigned mill__days_in_month(int64_t year, unsigned month);

/* One side of the daylight saving time of a POSIX TZ string: the day it changes and the local time. */
struct mill__zone_change {
    enum { MILL__ZONE_MONTH_WEEK_DAY, MILL__ZONE_JULIAN_NO_LEAP, MILL__ZONE_DAY_OF_YEAR } kind;
    unsigned month, week, day; /* Mm.w.d; or day of Jn (1 to 365) or n (0 to 365) */
    int32_t time_s;            /* local time of the side it ends; may be negative or beyond a day (RFC 8536, 3.3.1) */
};

struct mill__zone_rule {
    bool has_dst;
    int32_t standard_s, dst_s; /* east of Greenwich */
    struct mill__zone_change begin, end;
};

/* Reads "EST5EDT,M3.2.0,M11.1.0" or "<-03>3"; false where it is not of that form. */
bool mill__zone_rule_parse(struct mill_slice text, struct mill__zone_rule *ret_rule);
/* Seconds since 1970 UTC at which daylight saving time begins and ends in that year. */
void mill__zone_rule_year(const struct mill__zone_rule *rule, int64_t year, int64_t *ret_begin_s, int64_t *ret_end_s);

#endif

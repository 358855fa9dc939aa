/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Event time: microseconds since 1970-01-01T00:00:00Z in an int64_t, proleptic Gregorian calendar, no
 * leap seconds (as pandas, Java and Kafka count). Any thread.
 */
#ifndef MILL_BASE_TIMESTAMP_H
#define MILL_BASE_TIMESTAMP_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

#define MILL_US_PER_SECOND INT64_C(1000000)
#define MILL_US_PER_MINUTE (60 * MILL_US_PER_SECOND)
#define MILL_US_PER_HOUR   (60 * MILL_US_PER_MINUTE)
#define MILL_US_PER_DAY    (24 * MILL_US_PER_HOUR)

/* Years outside this range are refused everywhere. */
enum { MILL_YEAR_MIN = 1, MILL_YEAR_MAX = 9999 };
#define MILL_TIMESTAMP_MIN (INT64_C(-62135596800) * MILL_US_PER_SECOND)     /* 0001-01-01T00:00:00Z */
#define MILL_TIMESTAMP_MAX (INT64_C(253402300800) * MILL_US_PER_SECOND - 1) /* 9999-12-31T23:59:59.999999Z */

/* RFC 3339 / ISO 8601: YYYY-MM-DD, then 'T' or blank, HH:MM, :SS, .fraction (digits past the sixth are
 * cut), then Z, +HH:MM, +HHMM or +HH; time, seconds, fraction and zone may be missing (no zone means
 * UTC). The whole text must match, or it is MILL_EDATA; so is a leap second (:60). */
int mill_timestamp_parse(struct mill_slice text, int64_t *ret_us) MILL_MUST_CHECK;

/* "2013-01-01T10:17:00Z", with 3 or 6 digits of fraction where they are not zero. Writes at most 32 bytes,
 * no null; returns the length. Instants of other years than the above have a sign and six digits of year. */
size_t mill_timestamp_print(int64_t us, char *out);

/* floor(us / step) * step for negative times too; step > 0. */
static inline int64_t mill_timestamp_floor(int64_t us, int64_t step)
{
    int64_t rest = us % step;
    return us - (rest < 0 ? rest + step : rest);
}

/* Calendar fields of an instant. day_of_week: Monday = 0 ... Sunday = 6 (pandas' dayofweek). */
struct mill_civil {
    int32_t year;
    uint8_t month, day, hour, minute, second, day_of_week;
};
void mill_timestamp_civil(int64_t us, struct mill_civil *ret_civil);

/* "90s" "5m" "3h" "24h" "7d" "250ms" "2w" "10us" (one number, one unit) to microseconds > 0.
 * MILL_EDATA otherwise, with a message that lists the units. */
int mill_duration_parse(struct mill_slice text, int64_t *ret_us, struct mill_error *err) MILL_MUST_CHECK;
/* With the largest unit up to days that leaves a whole number ("7d" for a week, "90m", "250ms"). Appends. */
void mill_duration_print(int64_t us, struct mill_buffer *out);

/* "64MiB" "512KiB" "1GiB" "10MB" "123" (bytes) to bytes. */
int mill_size_parse(struct mill_slice text, uint64_t *ret_bytes, struct mill_error *err) MILL_MUST_CHECK;

/* A time zone of the system's tz database (TZif, RFC 8536, with its POSIX footer for later years). */
struct mill_timezone;
/* "UTC", "Europe/Paris", "America/New_York"; unknown names are MILL_EDATA with the nearest name. The
 * database is /usr/share/zoneinfo, or the directory that the environment variable TZDIR names. */
int mill_timezone_open(const char *name, struct mill_timezone **ret_zone, struct mill_error *err) MILL_MUST_CHECK;
void mill_timezone_close(struct mill_timezone *zone);
/* Microseconds to add to UTC to get local time at that instant. A NULL zone is UTC. */
int64_t mill_timezone_offset_us(const struct mill_timezone *zone, int64_t us);

#endif

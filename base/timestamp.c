/* SPDX-License-Identifier: Apache-2.0 */
/* Instants as text and as calendar fields; see timestamp.h. Days and dates convert by H. Hinnant's
 * "chrono-Compatible Low-Level Date Algorithms": eras of 400 years that begin on 1 March. */
#include "base/timestamp.h"

#include "base/timestamp_internal.h"

enum { DAYS_PER_ERA = 146097, DAYS_TO_1970 = 719468 /* from 0000-03-01 */ };

int64_t mill__days_of_date(int64_t year, unsigned month, unsigned day)
{
    int64_t y = year - (month <= 2);
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    unsigned year_of_era = (unsigned)(y - era * 400);
    unsigned day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * DAYS_PER_ERA + day_of_era - DAYS_TO_1970;
}

bool mill__is_leap_year(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

unsigned mill__days_in_month(int64_t year, unsigned month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && mill__is_leap_year(year) ? 29 : days[month - 1];
}

void mill_timestamp_civil(int64_t us, struct mill_civil *ret_civil)
{
    int64_t rest = us % MILL_US_PER_DAY;
    int64_t days = us / MILL_US_PER_DAY - (rest < 0);
    uint32_t second = (uint32_t)((rest < 0 ? rest + MILL_US_PER_DAY : rest) / MILL_US_PER_SECOND);

    int64_t z = days + DAYS_TO_1970;
    int64_t era = (z >= 0 ? z : z - DAYS_PER_ERA + 1) / DAYS_PER_ERA;
    uint32_t day_of_era = (uint32_t)(z - era * DAYS_PER_ERA);
    uint32_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / (DAYS_PER_ERA - 1)) / 365;
    uint32_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint32_t month_from_march = (5 * day_of_year + 2) / 153;
    uint32_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    int64_t weekday = (days + 3) % 7; /* 1970-01-01 was a Thursday, 3 */

    *ret_civil = (struct mill_civil){
        .year = (int32_t)(year_of_era + era * 400 + (month <= 2)),
        .month = (uint8_t)month,
        .day = (uint8_t)(day_of_year - (153 * month_from_march + 2) / 5 + 1),
        .hour = (uint8_t)(second / 3600),
        .minute = (uint8_t)(second / 60 % 60),
        .second = (uint8_t)(second % 60),
        .day_of_week = (uint8_t)(weekday < 0 ? weekday + 7 : weekday),
    };
}

/* Reading: p moves on only over what was wanted. */
static bool take_digits(const char **p, const char *end, unsigned count, unsigned *ret_value)
{
    if (end - *p < (ptrdiff_t)count) {
        return false;
    }
    unsigned value = 0;
    for (unsigned i = 0; i < count; i++) {
        unsigned digit = (unsigned)(unsigned char)(*p)[i] - '0';
        if (digit > 9) {
            return false;
        }
        value = value * 10 + digit;
    }
    *p += count;
    *ret_value = value;
    return true;
}

static bool take_byte(const char **p, const char *end, char byte)
{
    bool there = *p < end && **p == byte;
    *p += there;
    return there;
}

static bool take_date(const char **p, const char *end, int64_t *ret_days)
{
    unsigned year, month, day;
    if (!take_digits(p, end, 4, &year) || !take_byte(p, end, '-') || !take_digits(p, end, 2, &month) ||
        !take_byte(p, end, '-') || !take_digits(p, end, 2, &day)) {
        return false;
    }
    if (year < MILL_YEAR_MIN || month < 1 || month > 12 || day < 1 || day > mill__days_in_month(year, month)) {
        return false;
    }
    *ret_days = mill__days_of_date(year, month, day);
    return true;
}

/* Digits behind the point, to microseconds. */
static bool take_fraction(const char **p, const char *end, int64_t *ret_us)
{
    int64_t us = 0, unit = MILL_US_PER_SECOND / 10;
    const char *first = *p;
    for (; *p < end && **p >= '0' && **p <= '9'; (*p)++) {
        us += (**p - '0') * unit;
        unit /= 10;
    }
    *ret_us = us;
    return *p > first;
}

static bool take_time(const char **p, const char *end, int64_t *ret_us)
{
    unsigned hour, minute, second = 0;
    int64_t fraction = 0;
    if (!take_digits(p, end, 2, &hour) || !take_byte(p, end, ':') || !take_digits(p, end, 2, &minute)) {
        return false;
    }
    if (take_byte(p, end, ':')) {
        if (!take_digits(p, end, 2, &second) || (take_byte(p, end, '.') && !take_fraction(p, end, &fraction))) {
            return false;
        }
    }
    if (hour > 23 || minute > 59 || second > 59) {
        return false;
    }
    *ret_us = hour * MILL_US_PER_HOUR + minute * MILL_US_PER_MINUTE + second * MILL_US_PER_SECOND + fraction;
    return true;
}

/* What local time is ahead of UTC: nothing, Z, +HH:MM, +HHMM or +HH. */
static bool take_zone(const char **p, const char *end, int64_t *ret_us)
{
    unsigned hour, minute = 0;
    *ret_us = 0;
    if (*p == end || take_byte(p, end, 'Z') || take_byte(p, end, 'z')) {
        return true;
    }
    bool west = take_byte(p, end, '-');
    if ((!west && !take_byte(p, end, '+')) || !take_digits(p, end, 2, &hour)) {
        return false;
    }
    bool colon = take_byte(p, end, ':');
    if ((colon || *p < end) && !take_digits(p, end, 2, &minute)) {
        return false;
    }
    if (hour > 23 || minute > 59) {
        return false;
    }
    int64_t us = hour * MILL_US_PER_HOUR + minute * MILL_US_PER_MINUTE;
    *ret_us = west ? -us : us;
    return true;
}

int mill_timestamp_parse(struct mill_slice text, int64_t *ret_us)
{
    if (text.n == 0) {
        return MILL_EDATA;
    }
    const char *p = text.p, *end = p + text.n;
    int64_t days, time = 0, ahead = 0;

    if (!take_date(&p, end, &days)) {
        return MILL_EDATA;
    }
    if (take_byte(&p, end, 'T') || take_byte(&p, end, ' ') || take_byte(&p, end, 't')) {
        if (!take_time(&p, end, &time) || !take_zone(&p, end, &ahead)) {
            return MILL_EDATA;
        }
    }
    int64_t us = days * MILL_US_PER_DAY + time - ahead;
    if (p != end || us < MILL_TIMESTAMP_MIN || us > MILL_TIMESTAMP_MAX) {
        return MILL_EDATA;
    }
    *ret_us = us;
    return MILL_OK;
}

static char *put_digits(char *out, uint32_t value, unsigned count)
{
    for (unsigned i = count; i-- > 0; value /= 10) {
        out[i] = (char)('0' + value % 10);
    }
    return out + count;
}

size_t mill_timestamp_print(int64_t us, char *out)
{
    struct mill_civil c;
    mill_timestamp_civil(us, &c);
    int64_t rest = us % MILL_US_PER_SECOND;
    uint32_t fraction = (uint32_t)(rest < 0 ? rest + MILL_US_PER_SECOND : rest);
    char *p = out;

    if (c.year < 0 || c.year > MILL_YEAR_MAX) { /* ISO 8601's expanded year */
        *p++ = c.year < 0 ? '-' : '+';
        p = put_digits(p, (uint32_t)(c.year < 0 ? -c.year : c.year), 6);
    } else {
        p = put_digits(p, (uint32_t)c.year, 4);
    }
    *p++ = '-';
    p = put_digits(p, c.month, 2);
    *p++ = '-';
    p = put_digits(p, c.day, 2);
    *p++ = 'T';
    p = put_digits(p, c.hour, 2);
    *p++ = ':';
    p = put_digits(p, c.minute, 2);
    *p++ = ':';
    p = put_digits(p, c.second, 2);
    if (fraction > 0) {
        *p++ = '.';
        p = fraction % 1000 == 0 ? put_digits(p, fraction / 1000, 3) : put_digits(p, fraction, 6);
    }
    *p++ = 'Z';
    return (size_t)(p - out);
}

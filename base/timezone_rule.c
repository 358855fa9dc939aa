/* SPDX-License-Identifier: Apache-2.0 */
/* The POSIX TZ string at the end of a TZif file (RFC 8536, section 3.3.1): what holds after the last
 * transition that is written out. Called by timezone.c. */
#include "base/timestamp_internal.h"

enum { HOUR_S = 3600, DAY_S = 86400, CHANGE_TIME_DEFAULT_S = 2 * HOUR_S, HOURS_MAX = 167 };

struct reader {
    const char *p, *end;
};

static bool take(struct reader *r, char byte)
{
    bool there = r->p < r->end && *r->p == byte;
    r->p += there;
    return there;
}

/* One to three digits, 0 to max. */
static bool take_number(struct reader *r, unsigned max, unsigned *ret)
{
    unsigned value = 0, count = 0;
    for (; r->p < r->end && *r->p >= '0' && *r->p <= '9' && count < 3; count++) {
        value = value * 10 + (unsigned)(*r->p++ - '0');
    }
    *ret = value;
    return count > 0 && value <= max;
}

/* Letters, or anything within < >; at least three. */
static bool take_name(struct reader *r)
{
    const char *begin = r->p;
    if (take(r, '<')) {
        while (r->p < r->end && *r->p != '>') {
            r->p++;
        }
        return r->p - begin >= 4 && take(r, '>');
    }
    while (r->p < r->end && ((*r->p >= 'A' && *r->p <= 'Z') || (*r->p >= 'a' && *r->p <= 'z'))) {
        r->p++;
    }
    return r->p - begin >= 3;
}

/* [+-]hh[:mm[:ss]] */
static bool take_time(struct reader *r, int32_t *ret_s)
{
    unsigned h, m = 0, s = 0;
    bool negative = take(r, '-');
    if (!negative) {
        take(r, '+');
    }
    if (!take_number(r, HOURS_MAX, &h)) {
        return false;
    }
    if (take(r, ':') && (!take_number(r, 59, &m) || (take(r, ':') && !take_number(r, 59, &s)))) {
        return false;
    }
    int32_t total = (int32_t)(h * HOUR_S + m * 60 + s);
    *ret_s = negative ? -total : total;
    return true;
}

/* ,Mm.w.d[/time]  ,Jn[/time]  ,n[/time] */
static bool take_change(struct reader *r, struct mill__zone_change *c)
{
    if (!take(r, ',')) {
        return false;
    }
    bool right;
    if (take(r, 'M')) {
        c->kind = MILL__ZONE_MONTH_WEEK_DAY;
        right = take_number(r, 12, &c->month) && c->month >= 1 && take(r, '.') && take_number(r, 5, &c->week) &&
                c->week >= 1 && take(r, '.') && take_number(r, 6, &c->day);
    } else if (take(r, 'J')) {
        c->kind = MILL__ZONE_JULIAN_NO_LEAP;
        right = take_number(r, 365, &c->day) && c->day >= 1;
    } else {
        c->kind = MILL__ZONE_DAY_OF_YEAR;
        right = take_number(r, 365, &c->day);
    }
    c->time_s = CHANGE_TIME_DEFAULT_S;
    return right && (!take(r, '/') || take_time(r, &c->time_s));
}

bool mill__zone_rule_parse(struct mill_slice text, struct mill__zone_rule *ret_rule)
{
    struct reader r = {text.p, text.p + text.n};
    struct mill__zone_rule rule = {0};

    /* POSIX counts offsets westward. */
    if (!take_name(&r) || !take_time(&r, &rule.standard_s)) {
        return false;
    }
    rule.standard_s = -rule.standard_s;
    if (r.p < r.end) {
        rule.has_dst = true;
        rule.dst_s = rule.standard_s + HOUR_S;
        if (!take_name(&r)) {
            return false;
        }
        if (r.p < r.end && *r.p != ',') {
            if (!take_time(&r, &rule.dst_s)) {
                return false;
            }
            rule.dst_s = -rule.dst_s;
        }
        if (!take_change(&r, &rule.begin) || !take_change(&r, &rule.end)) {
            return false;
        }
    }
    if (r.p != r.end) {
        return false;
    }
    *ret_rule = rule;
    return true;
}

/* Day of the w-th (5: last) weekday d (0: Sunday) of a month, since 1970. */
static int64_t month_week_day(int64_t year, const struct mill__zone_change *c)
{
    int64_t first = mill__days_of_date(year, c->month, 1);
    int64_t first_weekday = ((first + 4) % 7 + 7) % 7; /* 1970-01-01 was a Thursday, 4 */
    int64_t day = (c->day - first_weekday + 7) % 7 + 7 * (int64_t)(c->week - 1);
    while (day >= (int64_t)mill__days_in_month(year, c->month)) {
        day -= 7;
    }
    return first + day;
}

static int64_t change_local_s(const struct mill__zone_change *c, int64_t year)
{
    int64_t days = mill__days_of_date(year, 1, 1);
    switch (c->kind) {
    case MILL__ZONE_MONTH_WEEK_DAY:
        days = month_week_day(year, c);
        break;
    case MILL__ZONE_JULIAN_NO_LEAP: /* 29 February is not counted: day 60 is always 1 March */
        days += c->day - 1 + (mill__is_leap_year(year) && c->day >= 60);
        break;
    case MILL__ZONE_DAY_OF_YEAR:
        days += c->day;
        break;
    }
    return days * DAY_S + c->time_s;
}

void mill__zone_rule_year(const struct mill__zone_rule *rule, int64_t year, int64_t *ret_begin_s, int64_t *ret_end_s)
{
    *ret_begin_s = change_local_s(&rule->begin, year) - rule->standard_s;
    *ret_end_s = change_local_s(&rule->end, year) - rule->dst_s;
}

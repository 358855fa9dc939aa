/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time zones; see timestamp.h. A zone is read once, at load, into one sorted list of changes, so that a
 * look-up is a binary search and nothing else: the rule for the years after the last change in the file is
 * written out for 400 years, after which the Gregorian calendar, weekdays included, repeats.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/timestamp.h"
#include "base/timestamp_internal.h"
#include "base/timezone_internal.h"

enum { FILE_SIZE_MAX = 1 << 20, OFFSET_MAX_S = 48 * 3600, CYCLE_YEARS = 400, CYCLE_DAYS = 146097 };

struct change {
    int64_t at_us;
    int32_t offset_s; /* from then on */
};

struct mill_timezone {
    int32_t first_offset_s; /* before the first change */
    bool repeats;           /* from end_us on, instants count as those a multiple of 400 years earlier */
    int64_t end_us;
    size_t count;
    struct change *changes; /* ascending */
};

static uint32_t take_be32(struct mill_cursor *c)
{
    return __builtin_bswap32(mill_cursor_u32(c));
}

static int64_t take_be64(struct mill_cursor *c)
{
    return (int64_t)__builtin_bswap64(mill_cursor_u64(c));
}

/* The counts of a TZif header (RFC 8536, 3.1). */
struct header {
    char version;
    uint32_t isut_count, isstd_count, leap_count, time_count, type_count, char_count;
};

static bool take_header(struct mill_cursor *c, struct header *h)
{
    const char *start = mill_cursor_take(c, 20);
    if (start == NULL || memcmp(start, "TZif", 4) != 0) {
        return false;
    }
    h->version = start[4];
    h->isut_count = take_be32(c);
    h->isstd_count = take_be32(c);
    h->leap_count = take_be32(c);
    h->time_count = take_be32(c);
    h->type_count = take_be32(c);
    h->char_count = take_be32(c);
    return !c->bad;
}

/* Bytes behind a header whose instants have time_size bytes. */
static size_t body_size(const struct header *h, size_t time_size)
{
    return h->time_count * (time_size + 1) + (size_t)h->type_count * 6 + h->char_count +
           h->leap_count * (time_size + 4) + h->isstd_count + h->isut_count;
}

static int64_t us_of_seconds(int64_t s)
{
    const int64_t limit = INT64_MAX / MILL_US_PER_SECOND; /* old files begin with the big bang */
    return (s > limit ? limit : s < -limit ? -limit : s) * MILL_US_PER_SECOND;
}

/* Offsets of the types, which stand behind the instants and their type numbers. */
static bool read_types(const char *types, uint32_t count, int32_t *offsets)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t raw;
        memcpy(&raw, types + 6 * (size_t)i, sizeof(raw));
        offsets[i] = (int32_t)__builtin_bswap32(raw);
        if (offsets[i] < -OFFSET_MAX_S || offsets[i] > OFFSET_MAX_S) {
            return false;
        }
    }
    return true;
}

/* The body of the second header: instants of 8 bytes. */
static bool read_changes(struct mill_cursor *c, const struct header *h, struct mill_timezone *zone)
{
    int32_t offsets[256];
    struct mill_cursor body = *c;
    if (h->type_count < 1 || h->type_count > 256 || h->leap_count != 0 ||
        mill_cursor_take(c, body_size(h, 8)) == NULL) {
        return false;
    }
    const char *numbers = body.p + 8 * (size_t)h->time_count;
    if (!read_types(numbers + h->time_count, h->type_count, offsets)) {
        return false;
    }
    zone->first_offset_s = offsets[0];
    zone->changes = mill_calloc((size_t)h->time_count + 2 * (CYCLE_YEARS + 2), sizeof(zone->changes[0]));
    for (uint32_t i = 0; i < h->time_count; i++) {
        int64_t at_us = us_of_seconds(take_be64(&body));
        uint8_t type = (uint8_t)numbers[i];
        if (type >= h->type_count || (i > 0 && at_us <= zone->changes[i - 1].at_us)) {
            return false;
        }
        zone->changes[i] = (struct change){at_us, offsets[type]};
    }
    zone->count = h->time_count;
    return true;
}

/* Appends a change of the rule. One that is not after the last change there is only tells what holds at that one:
 * from there on the rule has the word (and daylight saving time that lasts all year begins where it ends). */
static void extend(struct mill_timezone *zone, int64_t at_s, int32_t offset_s)
{
    int64_t at_us = at_s * MILL_US_PER_SECOND;
    if (zone->count > 0 && at_us <= zone->changes[zone->count - 1].at_us) {
        zone->changes[zone->count - 1].offset_s = offset_s;
    } else {
        zone->changes[zone->count++] = (struct change){at_us, offset_s};
    }
}

/* Writes the rule out from the year before the last change (for what holds then) until 400 whole years behind it. */
static void apply_rule(struct mill_timezone *zone, const struct mill__zone_rule *rule)
{
    struct mill_civil last = {.year = MILL_YEAR_MIN};
    if (zone->count > 0) {
        zone->changes[zone->count - 1].offset_s = rule->standard_s;
        mill_timestamp_civil(zone->changes[zone->count - 1].at_us, &last);
    } else {
        zone->first_offset_s = rule->standard_s;
    }
    /* No honest file's last change is beyond; arithmetic would be. */
    if (!rule->has_dst || last.year > MILL_YEAR_MAX) {
        return;
    }
    last.year = last.year < MILL_YEAR_MIN ? MILL_YEAR_MIN : last.year;
    for (int64_t year = last.year - 1; year <= last.year + CYCLE_YEARS; year++) {
        int64_t begin_s, end_s;
        mill__zone_rule_year(rule, year, &begin_s, &end_s);
        bool north = begin_s < end_s;
        extend(zone, north ? begin_s : end_s, north ? rule->dst_s : rule->standard_s);
        extend(zone, north ? end_s : begin_s, north ? rule->standard_s : rule->dst_s);
    }
    zone->repeats = true;
    zone->end_us = mill__days_of_date(last.year + CYCLE_YEARS + 1, 1, 1) * MILL_US_PER_DAY;
}

/* The whole file. The first block, of 32-bit instants, is passed over. */
static bool read_file(struct mill_slice bytes, struct mill_timezone *zone)
{
    struct mill_cursor c = mill_cursor_of(bytes);
    struct header first, second;
    if (!take_header(&c, &first) || first.version < '2' || mill_cursor_take(&c, body_size(&first, 4)) == NULL ||
        !take_header(&c, &second) || !read_changes(&c, &second, zone)) {
        return false;
    }
    struct mill_slice footer = {c.p, (size_t)(c.end - c.p)};
    if (footer.n < 2 || footer.p[0] != '\n' || footer.p[footer.n - 1] != '\n') {
        return false;
    }
    footer = (struct mill_slice){footer.p + 1, footer.n - 2};
    struct mill__zone_rule rule;
    if (footer.n > 0) { /* an empty one: nobody knows, the last offset holds */
        if (!mill__zone_rule_parse(footer, &rule)) {
            return false;
        }
        apply_rule(zone, &rule);
    }
    return true;
}

static bool is_utc(const char *name)
{
    return strcmp(name, "UTC") == 0 || strcmp(name, "Etc/UTC") == 0 || strcmp(name, "Z") == 0;
}

/* Names go into a path: no way out of the database. */
static bool is_safe(const char *name)
{
    return name[0] != '\0' && name[0] != '/' && name[0] != '.' && strstr(name, "/.") == NULL && strlen(name) < 256;
}

const char *mill__timezone_directory(void)
{
    const char *dir = getenv("TZDIR");
    return dir != NULL && dir[0] != '\0' ? dir : "/usr/share/zoneinfo";
}

/* UTC needs no database. */
static int load(const char *name, struct mill_timezone *zone, struct mill_error *err)
{
    if (is_utc(name)) {
        return MILL_OK;
    }
    if (!is_safe(name)) {
        return mill__timezone_fail_unknown(name, err);
    }
    struct mill_buffer path = {0}, bytes = {0};
    mill_buffer_printf(&path, "%s/%s", mill__timezone_directory(), name);
    int rc = mill_file_read(mill_buffer_cstr(&path), FILE_SIZE_MAX, &bytes, NULL);
    if (rc < 0) {
        rc = mill__timezone_fail_unknown(name, err);
    } else if (!read_file(mill_buffer_slice(&bytes), zone)) {
        rc = mill_fail(err, MILL_EDATA, "'%s' is not a time zone file of version 2 or later without leap seconds",
                       mill_buffer_cstr(&path));
    }
    mill_buffer_clear(&path);
    mill_buffer_clear(&bytes);
    return rc;
}

int mill_timezone_open(const char *name, struct mill_timezone **ret_zone, struct mill_error *err)
{
    struct mill_timezone *zone = mill_calloc(1, sizeof(*zone));
    int rc = load(name, zone, err);
    if (rc < 0) {
        mill_timezone_close(zone);
        return rc;
    }
    *ret_zone = zone;
    return MILL_OK;
}

void mill_timezone_close(struct mill_timezone *zone)
{
    if (zone != NULL) {
        free(zone->changes);
        free(zone);
    }
}

int64_t mill_timezone_offset_us(const struct mill_timezone *zone, int64_t us)
{
    if (zone == NULL) {
        return 0;
    }
    if (zone->repeats && us >= zone->end_us) {
        const int64_t cycle_us = CYCLE_DAYS * MILL_US_PER_DAY;
        us = zone->end_us - cycle_us + (int64_t)(((uint64_t)us - (uint64_t)zone->end_us) % (uint64_t)cycle_us);
    }
    /* The number of changes at or before us. */
    size_t low = 0, high = zone->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (zone->changes[middle].at_us <= us) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    int32_t offset_s = low == 0 ? zone->first_offset_s : zone->changes[low - 1].offset_s;
    return offset_s * MILL_US_PER_SECOND;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Time zones: known instants of known zones (from Python's zoneinfo), every zone of this machine against glibc's
 * localtime_r, rules of all forms in files that the test makes, and damaged files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/timestamp.h"
#include "random.h"

static char dir[] = "/tmp/mill-test-timezone-XXXXXX";
static const char *const system_dir = "/usr/share/zoneinfo";

static bool has_database(void)
{
    if (access("/usr/share/zoneinfo/Europe/Paris", R_OK) != 0) {
        print_message("skipped: the tz database is not installed\n");
        return false;
    }
    return true;
}

static void known_instants(void **state)
{
    (void)state;
    /* Past ones only: the law cannot change them any more. */
    static const struct {
        const char *zone, *instant;
        int offset_s;
    } cases[] = {
        {"America/New_York", "2013-03-10T06:59:59Z", -18000},   {"America/New_York", "2013-03-10T07:00:00Z", -14400},
        {"America/New_York", "2013-11-03T05:59:59Z", -14400},   {"America/New_York", "2013-11-03T06:00:00Z", -18000},
        {"America/New_York", "1970-06-01T00:00:00Z", -14400},   {"America/New_York", "1883-01-01T00:00:00Z", -17762},
        {"Europe/Paris", "2013-03-31T00:59:59Z", 3600},         {"Europe/Paris", "2013-03-31T01:00:00Z", 7200},
        {"Europe/Paris", "2013-10-27T00:59:59Z", 7200},         {"Europe/Paris", "2013-10-27T01:00:00Z", 3600},
        {"Australia/Lord_Howe", "2013-04-06T14:59:59Z", 39600}, {"Australia/Lord_Howe", "2013-04-06T15:00:00Z", 37800},
        {"Australia/Lord_Howe", "2013-10-05T15:29:59Z", 37800}, {"Australia/Lord_Howe", "2013-10-05T15:30:00Z", 39600},
        {"Asia/Kolkata", "2013-06-01T00:00:00Z", 19800},        {"Asia/Kolkata", "1942-01-01T00:00:00Z", 23400},
        {"Asia/Kathmandu", "2013-01-01T00:00:00Z", 20700},      {"Asia/Kathmandu", "1985-12-31T18:29:59Z", 19800},
        {"Pacific/Apia", "2011-12-30T09:59:59Z", -36000},       {"Pacific/Apia", "2011-12-30T10:00:00Z", 50400},
        {"America/Sao_Paulo", "2013-02-17T01:59:59Z", -7200},   {"America/Sao_Paulo", "2013-02-17T02:00:00Z", -10800},
        {"America/Sao_Paulo", "2020-01-01T00:00:00Z", -10800},  {"Europe/Dublin", "2013-01-15T00:00:00Z", 0},
        {"Europe/Dublin", "2013-07-15T00:00:00Z", 3600},        {"UTC", "2013-07-15T00:00:00Z", 0},
        {"Etc/GMT+5", "2013-07-15T00:00:00Z", -18000},
    };
    if (!has_database()) {
        skip();
    }
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mill_timezone *zone = NULL;
        struct mill_error err = {0};
        int64_t us = 0;
        assert_int_equal(mill_timestamp_parse(mill_slice_of(cases[i].instant), &us), MILL_OK);
        if (mill_timezone_open(cases[i].zone, &zone, &err) != MILL_OK) {
            fail_msg("%s", err.msg);
        }
        if (mill_timezone_offset_us(zone, us) != cases[i].offset_s * MILL_US_PER_SECOND) {
            fail_msg("%s at %s is %d s", cases[i].zone, cases[i].instant,
                     (int)(mill_timezone_offset_us(zone, us) / MILL_US_PER_SECOND));
        }
        mill_timezone_close(zone);
    }
}

/* It is another year there than in UTC. glibc takes the rule of UTC's year, so for these hours it misses a change on
 * the first or last day of a year. */
static bool is_between_years(int64_t us, int64_t offset_us)
{
    struct mill_civil utc, local;
    mill_timestamp_civil(us, &utc);
    mill_timestamp_civil(us + offset_us, &local);
    return utc.year != local.year;
}

/* Random instants since then, three of four before 2100, the rest up to 9999. */
static void compare_with_glibc(const char *name, time_t since, unsigned count)
{
    struct mill_timezone *zone = NULL;
    struct mill_error err = {0};
    if (mill_timezone_open(name, &zone, &err) != MILL_OK) {
        fail_msg("%s", err.msg);
    }
    setenv("TZ", name, 1);
    tzset();
    for (unsigned i = 0; i < count; i++) {
        time_t until = i % 4 == 0 ? 253402300799 : 4102444800;
        time_t t = since + (time_t)(random_u64() % (uint64_t)(until - since));
        struct tm tm;
        assert_non_null(localtime_r(&t, &tm));
        int64_t ours = mill_timezone_offset_us(zone, t * MILL_US_PER_SECOND + random_below(1000000));
        if (ours != tm.tm_gmtoff * MILL_US_PER_SECOND && !is_between_years(t * MILL_US_PER_SECOND, ours)) {
            fail_msg("%s at %ld: %ld s, glibc says %ld s", name, (long)t, (long)(ours / MILL_US_PER_SECOND),
                     tm.tm_gmtoff);
        }
    }
    mill_timezone_close(zone);
}

static unsigned zones_seen;

static int visit(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)ftw;
    const char *name = path + strlen(system_dir) + 1;
    if (kind != FTW_F || name[0] < 'A' || name[0] > 'Z') {
        return 0;
    }
    /* Not before 1902: glibc has its own idea of what holds before the first change. */
    compare_with_glibc(name, -2145916800, 150);
    zones_seen++;
    return 0;
}

static void every_zone_agrees_with_glibc(void **state)
{
    (void)state;
    if (!has_database()) {
        skip();
    }
    assert_int_equal(nftw(system_dir, visit, 8, FTW_PHYS), 0);
    assert_true(zones_seen > 300);
}

static void unknown_names(void **state)
{
    (void)state;
    static const struct {
        const char *name, *message;
    } cases[] = {
        {"Europe/Pariss", "unknown time zone 'Europe/Pariss'; hint: did you mean 'Europe/Paris'?"},
        {"america/new_yrok", "unknown time zone 'america/new_yrok'; hint: did you mean 'America/New_York'?"},
        {"Paris", "unknown time zone 'Paris'; hint: did you mean 'Europe/Paris'?"},
        {"new york", "unknown time zone 'new york'; hint: did you mean 'America/New_York'?"},
        {"nowhere at all", "unknown time zone 'nowhere at all', expected a name of the tz database; hint: for example "
                           "UTC or Europe/Paris"},
        {"", NULL},
        {"/etc/passwd", NULL},
        {"../zoneinfo/Europe/Paris", NULL},
        {"Europe/../Europe/Paris", NULL},
        {"Europe", NULL},
    };
    if (!has_database()) {
        skip();
    }
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mill_timezone *zone = NULL;
        struct mill_error err = {0};
        assert_int_equal(mill_timezone_open(cases[i].name, &zone, &err), MILL_EDATA);
        assert_null(zone);
        if (cases[i].message != NULL) {
            assert_string_equal(err.msg, cases[i].message);
        } else {
            assert_int_equal(strncmp(err.msg, "unknown time zone '", 19), 0);
        }
    }
}

/* A TZif file of version 2 with an empty first block. */
struct file {
    unsigned change_count, type_count;
    struct {
        int64_t at_s;
        uint8_t type;
    } changes[8];
    int32_t types[4];
    const char *footer;
};

static void add_be(struct mill_buffer *out, uint64_t v, unsigned bytes)
{
    while (bytes-- > 0) {
        mill_buffer_add_byte(out, (unsigned char)(v >> (8 * bytes)));
    }
}

static void add_header(struct mill_buffer *out, unsigned changes, unsigned types)
{
    mill_buffer_add(out, "TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
    const unsigned counts[] = {0, 0, 0, changes, types, 4};
    for (unsigned i = 0; i < 6; i++) {
        add_be(out, counts[i], 4);
    }
}

static void build(const struct file *f, struct mill_buffer *out)
{
    mill_buffer_reset(out);
    add_header(out, 0, 1);
    mill_buffer_add(out, "\0\0\0\0\0\0LMT", 10);
    add_header(out, f->change_count, f->type_count);
    for (unsigned i = 0; i < f->change_count; i++) {
        add_be(out, (uint64_t)f->changes[i].at_s, 8);
    }
    for (unsigned i = 0; i < f->change_count; i++) {
        mill_buffer_add_byte(out, f->changes[i].type);
    }
    for (unsigned i = 0; i < f->type_count; i++) {
        add_be(out, (uint32_t)f->types[i], 4);
        mill_buffer_add(out, i == 0 ? "\0\0" : "\1\0", 2);
    }
    mill_buffer_add(out, "LMT", 4);
    mill_buffer_printf(out, "\n%s\n", f->footer);
}

static void install(const char *name, const struct mill_buffer *bytes)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    assert_int_equal(mill_file_replace(path, mill_buffer_slice(bytes), NULL), MILL_OK);
}

static const struct file sample = {
    2, 2, {{-3000000000, 1}, {1000000000, 0}}, {3600, 7200}, "CET-1CEST,M3.5.0,M10.5.0/3"};

/* Every form of the rule, each through the oracle; glibc reads the same files by way of TZDIR. */
static void rules_agree_with_glibc(void **state)
{
    (void)state;
    static const char *const footers[] = {
        "CET-1CEST,M3.5.0,M10.5.0/3",           /* north */
        "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", /* south, quoted names */
        "IST-1GMT0,M10.5.0,M3.5.0/1",           /* negative daylight saving time */
        "EST5EDT,J60,J300/4",                   /* days of a year without 29 February */
        "EST5EDT,59,299/4",                     /* days of a year with it */
        "<-02>2<-01>,M3.5.0/-1,M10.5.0/0",      /* a negative hour */
        "IST-2IDT,M3.4.4/26,M10.5.0",           /* an hour beyond the day */
        "AAA3",                                 /* none */
        "AAA-5:45:30YYY-6:15,M1.1.0/0:30:15,M12.5.6/23:59:59",
    };
    struct mill_buffer bytes = {0};
    setenv("TZDIR", dir, 1);
    for (size_t i = 0; i < sizeof(footers) / sizeof(footers[0]); i++) {
        char name[16];
        struct file f = sample;
        snprintf(name, sizeof(name), "Rule%zu", i);
        f.footer = footers[i];
        build(&f, &bytes);
        install(name, &bytes);
        compare_with_glibc(name, 0, 5000); /* from the middle of the file's changes on, and its rules begin in 1970 */
    }
    unsetenv("TZDIR");
    mill_buffer_clear(&bytes);
}

static int64_t offset_s(const struct mill_timezone *zone, const char *instant)
{
    int64_t us = 0;
    assert_int_equal(mill_timestamp_parse(mill_slice_of(instant), &us), MILL_OK);
    return mill_timezone_offset_us(zone, us) / MILL_US_PER_SECOND;
}

static struct mill_timezone *open_file(const struct file *f)
{
    struct mill_buffer bytes = {0};
    struct mill_timezone *zone = NULL;
    setenv("TZDIR", dir, 1);
    build(f, &bytes);
    install("Made", &bytes);
    (void)!mill_timezone_open("Made", &zone, NULL);
    unsetenv("TZDIR");
    mill_buffer_clear(&bytes);
    return zone;
}

static void special_files(void **state)
{
    (void)state;
    struct file f = sample;

    f.footer = ""; /* nobody knows what comes later: the last offset stays */
    struct mill_timezone *zone = open_file(&f);
    assert_non_null(zone);
    assert_int_equal(offset_s(zone, "1800-01-01T00:00:00Z"), 3600);
    assert_int_equal(offset_s(zone, "2001-09-09T01:46:39Z"), 7200);
    assert_int_equal(offset_s(zone, "2001-09-09T01:46:40Z"), 3600);
    assert_int_equal(offset_s(zone, "9999-07-01T00:00:00Z"), 3600);
    mill_timezone_close(zone);

    f.change_count = 0; /* no changes: the rule always held */
    f.footer = "EST5EDT,M3.2.0,M11.1.0";
    zone = open_file(&f);
    assert_non_null(zone);
    assert_int_equal(offset_s(zone, "0001-01-15T00:00:00Z"), -18000);
    assert_int_equal(offset_s(zone, "0001-07-15T00:00:00Z"), -14400);
    assert_int_equal(offset_s(zone, "9999-12-15T00:00:00Z"), -18000);
    mill_timezone_close(zone);

    f = sample;
    f.footer = "AAA3EDT4,0/0,J365/23"; /* RFC 8536: daylight saving time all year, at -4 h */
    zone = open_file(&f);
    assert_non_null(zone);
    for (int year = 2002; year < 2030; year++) {
        char instant[32];
        snprintf(instant, sizeof(instant), "%d-01-01T03:59:59Z", year);
        assert_int_equal(offset_s(zone, instant), -14400);
        snprintf(instant, sizeof(instant), "%d-01-01T04:00:00Z", year);
        assert_int_equal(offset_s(zone, instant), -14400);
        snprintf(instant, sizeof(instant), "%d-07-01T00:00:00Z", year);
        assert_int_equal(offset_s(zone, instant), -14400);
    }
    mill_timezone_close(zone);

    /* The big bang of old zic, and instants no calendar reaches. */
    f = (struct file){
        2, 2, {{-INT64_C(0x800000000000000), 0}, {INT64_MAX, 1}}, {3600, 7200}, "CET-1CEST,M3.5.0,M10.5.0/3"};
    zone = open_file(&f);
    assert_non_null(zone);
    assert_int_equal(mill_timezone_offset_us(zone, 0), 3600 * MILL_US_PER_SECOND);
    mill_timezone_close(zone);
    f = (struct file){1, 1, {{INT64_MIN, 0}}, {3600}, "CET-1CEST,M3.5.0,M10.5.0/3"};
    zone = open_file(&f);
    assert_non_null(zone);
    assert_int_equal(offset_s(zone, "2013-07-01T00:00:00Z"), 7200);
    assert_int_equal(mill_timezone_offset_us(zone, INT64_MAX) % MILL_US_PER_HOUR, 0);
    assert_int_equal(mill_timezone_offset_us(zone, INT64_MIN) % MILL_US_PER_HOUR, 0);
    mill_timezone_close(zone);
}

static void refused_files(void **state)
{
    (void)state;
    static const char *const bad_footers[] = {
        "C-1",
        "CET",
        "CET-168",
        "CET-1CEST",
        "CET-1CEST,M3.5.0",
        "CET-1CEST,M13.5.0,M10.5.0",
        "CET-1CEST,M3.6.0,M10.5.0",
        "CET-1CEST,M3.5.7,M10.5.0",
        "CET-1CEST,J0,J300",
        "CET-1CEST,J366,J300",
        "CET-1CEST,366,1",
        "<CET-1",
        "<>-1",
        "CET-1CEST,M3.5.0,M10.5.0/",
        "CET-1CEST,M3.5.0,M10.5.0x",
        "CET-1:60",
        "CET-1CEST-2:,M3.5.0,M10.5.0",
    };
    for (size_t i = 0; i < sizeof(bad_footers) / sizeof(bad_footers[0]); i++) {
        struct file f = sample;
        f.footer = bad_footers[i];
        struct mill_timezone *zone = open_file(&f);
        if (zone != NULL) {
            fail_msg("'%s' was taken", bad_footers[i]);
        }
    }
    struct file f = sample;
    f.changes[1].type = 2; /* there are two types: 0 and 1 */
    assert_null(open_file(&f));
    f = sample;
    f.changes[1].at_s = f.changes[0].at_s; /* not ascending */
    assert_null(open_file(&f));
    f = sample;
    f.types[1] = 100 * 3600;
    assert_null(open_file(&f));

    struct mill_buffer bytes = {0};
    struct mill_timezone *zone = NULL;
    struct mill_error err = {0};
    mill_buffer_add_string(&bytes, "not a time zone");
    install("Bad", &bytes);
    setenv("TZDIR", dir, 1);
    assert_int_equal(mill_timezone_open("Bad", &zone, &err), MILL_EDATA);
    char expected[256];
    snprintf(expected, sizeof(expected), "'%s/Bad' is not a time zone file of version 2 or later without leap seconds",
             dir);
    assert_string_equal(err.msg, expected);
    unsetenv("TZDIR");
    mill_buffer_clear(&bytes);
}

/* No damage does more than be refused or give some offset. */
static void damaged_files(void **state)
{
    (void)state;
    struct mill_buffer bytes = {0};
    setenv("TZDIR", dir, 1);
    for (unsigned i = 0; i < 400; i++) {
        build(&sample, &bytes);
        for (unsigned hits = 1 + random_below(3); hits > 0; hits--) {
            bytes.p[random_below((uint32_t)bytes.n)] = (char)random_below(256);
        }
        if (random_below(4) == 0) {
            bytes.n = random_below((uint32_t)bytes.n);
        }
        char path[128];
        snprintf(path, sizeof(path), "%s/Damaged", dir);
        FILE *file = fopen(path, "wb");
        assert_non_null(file);
        assert_int_equal(fwrite(bytes.p, 1, bytes.n, file), bytes.n);
        assert_int_equal(fclose(file), 0);
        struct mill_timezone *zone = NULL;
        if (mill_timezone_open("Damaged", &zone, NULL) == MILL_OK) {
            for (unsigned j = 0; j < 20; j++) {
                int64_t offset = mill_timezone_offset_us(zone, (int64_t)random_u64());
                assert_true(offset >= -168 * MILL_US_PER_HOUR && offset <= 168 * MILL_US_PER_HOUR);
            }
        }
        mill_timezone_close(zone);
    }
    unsetenv("TZDIR");
    mill_buffer_clear(&bytes);
}

static void utc_needs_no_database(void **state)
{
    (void)state;
    struct mill_timezone *zone = NULL;
    struct mill_error err = {0};
    setenv("TZDIR", "/nonexistent", 1);
    assert_int_equal(mill_timezone_open("UTC", &zone, &err), MILL_OK);
    assert_int_equal(mill_timezone_offset_us(zone, 0), 0);
    mill_timezone_close(zone);
    assert_int_equal(mill_timezone_offset_us(NULL, 0), 0);
    mill_timezone_close(NULL);
    assert_int_equal(mill_timezone_open("Europe/Paris", &zone, &err), MILL_EDATA);
    assert_string_equal(err.msg,
                        "unknown time zone 'Europe/Paris', no time zones in '/nonexistent'; hint: install tzdata");
    unsetenv("TZDIR");
}

static int remove_dir(void **state)
{
    (void)state;
    char command[300];
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}

int main(void)
{
    unsetenv("TZDIR");
    random_seed("test_timezone");
    if (mkdtemp(dir) == NULL) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_instants), cmocka_unit_test(every_zone_agrees_with_glibc),
        cmocka_unit_test(unknown_names),  cmocka_unit_test(rules_agree_with_glibc),
        cmocka_unit_test(special_files),  cmocka_unit_test(refused_files),
        cmocka_unit_test(damaged_files),  cmocka_unit_test(utc_needs_no_database),
    };
    return cmocka_run_group_tests_name("base/timezone", tests, NULL, remove_dir);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Instants as text and calendar fields, against glibc's timegm and gmtime_r and against Python's datetime. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/timestamp.h"
#include "random.h"

static int parse(const char *text, int64_t *us)
{
    return mill_timestamp_parse(mill_slice_of(text), us);
}

static void accepted(void **state)
{
    (void)state;
    /* int((datetime.fromisoformat(text) - epoch) / timedelta(microseconds=1)) of Python 3.11, where it takes the form
     */
    static const struct {
        const char *text;
        int64_t us;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01", 0},
        {"2013-01-01T10:17:00Z", INT64_C(1357035420000000)},
        {"2013-01-01 10:17:00", INT64_C(1357035420000000)},
        {"2013-01-01T10:17", INT64_C(1357035420000000)},
        {"2013-01-01T10:17Z", INT64_C(1357035420000000)},
        {"2013-01-01t10:17:00z", INT64_C(1357035420000000)},
        {"2013-01-01T05:17:00-05:00", INT64_C(1357035420000000)},
        {"2013-01-01T05:17:00-0500", INT64_C(1357035420000000)},
        {"2013-01-01T05:17:00-05", INT64_C(1357035420000000)},
        {"2013-01-01T15:47:00+05:30", INT64_C(1357035420000000)},
        {"2013-01-01T10:17:00-00:00", INT64_C(1357035420000000)},
        {"2013-01-01T10:17+00", INT64_C(1357035420000000)},
        {"2013-01-01T10:17:00.5Z", INT64_C(1357035420500000)},
        {"2013-01-01T10:17:00.123Z", INT64_C(1357035420123000)},
        {"2013-01-01T10:17:00.123456Z", INT64_C(1357035420123456)},
        {"2013-01-01T10:17:00.123456789Z", INT64_C(1357035420123456)},
        {"2013-01-01T10:17:00.9999999999999999999999+01:00", INT64_C(1357031820999999)},
        {"2013-01-01T10:17:00.000001", INT64_C(1357035420000001)},
        {"1969-12-31T23:59:59.999999Z", -1},
        {"2000-02-29T00:00:00Z", INT64_C(951782400000000)},
        {"1900-03-01", INT64_C(-2203891200000000)},
        {"2100-03-01T00:00:00Z", INT64_C(4107542400000000)},
        {"0001-01-01T00:00:00Z", MILL_TIMESTAMP_MIN},
        {"9999-12-31T23:59:59.999999Z", MILL_TIMESTAMP_MAX},
        {"9999-12-31T22:59:59.999999-01:00", MILL_TIMESTAMP_MAX},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t us = 42;
        if (parse(cases[i].text, &us) != MILL_OK || us != cases[i].us) {
            fail_msg("'%s' gives %" PRId64, cases[i].text, us);
        }
    }
}

static void refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "2013",
        "2013-01",
        "2013-1-1",
        "13-01-01",
        "20130101",
        "2013-00-01",
        "2013-13-01",
        "2013-01-00",
        "2013-01-32",
        "2013-02-29",
        "1900-02-29",
        "2013-04-31",
        "0000-01-01",
        "2013-01-01T",
        "2013-01-01Z",
        "2013-01-01T10",
        "2013-01-01T10Z",
        "2013-01-01T24:00:00Z",
        "2013-01-01T10:60:00Z",
        "2013-01-01T23:59:60Z",
        "2013-01-01T10:17:00.Z",
        "2013-01-01T10:17:00,5Z",
        "2013-01-01T10:17.5Z",
        "2013-01-01T10:17:0Z",
        "2013-01-01T10:17:00Z ",
        " 2013-01-01",
        "2013-01-01  10:17:00",
        "2013-01-01X10:17:00",
        "2013-01-01T10:17:00+",
        "2013-01-01T10:17:00+5",
        "2013-01-01T10:17:00+05:",
        "2013-01-01T10:17:00+05:3",
        "2013-01-01T10:17:00+24:00",
        "2013-01-01T10:17:00+05:60",
        "2013-01-01T10:17:00 +05:00",
        "2013-01-01T10:17:00ZZ",
        "2013-01-01T10:17:00+05:30Z",
        "+2013-01-01",
        "-2013-01-01",
        "2013/01/01",
        "2013-01-0a",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:00-00:01",
        "1357035420",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        int64_t us = 42;
        if (parse(texts[i], &us) != MILL_EDATA || us != 42) {
            fail_msg("'%s' was taken", texts[i]);
        }
    }
}

/* The text ends where the slice does, and every prefix of a good text is judged without reading on. */
static void prefixes(void **state)
{
    (void)state;
    static const char text[] = "2013-01-01T10:17:05.123456+05:30";
    static const size_t complete[] = {10, 16, 19, 21, 22, 23, 24, 25, 26, 29, 32};
    size_t next = 0;
    for (size_t n = 0; n < sizeof(text); n++) {
        char *copy = malloc(n > 0 ? n : 1);
        memcpy(copy, text, n);
        int64_t us;
        bool good = mill_timestamp_parse((struct mill_slice){copy, n}, &us) == MILL_OK;
        bool expected = next < sizeof(complete) / sizeof(complete[0]) && complete[next] == n;
        next += expected;
        assert_int_equal(good, expected);
        free(copy);
    }
}

static void printed(void **state)
{
    (void)state;
    static const struct {
        int64_t us;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00Z"},
        {-1, "1969-12-31T23:59:59.999999Z"},
        {1000, "1970-01-01T00:00:00.001Z"},
        {1001, "1970-01-01T00:00:00.001001Z"},
        {INT64_C(1357035420000000), "2013-01-01T10:17:00Z"},
        {INT64_C(1357035420120000), "2013-01-01T10:17:00.120Z"},
        {MILL_TIMESTAMP_MIN, "0001-01-01T00:00:00Z"},
        {MILL_TIMESTAMP_MAX, "9999-12-31T23:59:59.999999Z"},
        {MILL_TIMESTAMP_MAX + 1, "+010000-01-01T00:00:00Z"},
        {INT64_MAX, "+294247-01-10T04:00:54.775807Z"},
        {INT64_MIN, "-290308-12-21T19:59:05.224192Z"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[33];
        size_t n = mill_timestamp_print(cases[i].us, text);
        assert_in_range(n, 1, 32);
        text[n] = '\0';
        assert_string_equal(text, cases[i].text);
    }
}

static int64_t random_instant(void)
{
    return MILL_TIMESTAMP_MIN + (int64_t)(random_u64() % (uint64_t)(MILL_TIMESTAMP_MAX - MILL_TIMESTAMP_MIN + 1));
}

static void round_trip_and_calendar(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 300000; i++) {
        int64_t us = random_instant(), back = 0;
        us -= i % 3 == 0 ? 0 : us % (i % 3 == 1 ? 1000 : MILL_US_PER_SECOND);
        char text[32];
        size_t n = mill_timestamp_print(us, text);
        assert_int_equal(mill_timestamp_parse((struct mill_slice){text, n}, &back), MILL_OK);
        assert_true(back == us);

        struct mill_civil c;
        mill_timestamp_civil(us, &c);
        time_t s = (time_t)(mill_timestamp_floor(us, MILL_US_PER_SECOND) / MILL_US_PER_SECOND);
        struct tm tm;
        assert_non_null(gmtime_r(&s, &tm));
        assert_int_equal(c.year, tm.tm_year + 1900);
        assert_int_equal(c.month, tm.tm_mon + 1);
        assert_int_equal(c.day, tm.tm_mday);
        assert_int_equal(c.hour, tm.tm_hour);
        assert_int_equal(c.minute, tm.tm_min);
        assert_int_equal(c.second, tm.tm_sec);
        assert_int_equal(c.day_of_week, (tm.tm_wday + 6) % 7);
    }
}

/* Every day of the range, so that no month or leap year hides. */
static void every_day(void **state)
{
    (void)state;
    static const unsigned lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t us = MILL_TIMESTAMP_MIN;
    unsigned weekday = 0; /* 0001-01-01 was a Monday */
    for (int year = MILL_YEAR_MIN; year <= MILL_YEAR_MAX; year++) {
        bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        for (unsigned month = 1; month <= 12; month++) {
            unsigned length = lengths[month - 1] + (month == 2 && leap);
            for (unsigned day = 1; day <= length; day++, us += MILL_US_PER_DAY) {
                struct mill_civil c;
                mill_timestamp_civil(us, &c);
                if (c.year != year || c.month != month || c.day != day || c.day_of_week != weekday) {
                    fail_msg("%04d-%02u-%02u is wrong", year, month, day);
                }
                weekday = (weekday + 1) % 7;
            }
        }
    }
    assert_true(us == MILL_TIMESTAMP_MAX + 1);
}

static void floors(void **state)
{
    (void)state;
    assert_true(mill_timestamp_floor(0, 10) == 0);
    assert_true(mill_timestamp_floor(9, 10) == 0);
    assert_true(mill_timestamp_floor(10, 10) == 10);
    assert_true(mill_timestamp_floor(-1, 10) == -10);
    assert_true(mill_timestamp_floor(-10, 10) == -10);
    assert_true(mill_timestamp_floor(-11, 10) == -20);
}

static void durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t us;
        const char *printed;
    } cases[] = {
        {"10us", 10, "10us"},
        {"1000us", 1000, "1ms"},
        {"250ms", 250000, "250ms"},
        {"90s", 90 * MILL_US_PER_SECOND, "90s"},
        {"60s", 60 * MILL_US_PER_SECOND, "1m"},
        {"5m", 5 * MILL_US_PER_MINUTE, "5m"},
        {"90m", 90 * MILL_US_PER_MINUTE, "90m"},
        {"3h", 3 * MILL_US_PER_HOUR, "3h"},
        {"24h", MILL_US_PER_DAY, "1d"},
        {"7d", 7 * MILL_US_PER_DAY, "7d"},
        {"2w", 14 * MILL_US_PER_DAY, "14d"},
        {"007s", 7 * MILL_US_PER_SECOND, "7s"},
        {"9223372036854775807us", INT64_MAX, "9223372036854775807us"},
    };
    struct mill_buffer out = {0};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t us = 0;
        assert_int_equal(mill_duration_parse(mill_slice_of(cases[i].text), &us, NULL), MILL_OK);
        assert_true(us == cases[i].us);
        mill_buffer_reset(&out);
        mill_duration_print(us, &out);
        assert_string_equal(mill_buffer_cstr(&out), cases[i].printed);
    }
    mill_buffer_reset(&out);
    mill_duration_print(0, &out);
    mill_duration_print(-90 * MILL_US_PER_SECOND, &out);
    mill_duration_print(INT64_MIN, &out);
    assert_string_equal(mill_buffer_cstr(&out), "0s-90s-9223372036854775808us");
    mill_buffer_clear(&out);
}

static void durations_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        {"", "'' is not a duration, expected a whole number and one of the units us ms s m h d w; hint: for example "
             "90s, 5m or 7d"},
        {"5", NULL},
        {"m", NULL},
        {"5 m", NULL},
        {"-5m", NULL},
        {"+5m", NULL},
        {"1.5h", NULL},
        {"5M", NULL},
        {"5min", NULL},
        {"1h30m", NULL},
        {"5m ", NULL},
        {"0s", "duration '0s' is zero, expected one above zero"},
        {"9223372036854775808us", "duration '9223372036854775808us' is too large"},
        {"99999999999999999999999s", "duration '99999999999999999999999s' is too large"},
        {"106751992d", "duration '106751992d' is too large"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t us = 42;
        struct mill_error err = {0};
        assert_int_equal(mill_duration_parse(mill_slice_of(cases[i].text), &us, &err), MILL_EDATA);
        assert_true(us == 42);
        assert_true(err.msg[0] != '\0');
        if (cases[i].message != NULL) {
            assert_string_equal(err.msg, cases[i].message);
        }
    }
}

static void sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } cases[] = {
        {"0", 0},
        {"123", 123},
        {"123B", 123},
        {"64MiB", UINT64_C(64) << 20},
        {"512KiB", UINT64_C(512) << 10},
        {"1GiB", UINT64_C(1) << 30},
        {"2TiB", UINT64_C(2) << 40},
        {"10MB", UINT64_C(10000000)},
        {"10kB", 10000},
        {"10KB", 10000},
        {"9223372036854775807", INT64_MAX},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t bytes = 42;
        assert_int_equal(mill_size_parse(mill_slice_of(cases[i].text), &bytes, NULL), MILL_OK);
        assert_true(bytes == cases[i].bytes);
    }
    static const char *const bad[] = {"",           "MiB",
                                      "64 MiB",     "64M",
                                      "64mib",      "-1",
                                      "1.5GiB",     "9223372036854775808",
                                      "8388608TiB", "99999999999999999999"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint64_t bytes = 42;
        struct mill_error err = {0};
        assert_int_equal(mill_size_parse(mill_slice_of(bad[i]), &bytes, &err), MILL_EDATA);
        assert_true(bytes == 42 && err.msg[0] == (i < 7 ? '\'' : 's'));
    }
}

int main(void)
{
    random_seed("test_timestamp");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepted),
        cmocka_unit_test(refused),
        cmocka_unit_test(prefixes),
        cmocka_unit_test(printed),
        cmocka_unit_test(round_trip_and_calendar),
        cmocka_unit_test(every_day),
        cmocka_unit_test(floors),
        cmocka_unit_test(durations),
        cmocka_unit_test(durations_refused),
        cmocka_unit_test(sizes),
    };
    return cmocka_run_group_tests_name("base/timestamp", tests, NULL, NULL);
}

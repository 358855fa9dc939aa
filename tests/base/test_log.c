/* SPDX-License-Identifier: Apache-2.0 */
/* base/log.h and base/progress.h: what reaches standard error, which the test turns into a file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/log_internal.h"
#include "base/progress.h"
#include "base/progress_internal.h"
#include "base/timestamp.h"

static struct mill_buffer captured;
static char capture_path[] = "/tmp/mill-test-log-XXXXXX";
static int real_stderr;

/* Clocks of the test: wall time begins at 2013-01-01T10:17:00.120Z. */
static int64_t now_ns = 1;
static const int64_t wall_us = INT64_C(1357035420120999);

static void capture_begin(void)
{
    real_stderr = dup(STDERR_FILENO);
    int fd = open(capture_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(real_stderr >= 0 && fd >= 0);
    assert_true(dup2(fd, STDERR_FILENO) >= 0);
    close(fd);
}

static const char *capture_end(void)
{
    assert_true(dup2(real_stderr, STDERR_FILENO) >= 0);
    close(real_stderr);
    mill_buffer_reset(&captured);
    assert_int_equal(mill_file_read(capture_path, 1 << 20, &captured, NULL), MILL_OK);
    return mill_buffer_cstr(&captured);
}

__attribute__((format(printf, 3, 4))) static void log_at(enum mill_log_level level, const char *component,
                                                         const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    mill__log_write(now_ns, wall_us, level, component, fmt, args);
    va_end(args);
}

static void setup(bool json, bool color)
{
    struct mill_log_options options = {.level = MILL_LOG_INFO, .json = json, .color = color};
    mill_log_setup(&options);
    now_ns += INT64_C(100000000000); /* beyond what earlier tests held back */
}

static void text_lines(void **state)
{
    (void)state;
    setup(false, false);
    capture_begin();
    log_at(MILL_LOG_INFO, "engine", "shard %d has %d partitions", 0, 4);
    log_at(MILL_LOG_WARNING, "kafka", "broker '%s' is down", "evil\n2013 error engine: \033[31mfake\x7f");
    log_at(MILL_LOG_ERROR, "online", "%s", "");
    assert_string_equal(capture_end(), "2013-01-01T10:17:00.120Z info    engine: shard 0 has 4 partitions\n"
                                       "2013-01-01T10:17:00.120Z warning kafka: broker 'evil\\n2013 error engine: "
                                       "\\x1b[31mfake\\x7f' is down\n"
                                       "2013-01-01T10:17:00.120Z error   online: \n");
}

static void colors(void **state)
{
    (void)state;
    setup(false, true);
    capture_begin();
    log_at(MILL_LOG_INFO, "engine", "plain");
    log_at(MILL_LOG_ERROR, "engine", "red");
    assert_string_equal(capture_end(), "2013-01-01T10:17:00.120Z info    engine: plain\n"
                                       "2013-01-01T10:17:00.120Z \033[31merror  \033[0m engine: red\n");
}

static void json_lines(void **state)
{
    (void)state;
    setup(true, true);
    capture_begin();
    log_at(MILL_LOG_WARNING, "kafka", "broker '%s' is \"down\"\n", "a\xff");
    const char *line = capture_end();
    json_t *object = json_loads(line, 0, NULL);
    assert_non_null(object);
    assert_string_equal(json_string_value(json_object_get(object, "ts")), "2013-01-01T10:17:00.120Z");
    assert_string_equal(json_string_value(json_object_get(object, "level")), "warning");
    assert_string_equal(json_string_value(json_object_get(object, "component")), "kafka");
    assert_string_equal(json_string_value(json_object_get(object, "msg")), "broker 'a\xef\xbf\xbd' is \"down\"\n");
    assert_int_equal(line[strlen(line) - 1], '\n');
    json_decref(object);
}

static unsigned count_lines(const char *text)
{
    unsigned count = 0;
    for (; *text != '\0'; text++) {
        count += *text == '\n';
    }
    return count;
}

static void the_same_line_is_held_back(void **state)
{
    (void)state;
    setup(false, false);
    capture_begin();
    for (unsigned i = 0; i < 5; i++) {
        log_at(MILL_LOG_WARNING, "online", "redis is down");
        now_ns += INT64_C(1000000000);
    }
    log_at(MILL_LOG_INFO, "engine", "something else");
    now_ns += INT64_C(5000000000);
    log_at(MILL_LOG_WARNING, "online", "redis is down");
    assert_string_equal(capture_end(), "2013-01-01T10:17:00.120Z warning online: redis is down\n"
                                       "2013-01-01T10:17:00.120Z info    engine: something else\n"
                                       "2013-01-01T10:17:00.120Z warning online: 4 more like the last: redis is down\n"
                                       "2013-01-01T10:17:00.120Z warning online: redis is down\n");
}

static void many_alike_are_held_back(void **state)
{
    (void)state;
    setup(false, false);
    capture_begin();
    for (unsigned i = 0; i < 20; i++) {
        log_at(MILL_LOG_INFO, "engine", "partition %u assigned", i);
    }
    mill_log_flush();
    const char *text = capture_end();
    assert_int_equal(count_lines(text), 9);
    assert_non_null(strstr(text, "engine: partition 7 assigned\n"));
    assert_null(strstr(text, "engine: partition 8 assigned\n"));
    assert_non_null(strstr(text, "engine: 12 more like the last: partition 19 assigned\n"));
    capture_begin();
    mill_log_flush();
    assert_string_equal(capture_end(), "");
}

/* More sources than are remembered: what one of them held back is told before it is forgotten. */
static void forgotten_sources_are_settled(void **state)
{
    (void)state;
    setup(false, false);
    capture_begin();
    char component[16];
    log_at(MILL_LOG_INFO, "first", "repeated");
    log_at(MILL_LOG_INFO, "first", "repeated");
    for (unsigned i = 0; i < 200; i++) {
        snprintf(component, sizeof(component), "c%u", i);
        log_at(MILL_LOG_INFO, component, "once");
    }
    const char *text = capture_end();
    assert_int_equal(count_lines(text), 202);
    assert_non_null(strstr(text, "info    first: 1 more like the last: repeated\n"));
}

static void long_messages_are_cut(void **state)
{
    (void)state;
    setup(false, false);
    char *text = malloc(10001);
    memset(text, 'x', 10000);
    text[10000] = '\0';
    capture_begin();
    log_at(MILL_LOG_INFO, "engine", "%s", text);
    log_at(MILL_LOG_INFO, "engine", "%s", text);
    mill_log_flush();
    const char *out = capture_end();
    assert_int_equal(count_lines(out), 2);
    assert_in_range(strlen(out), 4096, 5000);
    free(text);
}

static void levels_and_errno(void **state)
{
    (void)state;
    setup(false, false);
    assert_false(mill_log_enabled(MILL_LOG_DEBUG));
    assert_true(mill_log_enabled(MILL_LOG_INFO));
    capture_begin();
    errno = ENOSPC;
    mill_log(MILL_LOG_DEBUG, "engine", "unheard");
    mill_log(MILL_LOG_ERROR, "engine", "heard");
    assert_int_equal(errno, ENOSPC);
    const char *text = capture_end();
    assert_int_equal(count_lines(text), 1);
    assert_non_null(strstr(text, "error   engine: heard\n"));
}

static void *log_many(void *context)
{
    for (unsigned i = 0; i < 200; i++) {
        char component[16];
        snprintf(component, sizeof(component), "t%u-%u", *(unsigned *)context, i % 40);
        mill_log(MILL_LOG_INFO, component, "line %u of a thread", i);
    }
    return NULL;
}

/* Lines of several threads stay whole. */
static void threads(void **state)
{
    (void)state;
    setup(false, false);
    pthread_t ids[3];
    unsigned numbers[3] = {0, 1, 2};
    capture_begin();
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&ids[i], NULL, log_many, &numbers[i]), 0);
    }
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(ids[i], NULL), 0);
    }
    char *text = strdup(capture_end()), *rest = text;
    assert_true(count_lines(text) >= 600);
    for (char *line; (line = strsep(&rest, "\n")) != NULL && *line != '\0';) {
        assert_true(strlen(line) > 40);
        assert_int_equal(line[4], '-');
        assert_non_null(strstr(line, " of a thread"));
    }
    free(text);
}

static void color_decision(void **state)
{
    (void)state;
    int fd = open("/dev/null", O_WRONLY);
    assert_false(mill_terminal_has_color(fd));
    mill_log_force_color(MILL_COLOR_ALWAYS);
    assert_true(mill_terminal_has_color(fd));
    mill_log_force_color(MILL_COLOR_NEVER);
    assert_false(mill_terminal_has_color(fd));
    mill_log_force_color(MILL_COLOR_AUTO);
    close(fd);

    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    if (terminal < 0) {
        skip();
    }
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    assert_true(mill_terminal_has_color(terminal));
    setenv("NO_COLOR", "", 1);
    assert_true(mill_terminal_has_color(terminal));
    setenv("NO_COLOR", "1", 1);
    assert_false(mill_terminal_has_color(terminal));
    unsetenv("NO_COLOR");
    setenv("TERM", "dumb", 1);
    assert_false(mill_terminal_has_color(terminal));
    close(terminal);
}

static const char *progress_text(uint64_t done, uint64_t total, int64_t elapsed_ns)
{
    struct mill_progress p = {.label = "replay", .unit = "events", .done = done, .total = total, .begin_ns = 5};
    mill_buffer_reset(&captured);
    mill__progress_format(&p, 5 + elapsed_ns, &captured);
    return mill_buffer_cstr(&captured);
}

static void progress_lines(void **state)
{
    (void)state;
    const int64_t second = INT64_C(1000000000);
    assert_string_equal(progress_text(0, 1000, 0), "replay [>                       ]   0% 0/1.00 k events, 0/s, 0s");
    assert_string_equal(progress_text(500, 1000, second),
                        "replay [============>           ]  50% 500/1.00 k events, 500/s, 1s left");
    assert_string_equal(progress_text(1000, 1000, 2 * second),
                        "replay [========================] 100% 1.00 k/1.00 k events, 500/s, 2s");
    assert_string_equal(progress_text(2000, 1000, 2 * second),
                        "replay [========================] 100% 2.00 k/1.00 k events, 1.00 k/s, 2s");
    assert_string_equal(progress_text(12345678, 0, 100 * second), "replay 12.3 M events, 123 k/s, 1m40s");
    assert_string_equal(progress_text(1, 36001, 10 * second),
                        "replay [>                       ]   0% 1/36.0 k events, 0/s, 100h00m left");
    assert_string_equal(progress_text(UINT64_MAX, 0, second), "replay 18446744 T events, 18446744 T/s, 1s");
}

/* Not a terminal: nothing at all. */
static void progress_is_silent_in_files(void **state)
{
    (void)state;
    struct mill_progress p;
    capture_begin();
    mill_progress_begin(&p, "replay", "events", 10);
    mill_progress_update(&p, 5);
    mill_progress_hide(&p);
    mill_progress_end(&p, true);
    assert_string_equal(capture_end(), "");
}

/* On a terminal the end state is drawn, and the line left. */
static void progress_on_a_terminal(void **state)
{
    (void)state;
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0) {
        skip();
    }
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    assert_true(slave >= 0);
    setenv("TERM", "xterm", 1);
    real_stderr = dup(STDERR_FILENO);
    assert_true(dup2(slave, STDERR_FILENO) >= 0);
    struct mill_progress p;
    mill_progress_begin(&p, "replay", "events", 10);
    p.drawn_ns = INT64_MAX; /* just drawn: not again so soon */
    mill_progress_update(&p, 10);
    mill_progress_end(&p, true);
    assert_true(dup2(real_stderr, STDERR_FILENO) >= 0);
    close(real_stderr);
    char text[512];
    size_t n = 0;
    while (n == 0 || text[n - 1] != '\n') { /* a terminal may hand out less than was written at once */
        ssize_t more = read(master, text + n, sizeof(text) - 1 - n);
        assert_true(more > 0);
        n += (size_t)more;
    }
    text[n] = '\0';
    assert_int_equal(strncmp(text, "\rreplay [========================] 100% 10/10 events, ", 52), 0);
    assert_null(strstr(text + 2, "replay")); /* drawn once */
    assert_non_null(strstr(text, "\033[K"));
    close(slave);
    close(master);
}

int main(void)
{
    close(mkstemp(capture_path));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_lines),
        cmocka_unit_test(colors),
        cmocka_unit_test(json_lines),
        cmocka_unit_test(the_same_line_is_held_back),
        cmocka_unit_test(many_alike_are_held_back),
        cmocka_unit_test(forgotten_sources_are_settled),
        cmocka_unit_test(long_messages_are_cut),
        cmocka_unit_test(levels_and_errno),
        cmocka_unit_test(threads),
        cmocka_unit_test(color_decision),
        cmocka_unit_test(progress_lines),
        cmocka_unit_test(progress_is_silent_in_files),
        cmocka_unit_test(progress_on_a_terminal),
    };
    int rc = cmocka_run_group_tests_name("base/log", tests, NULL, NULL);
    unlink(capture_path);
    mill_buffer_clear(&captured);
    return rc;
}

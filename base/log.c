/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log; see log.h. One lock around everything: a line is formatted and written whole, so lines of
 * different threads never mix. Nothing on the hot path logs.
 */
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log_internal.h"
#include "base/timestamp.h"

/* What one source of lines (component and format string) may write in HOLD_NS; a line that is the very same as
 * the one before is held back at once, one with other arguments only when it becomes one of many. */
enum { SOURCES = 64, LINES_PER_HOLD = 8, MESSAGE_MAX = 4096, REMEMBERED_MAX = 160, COMPONENT_MAX = 24 };
static const int64_t hold_ns = INT64_C(10000000000);

struct source {
    uint64_t id; /* of component and format; 0: free */
    uint64_t last_text;
    int64_t since_ns; /* start of its current 10 s */
    unsigned written, held;
    enum mill_log_level level;
    char component[COMPONENT_MAX], text[REMEMBERED_MAX]; /* of the last line */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* The rest is guarded by lock, but for the options and the colour mode, which are set before threads start. */
static struct mill_log_options options = {.level = MILL_LOG_INFO};
static bool is_set_up;
static enum mill_color_mode color_mode = MILL_COLOR_AUTO;
static struct source sources[SOURCES];
static unsigned next_victim;
static struct mill_buffer line;

static const char *const level_names[] = {"debug", "info", "warning", "error"};

bool mill_terminal_has_color(int fd)
{
    if (color_mode != MILL_COLOR_AUTO) {
        return color_mode == MILL_COLOR_ALWAYS;
    }
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(fd) && (no_color == NULL || no_color[0] == '\0') && term != NULL && strcmp(term, "dumb") != 0;
}

void mill_log_force_color(enum mill_color_mode mode)
{
    color_mode = mode;
}

void mill_log_setup(const struct mill_log_options *wanted)
{
    if (!is_set_up) {
        atexit(mill_log_flush);
    }
    options = *wanted;
    is_set_up = true;
}

bool mill_log_enabled(enum mill_log_level level)
{
    return level >= options.level;
}

static void write_line(void)
{
    size_t done = 0;
    while (done < line.n) {
        ssize_t n = write(STDERR_FILENO, line.p + done, line.n - done);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return; /* nowhere to complain */
        }
        done += (size_t)n;
    }
}

/* Text that came from outside must not begin lines of its own or talk to the terminal. */
static void add_visible(struct mill_slice text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c == '\n') {
            mill_buffer_add_string(&line, "\\n");
        } else if (c < 0x20 || c == 0x7f) {
            mill_buffer_printf(&line, "\\x%02x", c);
        } else {
            mill_buffer_add_byte(&line, c);
        }
    }
}

/* Always to the millisecond, so that columns stay. */
static void add_time(int64_t wall_us)
{
    char text[32];
    int64_t second_us = mill_timestamp_floor(wall_us, MILL_US_PER_SECOND);
    size_t n = mill_timestamp_print(second_us, text);
    mill_buffer_printf(&line, "%.*s.%03uZ", (int)n - 1, text, (unsigned)((wall_us - second_us) / 1000));
}

static void format_text(enum mill_log_level level, const char *component, struct mill_slice text, int64_t wall_us)
{
    static const char *const colors[] = {"\033[2m", "", "\033[33m", "\033[31m"};
    bool color = is_set_up ? options.color : mill_terminal_has_color(STDERR_FILENO);
    bool painted = color && colors[level][0] != '\0';

    add_time(wall_us);
    mill_buffer_printf(&line, " %s%-7s%s %s: ", painted ? colors[level] : "", level_names[level],
                       painted ? "\033[0m" : "", component);
    add_visible(text);
}

static void format_json(enum mill_log_level level, const char *component, struct mill_slice text, int64_t wall_us)
{
    mill_buffer_add_string(&line, "{\"ts\":\"");
    add_time(wall_us);
    mill_buffer_printf(&line, "\",\"level\":\"%s\",\"component\":", level_names[level]);
    mill_json_append_string(&line, mill_slice_of(component));
    mill_buffer_add_string(&line, ",\"msg\":");
    mill_json_append_string(&line, text);
    mill_buffer_add_byte(&line, '}');
}

static void emit(enum mill_log_level level, const char *component, struct mill_slice text, int64_t wall_us)
{
    mill_buffer_reset(&line);
    if (options.json) {
        format_json(level, component, text, wall_us);
    } else {
        format_text(level, component, text, wall_us);
    }
    mill_buffer_add_byte(&line, '\n');
    write_line();
}

/* Tells what was held back, and starts the source's next 10 s. */
static void settle(struct source *s, int64_t now_ns, int64_t wall_us)
{
    char text[REMEMBERED_MAX + 64];
    if (s->held > 0) {
        int n = snprintf(text, sizeof(text), "%u more like the last: %s", s->held, s->text);
        size_t length = n < 0 ? 0 : (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1;
        emit(s->level, s->component, (struct mill_slice){text, length}, wall_us);
    }
    s->since_ns = now_ns;
    s->written = s->held = 0;
    s->last_text = 0;
}

/* The source of that id; where the table is full the oldest taken has to go. */
static struct source *find_source(uint64_t id, int64_t now_ns, int64_t wall_us)
{
    struct source *free_one = NULL;
    for (unsigned i = 0; i < SOURCES; i++) {
        if (sources[i].id == id) {
            return &sources[i];
        }
        if (sources[i].id == 0 && free_one == NULL) {
            free_one = &sources[i];
        }
    }
    if (free_one == NULL) {
        free_one = &sources[next_victim++ % SOURCES];
        settle(free_one, now_ns, wall_us);
    }
    *free_one = (struct source){.id = id, .since_ns = now_ns};
    return free_one;
}

static void settle_all(int64_t now_ns, int64_t wall_us, int64_t age_ns)
{
    for (unsigned i = 0; i < SOURCES; i++) {
        if (sources[i].id != 0 && now_ns - sources[i].since_ns >= age_ns) {
            settle(&sources[i], now_ns, wall_us);
        }
    }
}

/* False where the line is to be held back. */
static bool admit(struct source *s, enum mill_log_level level, const char *component, struct mill_slice text)
{
    uint64_t hash = mill_hash64(text.p, text.n) | 1;
    s->level = level;
    snprintf(s->component, sizeof(s->component), "%s", component);
    snprintf(s->text, sizeof(s->text), "%.*s", (int)text.n, text.p);
    if (hash == s->last_text || s->written >= LINES_PER_HOLD) {
        s->held++;
        return false;
    }
    s->last_text = hash;
    s->written++;
    return true;
}

void mill__log_write(int64_t now_ns, int64_t wall_us, enum mill_log_level level, const char *component, const char *fmt,
                     va_list args)
{
    static char text[MESSAGE_MAX];
    int saved_errno = errno;
    uint64_t id = mill_hash64_seed(fmt, strlen(fmt), mill_hash64(component, strlen(component))) | 1;

    pthread_mutex_lock(&lock);
    int n = vsnprintf(text, sizeof(text), fmt, args);
    struct mill_slice message = {text, n < 0 ? 0 : (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1};
    settle_all(now_ns, wall_us, hold_ns);
    if (admit(find_source(id, now_ns, wall_us), level, component, message)) {
        emit(level, component, message, wall_us);
    }
    pthread_mutex_unlock(&lock);
    errno = saved_errno;
}

void mill_log(enum mill_log_level level, const char *component, const char *fmt, ...)
{
    if (!mill_log_enabled(level)) {
        return;
    }
    va_list args;
    va_start(args, fmt);
    mill__log_write(mill_clock_mono_ns(), mill_clock_wall_us(), level, component, fmt, args);
    va_end(args);
}

void mill_log_flush(void)
{
    pthread_mutex_lock(&lock);
    settle_all(mill_clock_mono_ns(), mill_clock_wall_us(), INT64_MIN);
    pthread_mutex_unlock(&lock);
}

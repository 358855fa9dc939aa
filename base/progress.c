/* SPDX-License-Identifier: Apache-2.0 */
/* Progress bar; see progress.h. */
#include "base/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/progress_internal.h"

enum { BAR_WIDTH = 24, COLUMNS_DEFAULT = 80 };
static const int64_t draw_interval_ns = 100000000;

/* 12 345 678 as "12.3 M": three digits are enough to watch. */
static void add_count(struct mill_buffer *out, double v)
{
    static const char *const suffixes[] = {"", " k", " M", " G", " T"};
    unsigned i = 0;
    while (v >= 999.5 && i + 1 < sizeof(suffixes) / sizeof(suffixes[0])) {
        v /= 1000;
        i++;
    }
    mill_buffer_printf(out, "%.*f%s", i == 0 || v >= 99.95 ? 0 : v >= 9.995 ? 1 : 2, v, suffixes[i]);
}

static void add_seconds(struct mill_buffer *out, double s)
{
    uint64_t whole = s < 1e9 ? (uint64_t)(s + 0.5) : 1000000000;
    if (whole >= 3600) {
        mill_buffer_printf(out, "%" PRIu64 "h%02" PRIu64 "m", whole / 3600, whole / 60 % 60);
    } else if (whole >= 60) {
        mill_buffer_printf(out, "%" PRIu64 "m%02" PRIu64 "s", whole / 60, whole % 60);
    } else {
        mill_buffer_printf(out, "%" PRIu64 "s", whole);
    }
}

static void add_bar(struct mill_buffer *out, double share)
{
    unsigned full = (unsigned)(share * BAR_WIDTH);
    mill_buffer_add_byte(out, '[');
    for (unsigned i = 0; i < BAR_WIDTH; i++) {
        mill_buffer_add_byte(out, i < full ? '=' : i == full ? '>' : ' ');
    }
    mill_buffer_printf(out, "] %3u%% ", (unsigned)(share * 100));
}

/* label [====>   ]  42% 1.23 M/2.90 M events, 410 k/s, 4s left */
void mill__progress_format(const struct mill_progress *p, int64_t now_ns, struct mill_buffer *out)
{
    double elapsed_s = (double)(now_ns - p->begin_ns) / 1e9;
    double rate = elapsed_s > 0 ? (double)p->done / elapsed_s : 0;
    uint64_t done = p->total > 0 && p->done > p->total ? p->total : p->done;

    mill_buffer_printf(out, "%s ", p->label);
    if (p->total > 0) {
        add_bar(out, (double)done / (double)p->total);
    }
    add_count(out, (double)p->done);
    if (p->total > 0) {
        mill_buffer_add_byte(out, '/');
        add_count(out, (double)p->total);
    }
    mill_buffer_printf(out, " %s, ", p->unit);
    add_count(out, rate);
    mill_buffer_add_string(out, "/s, ");
    if (p->total > done && rate > 0) {
        add_seconds(out, (double)(p->total - done) / rate);
        mill_buffer_add_string(out, " left");
    } else {
        add_seconds(out, elapsed_s);
    }
}

static size_t terminal_columns(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : COLUMNS_DEFAULT;
}

static void put(const struct mill_buffer *line)
{
    ssize_t n = write(STDERR_FILENO, line->p, line->n);
    (void)n; /* a bar that cannot be drawn is no failure */
}

static void draw(struct mill_progress *p, int64_t now_ns)
{
    size_t columns = terminal_columns();
    mill_buffer_reset(&p->line);
    mill_buffer_add_byte(&p->line, '\r');
    mill__progress_format(p, now_ns, &p->line);
    if (p->line.n > columns) { /* a wrapped line could not be drawn over */
        p->line.n = columns;
    }
    mill_buffer_add_string(&p->line, "\033[K");
    put(&p->line);
    p->drawn_ns = now_ns;
    p->is_drawn = true;
}

void mill_progress_begin(struct mill_progress *p, const char *label, const char *unit, uint64_t total)
{
    const char *term = getenv("TERM");
    bool is_on = isatty(STDERR_FILENO) && term != NULL && strcmp(term, "dumb") != 0;
    int64_t now_ns = mill_clock_mono_ns();
    *p = (struct mill_progress){
        .label = label, .unit = unit, .total = total, .begin_ns = now_ns, .drawn_ns = now_ns, .is_on = is_on};
}

void mill_progress_update(struct mill_progress *p, uint64_t done)
{
    p->done = done;
    if (!p->is_on) {
        return;
    }
    int64_t now_ns = mill_clock_mono_ns();
    if (now_ns - p->drawn_ns >= draw_interval_ns) {
        draw(p, now_ns);
    }
}

void mill_progress_hide(struct mill_progress *p)
{
    if (p->is_drawn) {
        mill_buffer_reset(&p->line);
        mill_buffer_add_string(&p->line, "\r\033[K");
        put(&p->line);
        p->is_drawn = false;
    }
}

void mill_progress_end(struct mill_progress *p, bool keep)
{
    if (p->is_on && keep) {
        draw(p, mill_clock_mono_ns());
        mill_buffer_reset(&p->line);
        mill_buffer_add_byte(&p->line, '\n');
        put(&p->line);
    } else {
        mill_progress_hide(p);
    }
    mill_buffer_clear(&p->line);
    *p = (struct mill_progress){0};
}

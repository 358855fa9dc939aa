/* SPDX-License-Identifier: Apache-2.0 */
/* The progress line of long commands. */
#include "cli/cli_internal.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

enum { BAR_CELLS = 24, REDRAW_NS = 100000000 };

void mill_cli_progress_begin(struct mill_cli_progress *progress, const char *label)
{
    *progress = (struct mill_cli_progress){.label = label, .started_ns = mill_clock_mono_ns()};
    /* No animation where nobody looks: not in a pipe, and not where the log is being written as JSON by --color never.
     */
    progress->on = isatty(STDERR_FILENO) && mill_terminal_has_color(STDERR_FILENO);
}

static void draw(const struct mill_cli_progress *progress, uint64_t done, uint64_t total, uint64_t items, int64_t now)
{
    char bar[BAR_CELLS + 1];
    double share = total == 0 ? 0 : (double)done / (double)total;
    double seconds = (double)(now - progress->started_ns) / 1e9;
    double rate = seconds > 0 ? (double)items / seconds : 0;

    for (int i = 0; i < BAR_CELLS; i++) {
        bar[i] = (double)i < share * BAR_CELLS ? '#' : '.';
    }
    bar[BAR_CELLS] = '\0';
    fprintf(stderr, "\r\033[K%s ", progress->label);
    if (total > 0) {
        fprintf(stderr, "[%s] %3.0f%%  ", bar, 100 * (share > 1 ? 1 : share));
    }
    fprintf(stderr, "%llu records, %.0f/s", (unsigned long long)items, rate);
    if (share > 0.01 && share < 1) {
        fprintf(stderr, ", %.0f s to go", seconds / share - seconds);
    }
    fflush(stderr);
}

void mill_cli_progress_update(struct mill_cli_progress *progress, uint64_t done, uint64_t total, uint64_t items)
{
    if (!progress->on) {
        return;
    }
    int64_t now = mill_clock_mono_ns();
    if (progress->drawn_ns != 0 && now - progress->drawn_ns < REDRAW_NS) {
        return;
    }
    progress->drawn_ns = now;
    draw(progress, done, total, items, now);
}

void mill_cli_progress_end(struct mill_cli_progress *progress)
{
    if (progress->on && progress->drawn_ns != 0) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
    progress->on = false;
}

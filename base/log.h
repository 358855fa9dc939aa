/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log: one line per happening on standard error, as text or as JSON (ts, level, component, msg). Only
 * engine/, server/ and cli/ log. Lines that repeat are held back and counted: of one component and format string, the
 * same text as before and whatever comes after 8 lines in 10 s. Any thread.
 */
#ifndef MILL_BASE_LOG_H
#define MILL_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum mill_log_level { MILL_LOG_DEBUG, MILL_LOG_INFO, MILL_LOG_WARNING, MILL_LOG_ERROR };

struct mill_log_options {
    enum mill_log_level level; /* lines below it are not written */
    bool json;
    bool color; /* text only */
};

/* Call once, before threads start. Default: info, text; colour where stderr is a terminal that has it. */
void mill_log_setup(const struct mill_log_options *options);
void mill_log(enum mill_log_level level, const char *component, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
bool mill_log_enabled(enum mill_log_level level);
/* Tells what is held back at this moment. At exit this happens by itself. */
void mill_log_flush(void);

/* True where fd is a terminal that takes colours and animation (isatty, TERM not dumb, NO_COLOR unset or
 * empty). `--color` overrides it through mill_log_force_color. */
bool mill_terminal_has_color(int fd);
enum mill_color_mode { MILL_COLOR_AUTO, MILL_COLOR_ALWAYS, MILL_COLOR_NEVER };
void mill_log_force_color(enum mill_color_mode mode);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Error objects and assertions; see error.h. */
#include "base/error.h"

#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

MILL_PRINTF(5, 0)
static void fill(struct mill_error *err, int code, unsigned line, unsigned col, const char *fmt, va_list args)
{
    char text[sizeof(err->msg)];

    /* Formatted aside first: an argument may be the old message itself. */
    vsnprintf(text, sizeof(text), fmt, args);
    err->code = code;
    err->line = line;
    err->col = col;
    memcpy(err->msg, text, sizeof(text));
}

int mill_fail(struct mill_error *err, int code, const char *fmt, ...)
{
    mill_assert(code < 0);
    if (err != NULL) {
        va_list args;
        va_start(args, fmt);
        fill(err, code, 0, 0, fmt, args);
        va_end(args);
    }
    return code;
}

int mill_fail_at(struct mill_error *err, int code, unsigned line, unsigned col, const char *fmt, ...)
{
    mill_assert(code < 0);
    if (err != NULL) {
        va_list args;
        va_start(args, fmt);
        fill(err, code, line, col, fmt, args);
        va_end(args);
    }
    return code;
}

void mill_error_prefix(struct mill_error *err, const char *fmt, ...)
{
    if (err == NULL) {
        return;
    }
    /* Room for both texts; what is over the message's size is cut when it is copied back. */
    char text[2 * sizeof(err->msg) + 2];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof(err->msg), fmt, args);
    va_end(args);
    size_t used = n < 0 ? 0 : (size_t)n < sizeof(err->msg) ? (size_t)n : sizeof(err->msg) - 1;
    size_t old = strnlen(err->msg, sizeof(err->msg) - 1);
    memcpy(text + used, ": ", 2);
    memcpy(text + used + 2, err->msg, old);
    size_t total = used + 2 + old;
    size_t kept = total < sizeof(err->msg) ? total : sizeof(err->msg) - 1;
    memcpy(err->msg, text, kept);
    err->msg[kept] = '\0';
}

bool mill_error_is_retriable(int code)
{
    return code == MILL_EUNAVAIL || code == MILL_ERETRY;
}

int mill_error_exit_status(int code)
{
    switch (code) {
    case MILL_OK:
    case MILL_EEND:
        return EX_OK;
    case MILL_EUSAGE:
        return EX_USAGE;
    case MILL_EDATA:
        return EX_DATAERR;
    case MILL_ENOINPUT:
        return EX_NOINPUT;
    case MILL_EUNAVAIL:
        return EX_UNAVAILABLE;
    case MILL_ERESOURCE:
        return EX_OSERR;
    case MILL_EIO:
        return EX_IOERR;
    case MILL_ERETRY:
        return EX_TEMPFAIL;
    case MILL_ECONFIG:
        return EX_CONFIG;
    default:
        return EX_SOFTWARE;
    }
}

void mill_assert_failed(const char *expr, const char *file, int line)
{
    void *frames[64];

    fprintf(stderr, "tidemill: %s:%d: assertion '%s' failed; this is a bug\n", file, line, expr);
    backtrace_symbols_fd(frames, backtrace(frames, 64), STDERR_FILENO);
    abort();
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors: the two kinds there are.
 *
 * A programmer's error is mill_assert(): kept in release builds, prints where and why, aborts.
 * Everything else is a negative code returned by the function, with the details in an optional
 * struct mill_error that lives on the caller's stack. Results travel through ret_ parameters, which
 * are left untouched on failure. Libraries never log: they fill the error and return.
 *
 * Message grammar (git's): lower case, no full stop, the subject in single quotes, what was expected,
 * then "; hint: ..." where a hint helps.
 */
#ifndef MILL_BASE_ERROR_H
#define MILL_BASE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

enum mill_code {
    MILL_OK = 0,
    MILL_EUSAGE = -1,    /* wrong words on the command line                       exit 64 */
    MILL_EDATA = -2,     /* bytes that are not what they should be                exit 65 */
    MILL_ENOINPUT = -3,  /* a file or topic that is not there                     exit 66 */
    MILL_EUNAVAIL = -4,  /* a dependency is down; retriable                       exit 69 */
    MILL_EBUG = -5,      /* a promise of our own broken                           exit 70 */
    MILL_ERESOURCE = -6, /* memory, disk or a configured limit                    exit 71 */
    MILL_EIO = -7,       /* the operating system refused a read or write          exit 74 */
    MILL_ERETRY = -8,    /* try again; retriable                                  exit 75 */
    MILL_ECONFIG = -9,   /* the project file                                      exit 78 */
    MILL_EEND = -10,     /* no more input; not a failure                                  */
};

/* Line and column count from 1; 0 means that the error has no place in a text. */
struct mill_error {
    int code;
    unsigned line, col;
    char msg[512];
};

#define MILL_MUST_CHECK        __attribute__((warn_unused_result))
#define MILL_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* Fills *err (which may be NULL) and returns code, so that callers can write
 * `return mill_fail(err, MILL_EDATA, "...")`. Text that does not fit is cut. Any thread. */
int mill_fail(struct mill_error *err, int code, const char *fmt, ...) MILL_PRINTF(3, 4);
int mill_fail_at(struct mill_error *err, int code, unsigned line, unsigned col, const char *fmt, ...) MILL_PRINTF(5, 6);
/* Puts "prefix: " before the message already in *err; the code stays. */
void mill_error_prefix(struct mill_error *err, const char *fmt, ...) MILL_PRINTF(2, 3);

bool mill_error_is_retriable(int code);
/* The sysexits.h status a process should leave with for code (0 for MILL_OK). */
int mill_error_exit_status(int code);

#define MILL_TRY(expr)                                                                                                 \
    do {                                                                                                               \
        int mill_try_rc_ = (expr);                                                                                     \
        if (mill_try_rc_ < 0) {                                                                                        \
            return mill_try_rc_;                                                                                       \
        }                                                                                                              \
    } while (0)

void mill_assert_failed(const char *expr, const char *file, int line) __attribute__((noreturn, cold));
#define mill_assert(expr) (__builtin_expect(!(expr), 0) ? mill_assert_failed(#expr, __FILE__, __LINE__) : (void)0)

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The log with the clocks in the caller's hand: for mill_log and for its test. */
#ifndef MILL_BASE_LOG_INTERNAL_H
#define MILL_BASE_LOG_INTERNAL_H

#include <stdarg.h>
#include <stdint.h>

#include "base/log.h"

void mill__log_write(int64_t now_ns, int64_t wall_us, enum mill_log_level level, const char *component, const char *fmt,
                     va_list args) __attribute__((format(printf, 5, 0)));

#endif

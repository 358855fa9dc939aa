/* SPDX-License-Identifier: Apache-2.0 */
/* What timezone.c and timezone_names.c share. */
#ifndef MILL_BASE_TIMEZONE_INTERNAL_H
#define MILL_BASE_TIMEZONE_INTERNAL_H

#include "base/error.h"

/* TZDIR or /usr/share/zoneinfo. */
const char *mill__timezone_directory(void);
/* Says that there is no such zone, and which one may have been meant. Returns MILL_EDATA. */
int mill__timezone_fail_unknown(const char *name, struct mill_error *err);

#endif

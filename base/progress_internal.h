/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a progress bar, apart from terminals and clocks: for progress.c and its test. */
#ifndef MILL_BASE_PROGRESS_INTERNAL_H
#define MILL_BASE_PROGRESS_INTERNAL_H

#include "base/progress.h"

void mill__progress_format(const struct mill_progress *p, int64_t now_ns, struct mill_buffer *out);

#endif

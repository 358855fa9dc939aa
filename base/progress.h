/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A progress bar on standard error for long work of the command line: label, share, amount, rate and time left, on one
 * line that is drawn over. Nothing is drawn where standard error is no terminal, or a dumb one. One thread.
 */
#ifndef MILL_BASE_PROGRESS_H
#define MILL_BASE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"

struct mill_progress {
    const char *label, *unit; /* "events" */
    uint64_t done, total;     /* total 0: not known */
    int64_t begin_ns, drawn_ns;
    bool is_on, is_drawn;
    struct mill_buffer line;
};

/* label and unit must stay valid. */
void mill_progress_begin(struct mill_progress *p, const char *label, const char *unit, uint64_t total);
/* Cheap enough for every batch: draws at most every 100 ms. */
void mill_progress_update(struct mill_progress *p, uint64_t done);
/* Draws the end state and leaves the line, or with keep false wipes it. Frees. */
void mill_progress_end(struct mill_progress *p, bool keep);
/* Takes the line away so that other output may be written; the next update draws it again. */
void mill_progress_hide(struct mill_progress *p);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Windows: which events a windowed aggregate sees as of time t. Every kind comes down to three numbers: the first time
 * that counts, the last one, and a hop; event times are rounded down to a multiple of the hop ("key") before they are
 * compared with the first time, which is itself such a multiple. So a window is a run of keys, cut at its fresh end.
 *
 *              first                          last         hop
 *   exact      t - W + 1                      t            1 us (the events themselves)
 *   openmldb   t - W                          t            1 us
 *   hop        floor(t - W, H)                t            H
 *   chronon    floor(t - W, H)                t - 1        1 d where W >= 12 d, 1 h where W >= 12 h, else 5 min
 *   feast      floor(floor(t, H) - W, H)      floor(t, H) - 1    H, 5 min unless it is given
 *   all time   everything                     t (t - 1 for chronon)   one pane
 *
 * feast is what a point-in-time join against Feast's tiles gives: the newest complete tile at t, and the tiles of W
 * before it. Times are floored toward minus infinity from the epoch.
 */
#ifndef MILL_FEATURESTORE_WINDOW_INTERNAL_H
#define MILL_FEATURESTORE_WINDOW_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "featurestore/featurestore.h"

/* Keys of all-time windows, and the beginning of every such window. */
#define MILL__KEY_ALL_TIME INT64_MIN

struct mill__window {
    int64_t width_us;                     /* 0: all time */
    int64_t hop_us;                       /* 1: raw events; 0: one pane for all time */
    enum mill_window_semantics semantics; /* never MILL_WINDOW_DEFAULT */
};

/* Panes of one window at most; finer hops are a configuration error. */
enum { MILL__WINDOW_PANES_MAX = 100000 };

/* Chooses and checks the hop. MILL_ECONFIG with line and col of the spec. */
int mill__window_resolve(const struct mill_aggregate_spec *spec, struct mill__window *ret_window,
                         struct mill_error *err) MILL_MUST_CHECK;

/* Arithmetic that stops at the ends of int64: hostile event times must not wrap. */
static inline int64_t mill__time_minus(int64_t a, int64_t b)
{
    int64_t r;
    return __builtin_sub_overflow(a, b, &r) ? INT64_MIN : r;
}

static inline int64_t mill__time_floor(int64_t us, int64_t step)
{
    int64_t rest = us % step;
    return rest == 0 ? us : mill__time_minus(us, rest < 0 ? rest + step : rest);
}

static inline int64_t mill__hop_key(int64_t hop_us, int64_t time_us)
{
    return hop_us == 1 ? time_us : hop_us == 0 ? MILL__KEY_ALL_TIME : mill__time_floor(time_us, hop_us);
}

/* The smallest key that counts as of t. Never falls as t rises. */
static inline int64_t mill__window_first(const struct mill__window *w, int64_t t)
{
    if (w->width_us == 0) {
        return MILL__KEY_ALL_TIME;
    }
    if (w->semantics == MILL_WINDOW_FEAST) {
        t = mill__time_floor(t, w->hop_us);
    }
    int64_t begin = mill__time_minus(t, w->width_us);
    if (w->semantics == MILL_WINDOW_EXACT) {
        return begin + 1;
    }
    return mill__hop_key(w->hop_us, begin);
}

/* The last event time that counts as of t. */
static inline int64_t mill__window_last(const struct mill__window *w, int64_t t)
{
    if (w->semantics == MILL_WINDOW_CHRONON) {
        return mill__time_minus(t, 1);
    }
    if (w->semantics == MILL_WINDOW_FEAST) {
        return mill__time_minus(mill__time_floor(t, w->hop_us), 1);
    }
    return t;
}

#endif

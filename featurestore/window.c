/* SPDX-License-Identifier: Apache-2.0 */
/* Choosing a window's hop; see window_internal.h. */
#include "featurestore/window_internal.h"

enum { PANES_DEFAULT_MIN = 60, PANES_DEFAULT_MAX = 3600 };

/* W / k for the smallest k >= 60 that divides W; whole seconds always have one up to 64. */
static int64_t default_hop(int64_t width_us)
{
    for (int64_t k = PANES_DEFAULT_MIN; k <= PANES_DEFAULT_MAX; k++) {
        if (width_us % k == 0) {
            return width_us / k;
        }
    }
    return 0;
}

static int64_t chronon_hop(int64_t width_us)
{
    if (width_us >= 12 * MILL_US_PER_DAY) {
        return MILL_US_PER_DAY;
    }
    return width_us >= 12 * MILL_US_PER_HOUR ? MILL_US_PER_HOUR : 5 * MILL_US_PER_MINUTE;
}

static int fail(const struct mill_aggregate_spec *spec, struct mill_error *err, const char *what, const char *hint)
{
    return mill_fail_at(err, MILL_ECONFIG, spec->line, spec->col, "window of '%s' %s; hint: %s", spec->name, what,
                        hint);
}

static int check_hop(const struct mill_aggregate_spec *spec, const struct mill__window *window, struct mill_error *err)
{
    if (window->hop_us < 1 || window->hop_us > window->width_us) {
        return fail(spec, err, "has a hop that is not between 1 us and the window", "a divisor of the window is usual");
    }
    if (window->hop_us > 1 && window->width_us / window->hop_us > MILL__WINDOW_PANES_MAX) {
        return mill_fail_at(err, MILL_ECONFIG, spec->line, spec->col,
                            "window of '%s' has more than %d hops; hint: give a longer hop, or use 'exact'", spec->name,
                            (int)MILL__WINDOW_PANES_MAX);
    }
    return MILL_OK;
}

/* All time: one pane is enough, and what is the freshest end depends on the semantics only. */
static int resolve_all_time(const struct mill_aggregate_spec *spec, struct mill__window *ret_window,
                            struct mill_error *err)
{
    if (spec->semantics == MILL_WINDOW_FEAST) {
        return fail(spec, err, "has no width, which 'feast' tiles need", "give a time_window");
    }
    *ret_window = (struct mill__window){.semantics = spec->semantics == MILL_WINDOW_CHRONON ? MILL_WINDOW_CHRONON
                                                                                            : MILL_WINDOW_EXACT};
    return MILL_OK;
}

int mill__window_resolve(const struct mill_aggregate_spec *spec, struct mill__window *ret_window,
                         struct mill_error *err)
{
    struct mill__window window = {.width_us = spec->window_us, .semantics = spec->semantics, .hop_us = 1};

    if (spec->window_us < 0) {
        return fail(spec, err, "is negative", "expected a duration such as 24h");
    }
    if (spec->window_us == 0) {
        return resolve_all_time(spec, ret_window, err);
    }
    if (window.semantics == MILL_WINDOW_DEFAULT) {
        window.semantics = spec->window_us <= MILL_US_PER_HOUR ? MILL_WINDOW_EXACT : MILL_WINDOW_HOP;
        if (window.semantics == MILL_WINDOW_HOP) {
            window.hop_us = default_hop(spec->window_us);
            if (window.hop_us == 0) {
                return fail(spec, err, "has no divisor to hop by", "say {hop: ...} or exact, or use whole seconds");
            }
        }
    } else if (window.semantics == MILL_WINDOW_HOP) {
        window.hop_us = spec->hop_us;
    } else if (window.semantics == MILL_WINDOW_FEAST) {
        window.hop_us = spec->hop_us != 0 ? spec->hop_us : 5 * MILL_US_PER_MINUTE;
    } else if (window.semantics == MILL_WINDOW_CHRONON) {
        window.hop_us = chronon_hop(spec->window_us);
    }
    if (window.semantics != MILL_WINDOW_CHRONON) { /* whose tail hop may be longer than a very short window */
        MILL_TRY(check_hop(spec, &window, err));
    }
    *ret_window = window;
    return MILL_OK;
}

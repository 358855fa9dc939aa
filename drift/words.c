/* SPDX-License-Identifier: Apache-2.0 */
/* Bins and smoothing as people write them, in the project file and on the command line. */
#include <math.h>
#include <string.h>

#include "base/number.h"
#include "drift/drift.h"

enum { BINS_MAX = 1000 };

/* Cuts the text before the separator off *rest. */
static struct mill_slice cut(struct mill_slice *rest, char separator)
{
    const char *stop = rest->n == 0 ? NULL : memchr(rest->p, separator, rest->n);
    struct mill_slice part = {rest->p, stop == NULL ? rest->n : (size_t)(stop - rest->p)};

    rest->p += part.n + (stop != NULL);
    rest->n -= part.n + (stop != NULL);
    return part;
}

static bool parse_number(struct mill_slice text, double *ret_value)
{
    while (text.n > 0 && text.p[0] == ' ') {
        text.p++;
        text.n--;
    }
    return text.n > 0 && mill_number_parse_double(text.p, text.p + text.n, ret_value) == text.p + text.n &&
           isfinite(*ret_value);
}

static int parse_count(struct mill_slice text, struct mill_slice count, uint32_t *ret_count, struct mill_error *err)
{
    int64_t n = 0;

    if (mill_number_parse_int64(count.p, count.p + count.n, &n) != count.p + count.n || n < 2 || n > BINS_MAX) {
        return mill_fail(err, MILL_ECONFIG, "bins '%.*s': expected a number of bins from 2 to %d",
                         MILL_SLICE_ARGS(text), BINS_MAX);
    }
    *ret_count = (uint32_t)n;
    return MILL_OK;
}

static int parse_edges(struct mill_slice text, struct mill_slice rest, struct mill_arena *arena,
                       struct mill_binning *binning, struct mill_error *err)
{
    double *edges = mill_arena_array(arena, double, BINS_MAX);

    while (rest.n > 0) {
        struct mill_slice part = cut(&rest, ',');
        uint32_t n = binning->edge_count;
        if (n == BINS_MAX - 1 || !parse_number(part, &edges[n]) || (n > 0 && edges[n] <= edges[n - 1])) {
            return mill_fail(err, MILL_ECONFIG,
                             "bins '%.*s': expected at most %d ascending numbers, found '%.*s'; hint: edges:0,10,100",
                             MILL_SLICE_ARGS(text), BINS_MAX - 1, MILL_SLICE_ARGS(part));
        }
        binning->edge_count++;
    }
    binning->edges = edges;
    binning->count = binning->edge_count + 1;
    return binning->edge_count > 0 ? MILL_OK
                                   : mill_fail(err, MILL_ECONFIG, "bins '%.*s': expected edges; hint: edges:0,10,100",
                                               MILL_SLICE_ARGS(text));
}

int mill_binning_parse(struct mill_slice text, struct mill_arena *arena, struct mill_binning *ret_binning,
                       struct mill_error *err)
{
    static const char atoms[] = "+atoms";
    struct mill_binning binning = {.count = 10};
    struct mill_slice rest = text;

    if (rest.n >= sizeof(atoms) - 1 && memcmp(rest.p + rest.n - (sizeof(atoms) - 1), atoms, sizeof(atoms) - 1) == 0) {
        binning.atoms = true;
        rest.n -= sizeof(atoms) - 1;
    }
    struct mill_slice kind = cut(&rest, ':');
    if (mill_slice_is(kind, "quantile") || mill_slice_is(kind, "uniform")) {
        binning.kind = mill_slice_is(kind, "quantile") ? MILL_BINS_QUANTILE : MILL_BINS_UNIFORM;
        MILL_TRY(parse_count(text, rest, &binning.count, err));
    } else if (mill_slice_is(kind, "edges")) {
        binning.kind = MILL_BINS_EDGES;
        MILL_TRY(parse_edges(text, rest, arena, &binning, err));
    } else {
        return mill_fail(err, MILL_ECONFIG,
                         "bins '%.*s': expected quantile:N, uniform:N or edges:E1,E2,..., maybe with +atoms behind",
                         MILL_SLICE_ARGS(text));
    }
    *ret_binning = binning;
    return MILL_OK;
}

int mill_smoothing_parse(struct mill_slice text, struct mill_smoothing *ret_smoothing, struct mill_error *err)
{
    struct mill_slice rest = text, kind = cut(&rest, ':');
    double amount = 0;

    if (mill_slice_is(text, "none")) {
        *ret_smoothing = (struct mill_smoothing){.kind = MILL_SMOOTHING_NONE};
        return MILL_OK;
    }
    bool add = mill_slice_is(kind, "add"), floor_ = mill_slice_is(kind, "floor");
    if ((!add && !floor_) || !parse_number(rest, &amount) || amount <= 0 || (floor_ && amount >= 1)) {
        return mill_fail(err, MILL_ECONFIG,
                         "smoothing '%.*s': expected add:AMOUNT (add:0.5), floor:SHARE (floor:1e-4) or none",
                         MILL_SLICE_ARGS(text));
    }
    *ret_smoothing = (struct mill_smoothing){.kind = add ? MILL_SMOOTHING_ADD : MILL_SMOOTHING_FLOOR, .amount = amount};
    return MILL_OK;
}

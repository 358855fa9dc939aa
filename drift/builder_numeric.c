/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A numeric feature from its sorted values: break-points, counts, moments, PSI bins and density edges.
 *
 * Break-points are all distinct values, or where there are too many, order statistics that leave gaps of equal mass
 * (a value that many rows share is among them by itself). Edges of bins are added: a further point changes no
 * statistic.
 */
#include <math.h>
#include <stdlib.h>

#include "drift/profile_internal.h"

/* Points on their way to be break-points. */
struct points {
    double *at;
    uint32_t count;
};

static double plus_zero(double x)
{
    return x + 0.0; /* -0.0 is 0.0 */
}

static void sort_points(struct points *points)
{
    double *scratch = mill_malloc((points->count + 1) * sizeof(*scratch));
    uint32_t kept = 0;

    mill__sort_doubles(points->at, scratch, points->count);
    for (uint32_t i = 0; i < points->count; i++) {
        if (kept == 0 || points->at[kept - 1] != points->at[i]) {
            points->at[kept++] = points->at[i];
        }
    }
    points->count = kept;
    free(scratch);
}

/* numpy.quantile(..., method="inverted_cdf"): its own arithmetic, so that the edges are its own. */
static double order_statistic(const double *sorted, uint64_t count, double q)
{
    double index = (double)count * q - 1.0, below = floor(index);
    double at = index > below ? below + 1.0 : below;
    return sorted[at < 0.0 ? 0 : (uint64_t)at];
}

static void add_uniform_edges(const double *sorted, uint64_t count, uint32_t bins, struct points *edges)
{
    uint64_t first = 0, last = count;

    while (first < last && isinf(sorted[first])) {
        first++;
    }
    while (first < last && isinf(sorted[last - 1])) {
        last--;
    }
    if (first == last) {
        return;
    }
    double low = sorted[first], high = sorted[last - 1];
    for (uint32_t i = 1; i < bins; i++) {
        /* Not (high - low): that may overflow. */
        edges->at[edges->count++] = plus_zero(low + (high / bins - low / bins) * i);
    }
}

static struct points make_edges(const struct mill_binning *binning, const double *sorted, uint64_t count)
{
    uint32_t room = binning->kind == MILL_BINS_EDGES ? binning->edge_count : binning->count;
    struct points edges = {mill_malloc((room + 1) * sizeof(double)), 0};

    if (binning->kind == MILL_BINS_EDGES) {
        for (uint32_t i = 0; i < binning->edge_count; i++) {
            edges.at[edges.count] = plus_zero(binning->edges[i]);
            edges.count += !isnan(binning->edges[i]);
        }
    } else if (binning->kind == MILL_BINS_UNIFORM) {
        add_uniform_edges(sorted, count, binning->count, &edges);
    } else {
        for (uint32_t i = 1; i < binning->count && count > 0; i++) {
            edges.at[edges.count++] = order_statistic(sorted, count, i / (double)binning->count);
        }
    }
    sort_points(&edges);
    return edges;
}

/* Values that by themselves have at least 1/bins of the rows; at most `bins` of them. */
static struct points make_atoms(const struct mill_binning *binning, const double *sorted, uint64_t count)
{
    struct points atoms = {mill_malloc(((uint64_t)binning->count + 1) * sizeof(double)), 0};
    uint64_t begin = 0;

    for (uint64_t i = 1; i <= count && binning->atoms; i++) {
        if (i == count || sorted[i] != sorted[begin]) {
            if ((i - begin) * binning->count >= count) {
                atoms.at[atoms.count++] = sorted[begin];
            }
            begin = i;
        }
    }
    return atoms;
}

/* numpy.histogram(values, bins=10): linspace between the extremes, computed as i * step + start, the last edge set.
 * Where numpy raises (infinities, a range too small for ten bins) there are none. */
static uint32_t make_density_edges(const double *sorted, uint64_t count, double *edges)
{
    enum { BINS = MILL_PROFILE_DENSITY_BINS };

    if (count == 0 || isinf(sorted[0]) || isinf(sorted[count - 1])) {
        return 0;
    }
    double low = sorted[0], high = sorted[count - 1];
    if (low == high) {
        low -= 0.5;
        high += 0.5;
    }
    double width = high - low, step = width / BINS;
    for (unsigned i = 0; i <= BINS; i++) {
        double y = step == 0.0 ? i / (double)BINS * width : i * step;
        edges[i] = plus_zero(i == BINS ? high : y + low);
        if (!isfinite(edges[i]) || (i > 0 && !(edges[i] > edges[i - 1]))) {
            return 0;
        }
    }
    return BINS;
}

/* Distinct values, or (more than breaks_max) order statistics. */
static struct points make_breaks(const double *sorted, uint64_t count, uint32_t breaks_max, uint32_t extra)
{
    uint64_t distinct = count > 0;

    for (uint64_t i = 1; i < count && distinct <= breaks_max; i++) {
        distinct += sorted[i] != sorted[i - 1];
    }
    struct points breaks = {mill_malloc(((uint64_t)breaks_max + 1 + extra) * sizeof(double)), 0};
    if (distinct <= breaks_max) {
        for (uint64_t i = 0; i < count; i++) {
            if (i == 0 || sorted[i] != sorted[i - 1]) {
                breaks.at[breaks.count++] = sorted[i];
            }
        }
        return breaks;
    }
    for (uint64_t j = 0; j < breaks_max; j++) {
        breaks.at[breaks.count++] = sorted[j * (count - 1) / (breaks_max - 1)];
    }
    return breaks;
}

static uint32_t index_of(const struct mill_profile_feature *feature, double x)
{
    uint32_t i = mill__lower_bound(feature, x);

    mill_assert(i < feature->break_count && feature->breaks[i] == x);
    return i;
}

static void count_slots(const double *sorted, uint64_t count, struct mill_arena *arena,
                        struct mill_profile_feature *feature)
{
    uint64_t *slots = mill_arena_zarray(arena, uint64_t, 2 * feature->break_count + 1);
    uint32_t i = 0;

    for (uint64_t n = 0; n < count; n++) {
        while (i < feature->break_count && feature->breaks[i] < sorted[n]) {
            i++;
        }
        slots[2 * i + (i < feature->break_count && feature->breaks[i] == sorted[n])]++;
    }
    feature->slot_count = 2 * feature->break_count + 1;
    feature->slots = slots;
}

/* Cuts into bins: behind each edge, and on both sides of each atom; but not before an atom where there is nothing of
 * the reference since the last cut. */
enum cut { CUT_NONE, CUT_BEFORE_ATOM, CUT };

static void set_bins(const struct points *edges, const struct points *atoms, struct mill_arena *arena,
                     struct mill_profile_feature *feature)
{
    uint8_t *is_cut = mill_calloc(feature->slot_count + 1, 1);
    uint32_t *bins = mill_arena_array(arena, uint32_t, edges->count + 2 * (size_t)atoms->count + 2), count = 0;

    for (uint32_t i = 0; i < edges->count; i++) {
        is_cut[2 * index_of(feature, edges->at[i]) + 2] = CUT;
    }
    for (uint32_t i = 0; i < atoms->count; i++) {
        uint32_t slot = 2 * index_of(feature, atoms->at[i]) + 1;
        is_cut[slot] = is_cut[slot] == CUT ? CUT : CUT_BEFORE_ATOM;
        is_cut[slot + 1] = CUT;
    }
    uint64_t sum = 0;
    bins[count++] = 0;
    for (uint32_t s = 1; s < feature->slot_count; s++) {
        sum += feature->slots[s - 1];
        if (is_cut[s] == CUT || (is_cut[s] == CUT_BEFORE_ATOM && (sum > 0 || count == 1))) {
            bins[count++] = s;
            sum = 0;
        }
    }
    bins[count] = feature->slot_count;
    feature->bin_count = count;
    feature->bin_slot = bins;
    free(is_cut);
}

/* Long double: nothing overflows, and what is rounded is below the double's last bit. */
void mill__mean_of(const double *values, uint64_t count, double *ret_mean, double *ret_stddev)
{
    long double sum = 0, squares = 0;
    uint64_t n = 0;

    for (uint64_t i = 0; i < count; i++) {
        sum += isinf(values[i]) ? 0.0L : (long double)values[i];
        n += !isinf(values[i]);
    }
    long double mean = n == 0 ? 0 : sum / n;
    for (uint64_t i = 0; i < count; i++) {
        squares += isinf(values[i]) ? 0 : (values[i] - mean) * (values[i] - mean);
    }
    *ret_mean = n == 0 ? (double)NAN : (double)mean;
    *ret_stddev = n == 0 ? (double)NAN : (double)sqrtl(squares / n);
}

static void set_moments(const double *sorted, uint64_t count, struct mill_profile_feature *feature)
{
    mill__mean_of(sorted, count, &feature->mean, &feature->stddev);
    int exponent = feature->stddev > 0 && isfinite(feature->stddev) ? ilogb(feature->stddev) : 0;
    feature->center = isnan(feature->mean) ? 0 : feature->mean;
    feature->scale = ldexp(1.0, exponent < -MILL__SCALE_MAX  ? -MILL__SCALE_MAX
                                : exponent > MILL__SCALE_MAX ? MILL__SCALE_MAX
                                                             : exponent);
    feature->min = count == 0 ? (double)NAN : sorted[0];
    feature->max = count == 0 ? (double)NAN : sorted[count - 1];
}

void mill__profile_derive(struct mill_profile_feature *feature)
{
    uint64_t total = feature->row_count - feature->null_count, largest = 0;

    for (uint32_t s = 0; s < feature->slot_count; s += 2) {
        largest = feature->slots[s] > largest ? feature->slots[s] : largest;
    }
    feature->is_exact = largest == 0;
    feature->gap_share_max = total == 0 ? 0.0 : (double)largest / (double)total;
}

static void add_points(struct points *to, const struct points *from)
{
    memcpy(to->at + to->count, from->at, from->count * sizeof(double));
    to->count += from->count;
}

void mill__build_numeric(const struct mill_binning *binning, uint32_t breaks_max, const double *sorted, uint64_t count,
                         struct mill_arena *arena, struct mill_profile_feature *feature)
{
    double density_room[MILL_PROFILE_DENSITY_BINS + 1];
    uint32_t density_count = make_density_edges(sorted, count, density_room);
    struct points density = {density_room, density_count == 0 ? 0 : density_count + 1};
    struct points edges = make_edges(binning, sorted, count), atoms = make_atoms(binning, sorted, count);
    double ends[] = {-INFINITY, INFINITY};
    struct points infinities = {ends, count == 0 ? 0 : 2}; /* so that a window's are seen */
    struct points breaks =
        make_breaks(sorted, count, breaks_max, edges.count + atoms.count + density.count + infinities.count);

    add_points(&breaks, &edges);
    add_points(&breaks, &atoms);
    add_points(&breaks, &density);
    add_points(&breaks, &infinities);
    sort_points(&breaks);
    feature->break_count = breaks.count;
    double *kept = mill_arena_array(arena, double, breaks.count);
    memcpy(kept, breaks.at, breaks.count * sizeof(double));
    feature->breaks = kept;
    count_slots(sorted, count, arena, feature);
    set_bins(&edges, &atoms, arena, feature);
    set_moments(sorted, count, feature);
    double *density_kept = mill_arena_array(arena, double, density.count);
    memcpy(density_kept, density.at, density.count * sizeof(double));
    feature->density_count = density_count;
    feature->density_edges = density_kept;
    mill__profile_derive(feature);
    free(edges.at);
    free(atoms.at);
    free(breaks.at);
}

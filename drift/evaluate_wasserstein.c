/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wasserstein-1 from counts: the integral of |F_reference - F_current|.
 *
 * Between two finite break-points only the number of values is known, so they are put in the middle: wrong by at most
 * half the width for each. Beyond the outer break-points the reference has nothing, so the integral there is A = E[(X -
 * last)+] above and B = E[(first - X)+] below; the window's mean gives A - B, because the mean of X cut to [first,
 * last] is known from the counts. Where only one side has values, that is all; where both have, A + B lies between |A -
 * B| and sqrt(share outside * second moment) (Cauchy-Schwarz), and the middle is taken.
 */
#include <math.h>

#include "drift/evaluate_internal.h"

static double i128_to_double(const int64_t words[2])
{
    return (double)words[1] * 0x1p64 + (double)(uint64_t)words[0];
}

double mill__moment_mean(const struct mill_drift_moments *moments, uint64_t count)
{
    return i128_to_double(moments->sum) * 0x1p-40 / (double)count;
}

double mill__moment_square(const struct mill_drift_moments *moments, uint64_t count)
{
    return i128_to_double(moments->square) * 0x1p-40 / (double)count;
}

bool mill__moments_reach(const struct mill_profile_feature *feature)
{
    double reach = 0x1p20 * feature->scale;
    return fabs(feature->min - feature->center) <= reach && fabs(feature->max - feature->center) <= reach;
}

struct walk {
    const struct mill_profile_feature *feature;
    const uint64_t *reference;
    const struct mill_drift_counts *counts;
    uint32_t first, last;   /* the outer finite break-points */
    double n1, n2;          /* of reference and window */
    double per1, per2;      /* 1 / n1, 1 / n2: a division a break-point is most of the time */
    double distance, error; /* between the outer break-points */
    double clipped;         /* mean of the window's values cut to [first, last] */
    double clipped_error;
};

static double share(uint64_t count, double per)
{
    return (double)(int64_t)count * per; /* a signed number is one instruction */
}

/* In locals: the compiler would write each sum to memory every time. */
static void walk_slots(struct walk *walk)
{
    const uint64_t *reference = walk->reference, *current = walk->counts->slots;
    const double *breaks = walk->feature->breaks, per1 = walk->per1, per2 = walk->per2;
    uint32_t first = walk->first, last = walk->last;
    uint64_t c1 = reference[2 * first] + reference[2 * first + 1], c2 = current[2 * first] + current[2 * first + 1];
    double distance = 0, error = 0, clipped_error = 0, low = breaks[first];
    double clipped = share(c2, per2) * low;

    for (uint32_t i = first + 1; i <= last; i++) {
        uint64_t gap1 = reference[2 * i], gap2 = current[2 * i];
        double high = breaks[i], half = high / 2 - low / 2, share2 = share(gap2, per2);
        double before = share(c1, per1) - share(c2, per2);
        c1 += gap1;
        c2 += gap2;
        double behind = share(c1, per1) - share(c2, per2);
        distance += half * (fabs(before) + fabs(behind));
        error += half * (share(gap1, per1) + share2);
        clipped += share2 * (low + half) + share(current[2 * i + 1], per2) * high;
        clipped_error += share2 * half;
        c1 += reference[2 * i + 1];
        c2 += current[2 * i + 1];
        low = high;
    }
    walk->distance = distance;
    walk->error = error;
    walk->clipped = clipped + share(current[2 * last + 2], per2) * low;
    walk->clipped_error = clipped_error;
}

static void add_tails(struct walk *walk)
{
    const struct mill_profile_feature *feature = walk->feature;
    const struct mill_drift_counts *counts = walk->counts;
    uint64_t below = counts->slots[2 * walk->first], above = counts->slots[2 * walk->last + 2], n = (uint64_t)walk->n2;

    if (below == 0 && above == 0) {
        return;
    }
    double mean = feature->center + feature->scale * mill__moment_mean(&counts->moments, n);
    double difference = fabs(mean - walk->clipped);
    walk->error += mill__moments_reach(feature) ? walk->clipped_error : (double)INFINITY;
    if (below > 0 && above > 0) {
        double square = feature->scale * feature->scale * mill__moment_square(&counts->moments, n);
        double most = fmax(difference, sqrt((double)(below + above) / walk->n2 * square));
        walk->error += (most - difference) / 2;
        difference = (most + difference) / 2;
    }
    walk->distance += difference;
}

/* False where there is none, or a side has infinities. */
static bool find_finite(struct walk *walk)
{
    const struct mill_profile_feature *feature = walk->feature;
    uint32_t k = feature->break_count, low = k > 0 && isinf(feature->breaks[0]);
    uint32_t high = k > 0 && isinf(feature->breaks[k - 1]);

    if (k <= low + high || (low > 0 && walk->reference[1] + walk->counts->slots[1] > 0) ||
        (high > 0 && walk->reference[2 * k - 1] + walk->counts->slots[2 * k - 1] > 0)) {
        return false;
    }
    walk->first = low;
    walk->last = k - 1 - high;
    return true;
}

void mill__wasserstein_slots(const struct mill_profile_feature *feature, const struct mill__reference *reference,
                             const struct mill_drift_counts *counts, double *ret_distance, double *ret_error_max)
{
    uint64_t n1 = reference->row_count - reference->null_count, n2 = counts->row_count - counts->null_count;
    struct walk walk = {.feature = feature,
                        .reference = reference->slots,
                        .counts = counts,
                        .n1 = (double)n1,
                        .n2 = (double)n2,
                        .per1 = 1 / (double)n1,
                        .per2 = 1 / (double)n2};

    *ret_distance = *ret_error_max = NAN;
    if (n1 == 0 || n2 == 0 || !find_finite(&walk)) {
        return;
    }
    walk_slots(&walk);
    add_tails(&walk);
    if (isfinite(walk.distance) && isfinite(walk.error)) {
        *ret_distance = walk.distance;
        *ret_error_max = walk.error;
    }
}

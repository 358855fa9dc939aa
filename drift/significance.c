/* SPDX-License-Identifier: Apache-2.0 */
/*
 * p and q, computed only where a decision can depend on them: an exact p takes up to 12 ms and most features of most
 * evaluations are far from any threshold. Decisions are those of all p: what is left out is known to be on one side.
 */
#include <math.h>

#include "drift/evaluate_internal.h"

enum { EXACT_CELLS_MAX = 1 << 23 }; /* about 1 ms, so that 30 features take less than 50 ms */
/* Exact and asymptotic p of samples for which the exact one is dear differ by a few percent near 0.01; within this
 * factor of a threshold the exact one is taken. */
static const double NEAR = 8;

/* Critical statistics of the sample sizes that were asked last: features without nulls share theirs. */
struct critical {
    uint64_t n1, n2;
    double alpha, statistic;
};

static double critical_of(struct critical *cache, const struct mill_ks *ks, double alpha)
{
    if (cache->n1 != ks->reference_count || cache->n2 != ks->current_count || cache->alpha < alpha ||
        cache->alpha > alpha) {
        *cache = (struct critical){ks->reference_count, ks->current_count, alpha,
                                   mill_ks_critical(ks->reference_count, ks->current_count, alpha)};
    }
    return cache->statistic;
}

static bool is_small(const struct mill_ks *ks)
{
    return ks->reference_count <= 10000 && ks->current_count <= 10000;
}

/* Steps of the exact recursion: columns times the width of the band; equal sizes have a closed form. */
static bool is_dear(const struct mill_ks *ks)
{
    double m = (double)ks->reference_count, n = (double)ks->current_count;

    return is_small(ks) && ks->reference_count != ks->current_count &&
           fmax(m, n) * (2 * ks->statistic * fmin(m, n) + 2) > EXACT_CELLS_MAX;
}

static double pvalue_for(const struct mill_ks *ks, double low, double high)
{
    if (is_dear(ks)) {
        double p = mill_ks_pvalue(ks, MILL_KS_ASYMPTOTIC);
        if (p < low / NEAR || p > high * NEAR) {
            return p;
        }
    }
    return mill_ks_pvalue(ks, MILL_KS_AUTO);
}

/* Surely p > alpha. */
static bool is_clear(struct critical *cache, const struct mill_ks *ks, double alpha)
{
    return ks->statistic <= critical_of(cache, ks, is_small(ks) ? fmin(1, NEAR * alpha) : alpha);
}

/* P(D >= d) <= 2 exp(-2 n d^2) for one sample of n (Massart 1990), which the asymptotic p is. */
static double pvalue_bound(const struct mill_ks *ks)
{
    double m = (double)ks->reference_count, n = (double)ks->current_count;
    return 2 * exp(-2 * floor(m * n / (m + n)) * ks->statistic * ks->statistic);
}

static void test_article(const struct mill_drift_rule *rule, struct critical *cache, struct mill_drift_result *result)
{
    if (!is_clear(cache, &result->ks, rule->p_minor)) {
        result->ks_pvalue = pvalue_for(&result->ks, rule->p_major, rule->p_minor);
    }
}

/* Returns what stands for p among the others; sets it in the result where it is needed by itself. */
static double test_default(const struct mill_drift_rule *rule, uint32_t family, struct critical *cache,
                           struct mill_drift_result *result)
{
    const char *reason;
    double value, threshold;

    if (is_clear(cache, &result->ks, rule->q_max)) {
        return 1;
    }
    bool is_candidate = mill__uses_default(rule, result) &&
                        mill__default_effect(rule, result, &reason, &value, &threshold) != MILL_SEVERITY_NONE;
    double bound = pvalue_bound(&result->ks);
    if (!is_candidate && bound * NEAR <= rule->q_max / family) {
        return bound;
    }
    result->ks_pvalue = pvalue_for(&result->ks, rule->q_max / family, rule->q_max);
    return result->ks_pvalue;
}

static double test_result(const struct mill_drift_rule *rule, bool with_p, uint32_t family, struct critical *cache,
                          struct mill_drift_result *result)
{
    if (mill__result_values(result) == 0 || mill__reference_values(result) == 0 ||
        (result->conditions & MILL_CONDITIONS_UNJUDGED) != 0) {
        return NAN;
    }
    if (result->feature->kind == MILL_DRIFT_CATEGORICAL) {
        return result->pooled_pvalue;
    }
    if (with_p) {
        result->ks_pvalue = mill_ks_pvalue(&result->ks, MILL_KS_AUTO);
    } else if (rule->kind == MILL_RULE_ARTICLE) {
        test_article(rule, cache, result);
    } else {
        return test_default(rule, family, cache, result);
    }
    return result->ks_pvalue;
}

void mill__test_results(const struct mill_drift_rule *rule, bool with_p, struct mill_arena *arena,
                        struct mill_drift_result *results, uint32_t count)
{
    double *p = mill_arena_array(arena, double, count + (size_t)1);
    struct critical cache = {0, 0, 0, 0};

    for (uint32_t i = 0; i < count; i++) {
        p[i] = test_result(rule, with_p, count, &cache, &results[i]);
    }
    if (rule->kind == MILL_RULE_ARTICLE && !with_p) {
        return;
    }
    double *q = mill_arena_array(arena, double, count + (size_t)1);
    mill_benjamini_hochberg(p, q, count);
    for (uint32_t i = 0; i < count; i++) {
        bool is_numeric = results[i].feature->kind == MILL_DRIFT_NUMERIC;
        results[i].ks_qvalue = is_numeric && isnan(results[i].ks_pvalue) ? (double)NAN : q[i];
    }
}

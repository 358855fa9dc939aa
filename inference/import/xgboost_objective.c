/* SPDX-License-Identifier: Apache-2.0 */
/* XGBoost's objectives: how the stored base score becomes a margin, and how a margin becomes a prediction. */
#include <math.h>

#include "inference/import/xgboost_internal.h"

enum to_margin { AS_IT_IS, LOGIT, LOG, EXPECTILES };

static const struct objective {
    const char *name;
    enum to_margin to_margin;
    enum mill__link link;
} objectives[] = {
    {"reg:squarederror", AS_IT_IS, MILL__LINK_IDENTITY},
    {"reg:linear", AS_IT_IS, MILL__LINK_IDENTITY},
    {"reg:squaredlogerror", AS_IT_IS, MILL__LINK_IDENTITY},
    {"reg:pseudohubererror", AS_IT_IS, MILL__LINK_IDENTITY},
    {"reg:absoluteerror", AS_IT_IS, MILL__LINK_IDENTITY},
    {"reg:quantileerror", AS_IT_IS, MILL__LINK_IDENTITY},
    {"reg:expectileerror", EXPECTILES, MILL__LINK_EXPECTILES},
    {"reg:logistic", LOGIT, MILL__LINK_SIGMOID},
    {"reg:gamma", LOG, MILL__LINK_EXP},
    {"reg:tweedie", LOG, MILL__LINK_EXP},
    {"binary:logistic", LOGIT, MILL__LINK_SIGMOID},
    {"binary:logitraw", AS_IT_IS, MILL__LINK_IDENTITY},
    {"binary:hinge", AS_IT_IS, MILL__LINK_HINGE},
    {"count:poisson", LOG, MILL__LINK_EXP},
    {"survival:cox", LOG, MILL__LINK_EXP},
    {"survival:aft", LOG, MILL__LINK_EXP},
    {"multi:softprob", AS_IT_IS, MILL__LINK_SOFTMAX},
    {"multi:softmax", AS_IT_IS, MILL__LINK_ARGMAX},
    {"rank:pairwise", AS_IT_IS, MILL__LINK_IDENTITY},
    {"rank:ndcg", AS_IT_IS, MILL__LINK_IDENTITY},
    {"rank:map", AS_IT_IS, MILL__LINK_IDENTITY},
};

static bool at_least(const struct mill__xgb *x, int64_t major, int64_t minor)
{
    return x->major > major || (x->major == major && x->minor >= minor);
}

static int logit(struct mill__xgb *x, float b, double *ret_margin)
{
    if (at_least(x, 3, 2)) {
        b = b < 1e-6f ? 1e-6f : b > 1.0f - 1e-6f ? 1.0f - 1e-6f : b;
    } else if (!(b > 0 && b < 1)) {
        return mill_fail(x->d.err, MILL_EDATA, "base_score %g, expected between 0 and 1 for '%s'", (double)b,
                         x->objective);
    }
    *ret_margin = (double)-logf(1.0f / b - 1.0f);
    return 0;
}

/* The margin of an expectile above the first is what softplus turns into the step from the one below it. */
static float expectile_margin(float below, float b)
{
    float step = b - below - 1e-6f;
    step = step > 1e-6f ? step : 1e-6f;
    return step + logf(-expm1f(-step));
}

static int base_margin(struct mill__xgb *x, const struct objective *objective, uint32_t k, double *ret_margin)
{
    float b = x->base_score.at[x->base_score.n == 1 ? 0 : k];
    switch (objective->to_margin) {
    case AS_IT_IS:
        *ret_margin = (double)b;
        return 0;
    case LOGIT:
        return logit(x, b, ret_margin);
    case LOG:
        *ret_margin = (double)logf(b);
        return 0;
    case EXPECTILES:
        *ret_margin =
            k == 0 ? (double)b : (double)expectile_margin(x->base_score.at[x->base_score.n == 1 ? 0 : k - 1], b);
        return 0;
    }
    return 0;
}

int mill__xgb_apply_objective(struct mill__xgb *x)
{
    const struct objective *objective = NULL;
    for (size_t i = 0; i < sizeof(objectives) / sizeof(objectives[0]); i++) {
        if (mill_slice_is(mill_slice_of(x->objective), objectives[i].name)) {
            objective = &objectives[i];
        }
    }
    if (objective == NULL) {
        return mill_fail(x->d.err, MILL_EDATA,
                         "the objective '%s' is not known; hint: custom objectives keep the name of a built-in one",
                         x->objective);
    }
    struct mill__forest *forest = x->forest;
    forest->link = objective->link;
    if (objective->link == MILL__LINK_IDENTITY && at_least(x, 3, 4) &&
        mill_slice_is(mill_slice_of(x->objective), "reg:quantileerror")) {
        forest->link = MILL__LINK_SORTED;
    }
    if (objective->link == MILL__LINK_ARGMAX) {
        forest->output_count = 1;
    }
    if (x->base_score.n == 0) {
        return mill_fail(x->d.err, MILL_EDATA, "'base_score' is missing");
    }
    if (x->base_score.n != 1 && x->base_score.n != forest->margin_count) {
        return mill_fail(x->d.err, MILL_EDATA, "base_score has %u entries, expected 1 or %u", x->base_score.n,
                         forest->margin_count);
    }
    for (uint32_t k = 0; k < forest->margin_count; k++) {
        MILL_TRY(base_margin(x, objective, k, &forest->base[k]));
    }
    return 0;
}

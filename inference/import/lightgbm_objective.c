/* SPDX-License-Identifier: Apache-2.0 */
/* LightGBM's objectives: the link of each, with its aliases. */
#include <math.h>

#include "inference/import/lightgbm_internal.h"

static const struct objective {
    const char *name;
    enum mill__link link;
    bool takes_sqrt; /* "sqrt" on the line: trained on the signed root of the target */
} objectives[] = {
    {"regression", MILL__LINK_IDENTITY, true},
    {"regression_l2", MILL__LINK_IDENTITY, true},
    {"mean_squared_error", MILL__LINK_IDENTITY, true},
    {"mse", MILL__LINK_IDENTITY, true},
    {"l2", MILL__LINK_IDENTITY, true},
    {"l2_root", MILL__LINK_IDENTITY, true},
    {"root_mean_squared_error", MILL__LINK_IDENTITY, true},
    {"rmse", MILL__LINK_IDENTITY, true},
    {"regression_l1", MILL__LINK_IDENTITY, true},
    {"l1", MILL__LINK_IDENTITY, true},
    {"mean_absolute_error", MILL__LINK_IDENTITY, true},
    {"mae", MILL__LINK_IDENTITY, true},
    {"huber", MILL__LINK_IDENTITY, false},
    {"fair", MILL__LINK_IDENTITY, true},
    {"quantile", MILL__LINK_IDENTITY, true},
    {"mape", MILL__LINK_IDENTITY, true},
    {"mean_absolute_percentage_error", MILL__LINK_IDENTITY, true},
    {"poisson", MILL__LINK_EXP, false},
    {"gamma", MILL__LINK_EXP, false},
    {"tweedie", MILL__LINK_EXP, false},
    {"binary", MILL__LINK_LOGISTIC, false},
    {"multiclass", MILL__LINK_SOFTMAX, false},
    {"softmax", MILL__LINK_SOFTMAX, false},
    {"multiclassova", MILL__LINK_LOGISTIC, false},
    {"multiclass_ova", MILL__LINK_LOGISTIC, false},
    {"ova", MILL__LINK_LOGISTIC, false},
    {"ovr", MILL__LINK_LOGISTIC, false},
    {"cross_entropy", MILL__LINK_LOGISTIC, false},
    {"xentropy", MILL__LINK_LOGISTIC, false},
    {"cross_entropy_lambda", MILL__LINK_LOG1P_EXP, false},
    {"xentlambda", MILL__LINK_LOG1P_EXP, false},
    {"lambdarank", MILL__LINK_IDENTITY, false},
    {"rank_xendcg", MILL__LINK_IDENTITY, false},
    {"xendcg", MILL__LINK_IDENTITY, false},
    {"custom", MILL__LINK_IDENTITY, false},
    {"none", MILL__LINK_IDENTITY, false},
    {"null", MILL__LINK_IDENTITY, false},
    {"na", MILL__LINK_IDENTITY, false},
};

/* LightGBM reads parameters with a parser of its own that is not correctly rounded; its steps, so that its bits come
 * out: whole part, then the fraction's digits as a whole number over a power of ten. */
static bool parse_parameter(struct mill_slice text, double *ret_value)
{
    double value = 0, fraction = 0, power = 1;
    size_t i = 0;
    for (; i < text.n && text.p[i] >= '0' && text.p[i] <= '9'; i++) {
        value = value * 10.0 + (text.p[i] - '0');
    }
    if (i < text.n && text.p[i] == '.') {
        for (i++; i < text.n && text.p[i] >= '0' && text.p[i] <= '9'; i++) {
            fraction = fraction * 10.0 + (text.p[i] - '0');
            power *= 10.0;
        }
        value += fraction / power;
    }
    if (i < text.n && i > 0) {
        /* With an exponent: exact digits and one rounding is as near as can be said. */
        const char *end = text.p + text.n;
        return mill_number_parse_double(text.p, end, ret_value) == end && *ret_value > 0;
    }
    *ret_value = value;
    return i == text.n && i > 0 && value > 0;
}

static struct mill_slice cut_word(struct mill_slice *rest)
{
    while (rest->n > 0 && *rest->p == ' ') {
        rest->p++;
        rest->n--;
    }
    struct mill_slice word = {rest->p, 0};
    while (word.n < rest->n && rest->p[word.n] != ' ') {
        word.n++;
    }
    rest->p += word.n;
    rest->n -= word.n;
    return word;
}

int mill__lgb_apply_objective(struct mill__lgb *x)
{
    struct mill__forest *forest = x->forest;
    struct mill_slice rest = x->objective, name = cut_word(&rest), word;
    forest->objective = mill__copy_text(name);
    forest->link_param = 1;
    if (name.n == 0) {
        return 0; /* trained with a function of the user's: raw scores are the predictions */
    }
    const struct objective *objective = NULL;
    for (size_t i = 0; i < sizeof(objectives) / sizeof(objectives[0]); i++) {
        if (mill_slice_is(name, objectives[i].name)) {
            objective = &objectives[i];
        }
    }
    if (objective == NULL) {
        return mill_fail(x->err, MILL_EDATA, "the objective '%.*s' is not known", (int)(name.n < 40 ? name.n : 40),
                         name.p);
    }
    forest->link = objective->link;
    while ((word = cut_word(&rest)).n > 0) {
        if (mill_slice_is(word, "sqrt") && objective->takes_sqrt) {
            forest->link = MILL__LINK_SIGNED_SQUARE;
        } else if (word.n > 8 && memcmp(word.p, "sigmoid:", 8) == 0 &&
                   !parse_parameter((struct mill_slice){word.p + 8, word.n - 8}, &forest->link_param)) {
            return mill_fail(x->err, MILL_EDATA, "'%.*s': expected a number above 0", (int)(word.n < 40 ? word.n : 40),
                             word.p);
        }
    }
    return 0;
}

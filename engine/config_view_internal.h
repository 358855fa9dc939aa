/* SPDX-License-Identifier: Apache-2.0 */
/* A feature view of the project file, in the making: config_view.c, config_expression.c, config_aggregation.c. */
#ifndef MILL_ENGINE_CONFIG_VIEW_INTERNAL_H
#define MILL_ENGINE_CONFIG_VIEW_INTERNAL_H

#include "engine/config_internal.h"

/* Names that an expression may use so far: fields of the source, then what the view defines, in order. */
struct mill__scope {
    struct mill_expr_name *names;
    bool *doubtful; /* per name: its definition has problems, so what is wrong where it is used may follow from them */
    uint32_t count, capacity;
};
/* The view's own name hides a field of the same name. */
void mill__scope_add(struct mill__config *c, struct mill__scope *scope, const char *name, enum mill_type type,
                     bool doubtful);
const struct mill_expr_name *mill__scope_find(const struct mill__scope *scope, const char *name);

/* Compiles the expression to check it; a problem stands at the very character, and is kept silent where the expression
 * uses a doubtful name. False after one. */
bool mill__check_expression(struct mill__config *c, const struct mill__text *text, const struct mill__scope *scope,
                            const struct mill_timezone *zone, enum mill_type *ret_type);

/* Checks features or derivations and adds them to the scope. False after a problem. */
bool mill__resolve_features(struct mill__config *c, const struct mill__sections *sections, struct mill__scope *scope,
                            const struct mill_timezone *zone, const struct mill_feature_spec **ret_specs);

struct mill__aggregates {
    struct mill_aggregate_spec *at;
    bool *doubtful; /* it has a problem already */
    uint32_t count;
};
/* Appends functions x windows aggregates; there is room. False after a problem. */
bool mill__resolve_aggregation(struct mill__config *c, const struct mill__raw_aggregation *raw,
                               const struct mill__scope *scope, const struct mill_timezone *zone,
                               struct mill__aggregates *out);

#endif

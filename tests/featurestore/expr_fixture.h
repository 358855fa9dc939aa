/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of expressions share: a batch of named columns, values as text, evaluating one expression. */
#ifndef TESTS_FEATURESTORE_EXPR_FIXTURE_H
#define TESTS_FEATURESTORE_EXPR_FIXTURE_H

#include "featurestore/featurestore.h"

enum { FIXTURE_COLUMNS_MAX = 32 };

struct fixture {
    struct mill_arena arena;
    struct mill_field fields[FIXTURE_COLUMNS_MAX];
    struct mill_expr_name names[FIXTURE_COLUMNS_MAX];
    struct mill_schema schema;
    struct mill_batch batch;
    struct mill_timezone *zone; /* NULL: UTC */
};

void fixture_init(struct fixture *f);
void fixture_clear(struct fixture *f);
void fixture_add_field(struct fixture *f, const char *name, enum mill_type type);
/* After the last field; all rows are null. */
void fixture_start_batch(struct fixture *f, uint32_t rows);

int fixture_compile(const struct fixture *f, struct mill_slice text, struct mill_expr **ret_expr,
                    struct mill_error *err);

/* Puts what text says into a row: null, true, 12, 0.5, inf, NaN, 'text' or 2013-01-31T10:00:00Z. False where it is not
 * a value of the column's type. */
bool fixture_set_value(struct mill_column *column, uint32_t row, struct mill_slice text, struct mill_arena *arena);
/* Equal in type, validity and bits, where any NaN is as good as another; floats may differ by so many units in the
 * last place. */
bool fixture_same_value(const struct mill_column *a, const struct mill_column *b, uint32_t row, unsigned ulps);
/* The value as fixture_set_value reads it; lives in arena. */
const char *fixture_print_value(const struct mill_column *column, uint32_t row, struct mill_arena *arena);

#endif

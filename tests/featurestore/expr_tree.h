/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The oracle of expressions: random typed trees, their text, and what they give by walking the tree row by row. Written
 * against docs/expressions.md, not against the compiler: it shares no code with featurestore/expr*.c.
 */
#ifndef TESTS_FEATURESTORE_EXPR_TREE_H
#define TESTS_FEATURESTORE_EXPR_TREE_H

#include "base/buffer.h"
#include "featurestore/featurestore.h"

enum tree_kind {
    TREE_LITERAL,
    TREE_NULL, /* the word; only beside something that has a type */
    TREE_COLUMN,
    TREE_BINARY, /* word: + - * / % = != < <= > >= and or */
    TREE_NEGATE,
    TREE_NOT,
    TREE_IS_NULL, /* word: is null, is not null */
    TREE_IN,      /* word: in, not in; the first child before the others in brackets */
    TREE_BETWEEN, /* word: between, not between */
    TREE_CASE,    /* children: condition, value, ..., and one more for else */
    TREE_SWITCH,  /* children: subject, candidate, value, ..., and one more for else */
    TREE_CALL,    /* word: the function */
};

struct tree_value {
    bool valid;
    union {
        uint8_t b;
        int64_t i;
        double f;
        struct mill_slice s;
    } at;
};

struct tree {
    enum tree_kind kind;
    enum mill_type type;
    const char *word;
    struct tree_value literal;
    uint32_t column;
    const struct tree **children;
    uint32_t child_count;
};

/* A random tree of the type over the schema's columns, at most depth deep. */
const struct tree *tree_random(uint64_t *seed, enum mill_type type, unsigned depth, const struct mill_schema *schema,
                               struct mill_arena *arena);
/* With as few brackets as the grammar allows, and now and then more. */
void tree_print(const struct tree *t, uint64_t *seed, const struct mill_schema *schema, struct mill_buffer *out);
/* Time functions use the process's TZ. Strings live in arena. */
struct tree_value tree_evaluate(const struct tree *t, const struct mill_batch *batch, uint32_t row,
                                struct mill_arena *arena);

/* splitmix64; below n. */
uint32_t tree_dice(uint64_t *seed, uint32_t n);
struct tree_value tree_random_value(uint64_t *seed, enum mill_type type);

#endif

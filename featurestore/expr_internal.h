/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expressions inside: from text to a program of vector steps, in one pass.
 *
 *   expr_lex.c        text to tokens
 *   expr_parse.c      grammar; calls the rules below as it goes, there is no syntax tree
 *   expr_types.c      rules of the operators: types, conversions, error messages
 *   expr_functions.c  rules of the functions: one table
 *   expr_program.c    appends steps: shares equal ones, computes constant ones, lays the rest out
 *   expr.c            public functions; runs a program block by block
 *   expr_arith.c expr_math.c expr_compare.c expr_logic.c expr_text.c expr_time.c    the vector kernels
 *
 * A program is a list of steps in static single assignment form: step k computes register k from registers below k, so
 * the list order is an order of evaluation and nothing recurses at run time. A register holds a block of up to
 * MILL__EXPR_BLOCK rows, small enough that an expression's temporaries stay in the first-level cache.
 */
#ifndef MILL_FEATURESTORE_EXPR_INTERNAL_H
#define MILL_FEATURESTORE_EXPR_INTERNAL_H

#include "featurestore/featurestore.h"

enum {
    MILL__EXPR_TEXT_MAX = 65536,
    MILL__EXPR_DEPTH_MAX = 256, /* nested brackets, calls, cases and signs: bounds the parser's recursion */
    MILL__EXPR_STEPS_MAX = 4096,
    MILL__EXPR_STRING_MAX = 65536, /* bytes that concat() makes of one row; longer is null */
    MILL__EXPR_BLOCK = 512,        /* a multiple of 64 */
    MILL__EXPR_BLOCK_WORDS = MILL__EXPR_BLOCK / 64,
};

#define MILL__EXPR_PI 3.141592653589793

/* ---- kernels: what a step does with a block ---- */

struct mill__expr_set; /* the constants of an in (...) */

/* Rows 0 <= i < n of the inputs and of out. Null slots of inputs may hold any value that is safe for its type (0 or 1,
 * a readable slice); out's null slots may too. */
struct mill__expr_call {
    const struct mill_column *const *in;
    uint32_t in_count, n;
    struct mill_column *out; /* never memory of an input */
    const struct mill__expr_set *set;
    const struct mill_timezone *zone;
    struct mill_arena *arena;
};
typedef void mill__expr_kernel(const struct mill__expr_call *call);

struct mill__expr_op {
    mill__expr_kernel *kernel;
    enum mill_type type;
    /* False: out->valid is already the AND of the inputs' when the kernel runs, which may clear more bits.
     * True: the kernel writes out->valid. */
    bool own_nulls;
};

/* ---- programs ---- */

struct mill__expr_value {
    enum mill_type type;
    bool valid;
    union {
        uint8_t b;
        int64_t i;
        double f;
        struct mill_slice s;
    } at; /* zero where not valid */
};

enum mill__expr_kind { MILL__EXPR_COLUMN, MILL__EXPR_VALUE, MILL__EXPR_OP };

struct mill__expr_step {
    enum mill__expr_kind kind;
    enum mill_type type;
    uint32_t column;                /* COLUMN: of the batch */
    struct mill__expr_value value;  /* VALUE */
    const struct mill__expr_op *op; /* OP */
    const struct mill__expr_set *set;
    uint32_t in_first, in_count; /* OP: its input registers, in the program's inputs[] */
    uint32_t slot;               /* OP: temporary it writes to */
};

/* Temporaries come in three widths; a step's slot is of its type's. */
enum { MILL__EXPR_WIDTHS = 3 };
unsigned mill__expr_width(enum mill_type type);
size_t mill__expr_type_size(enum mill_type type);

struct mill_expr {
    struct mill_arena arena; /* of everything below */
    const struct mill_timezone *zone;
    struct mill__expr_step *steps; /* the last is the result */
    struct mill_column *constants; /* per step; a full block for VALUE steps */
    uint32_t *inputs;
    uint32_t step_count, in_count_max, column_count;
    uint32_t slot_count[MILL__EXPR_WIDTHS];
};

/* A program in the making; memory by mill_malloc, strings and sets from the expression's arena. */
struct mill__expr_builder {
    struct mill_arena *arena;
    const struct mill_timezone *zone;
    struct mill__expr_step *steps;
    uint32_t step_count, step_capacity;
    uint32_t *inputs;
    uint32_t input_count, input_capacity;
    uint32_t *seen; /* open addressing: step + 1 of equal steps */
    bool full;      /* MILL__EXPR_STEPS_MAX reached; registers returned since mean nothing */
};

void mill__expr_builder_init(struct mill__expr_builder *b, struct mill_arena *arena, const struct mill_timezone *zone);
void mill__expr_builder_clear(struct mill__expr_builder *b);
/* Each returns the register; a step that is there already is shared. */
uint32_t mill__expr_add_column(struct mill__expr_builder *b, uint32_t column, enum mill_type type);
uint32_t mill__expr_add_value(struct mill__expr_builder *b, struct mill__expr_value value);
uint32_t mill__expr_add_op(struct mill__expr_builder *b, const struct mill__expr_op *op, const uint32_t *in,
                           uint32_t in_count, const struct mill__expr_set *set);
/* The constant in a register, or NULL where it is not one. */
const struct mill__expr_value *mill__expr_constant(const struct mill__expr_builder *b, uint32_t reg);
/* Moves what result needs into expr and lays out temporaries and constants. */
void mill__expr_finish(struct mill__expr_builder *b, uint32_t result, struct mill_expr *expr);

/* ---- compiling ---- */

enum mill__expr_token {
    MILL__EXPR_END,
    MILL__EXPR_NAME,
    MILL__EXPR_QUOTED_NAME, /* `name`: never a keyword */
    MILL__EXPR_NUMBER,
    MILL__EXPR_STRING,
    MILL__EXPR_LEFT,
    MILL__EXPR_RIGHT,
    MILL__EXPR_COMMA,
    MILL__EXPR_PLUS, /* these five in the order of enum mill__expr_arith */
    MILL__EXPR_MINUS,
    MILL__EXPR_TIMES,
    MILL__EXPR_DIVIDE,
    MILL__EXPR_MODULO,
    MILL__EXPR_EQ, /* these six in the order of enum mill__expr_relation */
    MILL__EXPR_NE,
    MILL__EXPR_LT,
    MILL__EXPR_LE,
    MILL__EXPR_GT,
    MILL__EXPR_GE,
    MILL__EXPR_AND,
    MILL__EXPR_OR,
    MILL__EXPR_NOT,
    MILL__EXPR_IN,
    MILL__EXPR_BETWEEN,
    MILL__EXPR_IS,
    MILL__EXPR_NULL,
    MILL__EXPR_TRUE,
    MILL__EXPR_FALSE,
    MILL__EXPR_CASE,
    MILL__EXPR_WHEN,
    MILL__EXPR_THEN,
    MILL__EXPR_ELSE,
    MILL__EXPR_END_CASE,
};

/* A typed register and where in the text its expression begins. The word null has no type yet. */
struct mill__expr_operand {
    uint32_t reg;
    enum mill_type type;
    bool is_null;
    size_t at;
};

struct mill__expr_compiler {
    struct mill_slice text;
    const struct mill_expr_scope *scope;
    struct mill_error *err;
    struct mill__expr_builder builder;
    size_t next; /* where the lexer goes on */
    enum mill__expr_token token;
    size_t token_at;
    struct mill_slice word; /* the token's text; of STRING and QUOTED_NAME what is between the quotes */
    unsigned depth;
    struct mill__expr_operand *pending; /* stack of operands of the calls, lists and cases that are open */
    uint32_t pending_count, pending_capacity;
};

/* Fills the error with the position of offset at. Returns MILL_ECONFIG. */
int mill__expr_fail(const struct mill__expr_compiler *c, size_t at, const char *fmt, ...) MILL_PRINTF(3, 4);
/* "%.*s" of at most 64 bytes, whole characters. */
int mill__expr_shown(struct mill_slice s);
#define MILL__EXPR_SHOW(s) mill__expr_shown(s), (s).p
int mill__expr_next(struct mill__expr_compiler *c) MILL_MUST_CHECK;
/* The byte that the token after this one begins with; 0 at the end. */
char mill__expr_peek(struct mill__expr_compiler *c);
/* The text of a quoted token with doubled quotes made single, in the expression's arena. */
struct mill_slice mill__expr_unquote(struct mill__expr_compiler *c);
int mill__expr_parse(struct mill__expr_compiler *c, struct mill__expr_operand *ret) MILL_MUST_CHECK;

/* ---- rules of operators ---- */

enum mill__expr_arith {
    MILL__EXPR_ADD,
    MILL__EXPR_SUBTRACT,
    MILL__EXPR_MULTIPLY,
    MILL__EXPR_QUOTIENT,
    MILL__EXPR_REMAINDER,
    MILL__EXPR_ARITHS
};
enum mill__expr_relation {
    MILL__EXPR_EQUAL,
    MILL__EXPR_UNEQUAL,
    MILL__EXPR_LESS,
    MILL__EXPR_LESS_EQUAL,
    MILL__EXPR_GREATER,
    MILL__EXPR_GREATER_EQUAL,
    MILL__EXPR_RELATIONS
};

/* `at` of results is a's. */
int mill__expr_arith_rule(struct mill__expr_compiler *c, enum mill__expr_arith op, struct mill__expr_operand a,
                          struct mill__expr_operand b, struct mill__expr_operand *ret) MILL_MUST_CHECK;
int mill__expr_relation_rule(struct mill__expr_compiler *c, enum mill__expr_relation op, struct mill__expr_operand a,
                             struct mill__expr_operand b, struct mill__expr_operand *ret) MILL_MUST_CHECK;
/* -a, or +a where not negative. */
int mill__expr_sign_rule(struct mill__expr_compiler *c, struct mill__expr_operand a, bool negative,
                         struct mill__expr_operand *ret) MILL_MUST_CHECK;
/* word is MILL__EXPR_AND, _OR or _NOT (which ignores b). */
int mill__expr_logic_rule(struct mill__expr_compiler *c, enum mill__expr_token word, struct mill__expr_operand a,
                          struct mill__expr_operand b, struct mill__expr_operand *ret) MILL_MUST_CHECK;
int mill__expr_in_rule(struct mill__expr_compiler *c, struct mill__expr_operand a, struct mill__expr_operand *items,
                       uint32_t count, struct mill__expr_operand *ret) MILL_MUST_CHECK;
struct mill__expr_operand mill__expr_is_null_rule(struct mill__expr_compiler *c, struct mill__expr_operand a);
/* condition ? a : b for values of one type already. */
struct mill__expr_operand mill__expr_select(struct mill__expr_compiler *c, struct mill__expr_operand condition,
                                            struct mill__expr_operand a, struct mill__expr_operand b);

/* Converts *a to type: null to anything, int64 to float64, a constant string to a timestamp. what names the place in
 * messages ("argument 1 of 'hour'"). */
int mill__expr_convert(struct mill__expr_compiler *c, struct mill__expr_operand *a, enum mill_type type,
                       const char *what) MILL_MUST_CHECK;
/* Converts all to the one type they share: int64 with float64 is float64, a constant string with timestamp is
 * timestamp. what names them in messages ("branches of 'case'"). */
int mill__expr_unify(struct mill__expr_compiler *c, struct mill__expr_operand *operands, uint32_t count,
                     const char *what) MILL_MUST_CHECK;
struct mill__expr_operand mill__expr_null_of(struct mill__expr_compiler *c, enum mill_type type, size_t at);

/* ---- rules of functions ---- */

#define MILL__EXPR_ABSENT UINT32_MAX

struct mill__expr_function;
/* NULL where there is no such function (case does not matter). */
const struct mill__expr_function *mill__expr_function_find(struct mill_slice name);
/* Index of a parameter that may be given by name (clip's lower=), or -1. */
int mill__expr_function_parameter(const struct mill__expr_function *f, struct mill_slice name);
/* args[k] is argument k; its reg is MILL__EXPR_ABSENT where it is left out. */
int mill__expr_function_rule(struct mill__expr_compiler *c, const struct mill__expr_function *f, size_t at,
                             struct mill__expr_operand *args, uint32_t count,
                             struct mill__expr_operand *ret) MILL_MUST_CHECK;

/* ---- the kernels ---- */

/* Of two values of the type; NULL where the type has none. QUOTIENT: float64 only. */
const struct mill__expr_op *mill__expr_arith_op(enum mill__expr_arith op, enum mill_type type);
const struct mill__expr_op *mill__expr_relation_op(enum mill__expr_relation op, enum mill_type type);
const struct mill__expr_op *mill__expr_select_op(enum mill_type type);   /* bool, value, value */
const struct mill__expr_op *mill__expr_coalesce_op(enum mill_type type); /* value, value */
const struct mill__expr_op *mill__expr_text_op(enum mill_type type);     /* the value as a string */
const struct mill__expr_op *mill__expr_hash_op(enum mill_type type);
/* Sorts the items, which it takes over, and drops repeated ones and NaN. All of one type, none null. Not bool. */
struct mill__expr_set *mill__expr_set_new(struct mill__expr_value *items, uint32_t count, struct mill_arena *arena);

extern const struct mill__expr_op mill__expr_int64_to_float64;
extern const struct mill__expr_op mill__expr_negate_int64, mill__expr_negate_float64;
extern const struct mill__expr_op mill__expr_safe_div;
extern const struct mill__expr_op mill__expr_time_difference;

extern const struct mill__expr_op mill__expr_abs_int64, mill__expr_abs_float64;
extern const struct mill__expr_op mill__expr_floor, mill__expr_ceil, mill__expr_round, mill__expr_sqrt;
extern const struct mill__expr_op mill__expr_exp, mill__expr_log, mill__expr_log1p, mill__expr_pow;
extern const struct mill__expr_op mill__expr_sin, mill__expr_cos;
extern const struct mill__expr_op mill__expr_min_int64, mill__expr_max_int64; /* timestamps too */
extern const struct mill__expr_op mill__expr_min_float64, mill__expr_max_float64;
extern const struct mill__expr_op mill__expr_min_timestamp, mill__expr_max_timestamp;

extern const struct mill__expr_op mill__expr_and, mill__expr_or, mill__expr_not;
extern const struct mill__expr_op mill__expr_is_null, mill__expr_is_nan, mill__expr_in_set;

extern const struct mill__expr_op mill__expr_lower, mill__expr_upper, mill__expr_length, mill__expr_concat;

extern const struct mill__expr_op mill__expr_year, mill__expr_month, mill__expr_day_of_month, mill__expr_day_of_week;
extern const struct mill__expr_op mill__expr_hour, mill__expr_minute, mill__expr_second, mill__expr_is_weekend;
extern const struct mill__expr_op mill__expr_epoch;

#endif

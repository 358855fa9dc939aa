/* SPDX-License-Identifier: Apache-2.0 */
/* Expressions: text to tokens, one at a time, and the position of errors. Called by expr_parse.c. */
#include <stdio.h>
#include <strings.h>

#include "featurestore/expr_internal.h"

/* Columns count characters, not bytes, as editors and the YAML reader do. */
static unsigned column_of(struct mill_slice text, size_t at)
{
    unsigned column = 1;
    for (size_t i = 0; i < at && i < text.n; i++) {
        column += ((unsigned char)text.p[i] & 0xc0) != 0x80;
    }
    return column;
}

int mill__expr_fail(const struct mill__expr_compiler *c, size_t at, const char *fmt, ...)
{
    char msg[sizeof(c->err->msg)];
    va_list args;
    va_start(args, fmt);
    vsnprintf(msg, sizeof(msg), fmt, args);
    va_end(args);
    return mill_fail_at(c->err, MILL_ECONFIG, 1, column_of(c->text, at), "%s", msg);
}

static bool is_name_start(char ch)
{
    return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || ch == '_';
}

static bool is_digit(char ch)
{
    return ch >= '0' && ch <= '9';
}

static bool is_name_part(char ch)
{
    return is_name_start(ch) || is_digit(ch);
}

/* The byte at i, or 0 behind the end. */
static char byte_at(const struct mill__expr_compiler *c, size_t i)
{
    return i < c->text.n ? c->text.p[i] : '\0';
}

static size_t skip_digits(const struct mill__expr_compiler *c, size_t i)
{
    while (is_digit(byte_at(c, i))) {
        i++;
    }
    return i;
}

static void take(struct mill__expr_compiler *c, enum mill__expr_token token, size_t end)
{
    c->token = token;
    c->word = (struct mill_slice){c->text.p + c->next, end - c->next};
    c->token_at = c->next;
    c->next = end;
}

static enum mill__expr_token keyword(struct mill_slice word)
{
    static const struct {
        const char *word;
        enum mill__expr_token token;
    } keywords[] = {
        {"and", MILL__EXPR_AND},   {"or", MILL__EXPR_OR},        {"not", MILL__EXPR_NOT},
        {"in", MILL__EXPR_IN},     {"is", MILL__EXPR_IS},        {"between", MILL__EXPR_BETWEEN},
        {"null", MILL__EXPR_NULL}, {"true", MILL__EXPR_TRUE},    {"false", MILL__EXPR_FALSE},
        {"case", MILL__EXPR_CASE}, {"when", MILL__EXPR_WHEN},    {"then", MILL__EXPR_THEN},
        {"else", MILL__EXPR_ELSE}, {"end", MILL__EXPR_END_CASE},
    };
    for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
        if (strlen(keywords[i].word) == word.n && strncasecmp(keywords[i].word, word.p, word.n) == 0) {
            return keywords[i].token;
        }
    }
    return MILL__EXPR_NAME;
}

/* Letters, digits and '_', with dots between such parts (fields of nested records). */
static int lex_name(struct mill__expr_compiler *c)
{
    size_t i = c->next;
    while (is_name_part(byte_at(c, i)) || (byte_at(c, i) == '.' && is_name_start(byte_at(c, i + 1)))) {
        i++;
    }
    take(c, MILL__EXPR_NAME, i);
    c->token = keyword(c->word);
    return MILL_OK;
}

static int lex_number(struct mill__expr_compiler *c)
{
    size_t i = skip_digits(c, c->next);
    bool whole = i > c->next;
    if (byte_at(c, i) == '.') {
        size_t end = skip_digits(c, i + 1);
        whole = whole && end > i + 1;
        i = end;
    }
    if ((byte_at(c, i) | 0x20) == 'e') {
        size_t digits = i + 1 + (byte_at(c, i + 1) == '+' || byte_at(c, i + 1) == '-');
        size_t end = skip_digits(c, digits);
        whole = whole && end > digits;
        i = end;
    }
    bool leading_zero = c->text.p[c->next] == '0' && is_digit(byte_at(c, c->next + 1));
    while (is_name_part(byte_at(c, i)) || byte_at(c, i) == '.') {
        whole = false;
        i++;
    }
    take(c, MILL__EXPR_NUMBER, i);
    if (!whole || leading_zero) {
        return mill__expr_fail(c, c->token_at, "'%.*s' is not a number; hint: write 0.5, 12, 1e-8",
                               MILL__EXPR_SHOW(c->word));
    }
    return MILL_OK;
}

/* '...' "..." or `...`; the quote itself is written twice. */
static int lex_quoted(struct mill__expr_compiler *c, enum mill__expr_token token)
{
    char quote = c->text.p[c->next];
    size_t i = c->next + 1;
    for (;; i++) {
        if (i >= c->text.n) {
            return mill__expr_fail(c, c->next, "%s without its closing %c",
                                   token == MILL__EXPR_STRING ? "string" : "name", quote);
        }
        if (c->text.p[i] == quote && byte_at(c, i + 1) != quote) {
            break;
        }
        i += c->text.p[i] == quote;
    }
    size_t begin = c->next;
    take(c, token, i + 1);
    c->word = (struct mill_slice){c->text.p + begin + 1, i - begin - 1};
    return MILL_OK;
}

struct mill_slice mill__expr_unquote(struct mill__expr_compiler *c)
{
    char quote = c->text.p[c->token_at];
    char *out = mill_arena_alloc(c->builder.arena, c->word.n);
    size_t n = 0;
    for (size_t i = 0; i < c->word.n; i++) {
        out[n++] = c->word.p[i];
        i += c->word.p[i] == quote;
    }
    return (struct mill_slice){out, n};
}

static const struct symbol {
    char text[3];
    enum mill__expr_token token;
    const char *hint; /* for those that other languages have */
} symbols[] = {
    /* longer ones first */
    {"==", MILL__EXPR_EQ, NULL},
    {"!=", MILL__EXPR_NE, NULL},
    {"<>", MILL__EXPR_NE, NULL},
    {"<=", MILL__EXPR_LE, NULL},
    {">=", MILL__EXPR_GE, NULL},
    {"&&", MILL__EXPR_END, "write 'and'"},
    {"||", MILL__EXPR_END, "write 'or', or concat(a, b) for strings"},
    {"**", MILL__EXPR_END, "write pow(x, y)"},
    {"//", MILL__EXPR_END, "write floor(a / b)"},
    {"=", MILL__EXPR_EQ, NULL},
    {"<", MILL__EXPR_LT, NULL},
    {">", MILL__EXPR_GT, NULL},
    {"(", MILL__EXPR_LEFT, NULL},
    {")", MILL__EXPR_RIGHT, NULL},
    {",", MILL__EXPR_COMMA, NULL},
    {"+", MILL__EXPR_PLUS, NULL},
    {"-", MILL__EXPR_MINUS, NULL},
    {"*", MILL__EXPR_TIMES, NULL},
    {"/", MILL__EXPR_DIVIDE, NULL},
    {"%", MILL__EXPR_MODULO, NULL},
    {"!", MILL__EXPR_END, "write 'not'"},
    {"^", MILL__EXPR_END, "write pow(x, y)"},
    {"&", MILL__EXPR_END, "write 'and'"},
    {"|", MILL__EXPR_END, "write 'or'"},
};

static int lex_symbol(struct mill__expr_compiler *c)
{
    const char *p = c->text.p + c->next;
    for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
        const struct symbol *s = &symbols[i];
        size_t n = strlen(s->text);
        if (c->text.n - c->next < n || memcmp(p, s->text, n) != 0) {
            continue;
        }
        if (s->hint != NULL) {
            return mill__expr_fail(c, c->next, "'%s' is not an operator here; hint: %s", s->text, s->hint);
        }
        take(c, s->token, c->next + n);
        return MILL_OK;
    }
    if (*p > ' ' && *p < 0x7f) {
        return mill__expr_fail(c, c->next, "'%c' has no meaning in an expression", *p);
    }
    return mill__expr_fail(c, c->next,
                           "a character outside a string that has no meaning in an expression (byte 0x%02x)",
                           (unsigned)(unsigned char)*p);
}

int mill__expr_shown(struct mill_slice s)
{
    size_t n = s.n < 64 ? s.n : 64;
    while (n < s.n && n > 0 && ((unsigned char)s.p[n] & 0xc0) == 0x80) {
        n--; /* not in the middle of a character */
    }
    return (int)n;
}

char mill__expr_peek(struct mill__expr_compiler *c)
{
    char ch = byte_at(c, c->next);
    while (c->next < c->text.n && (ch == ' ' || ch == '\t' || ch == '\n' || ch == '\r')) {
        ch = byte_at(c, ++c->next);
    }
    return ch;
}

int mill__expr_next(struct mill__expr_compiler *c)
{
    char ch = mill__expr_peek(c);
    if (c->next == c->text.n) {
        take(c, MILL__EXPR_END, c->next);
        return MILL_OK;
    }
    if (is_name_start(ch)) {
        return lex_name(c);
    }
    if (is_digit(ch) || (ch == '.' && is_digit(byte_at(c, c->next + 1)))) {
        return lex_number(c);
    }
    if (ch == '\'' || ch == '"') {
        return lex_quoted(c, MILL__EXPR_STRING);
    }
    if (ch == '`') {
        return lex_quoted(c, MILL__EXPR_QUOTED_NAME);
    }
    return lex_symbol(c);
}

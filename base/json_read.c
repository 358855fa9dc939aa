/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON pull reader; see json.h. Decoders call it once per token of every event, so the ways through it
 * are short: no recursion, no copy of a string without escapes, UTF-8 looked at only where a byte above 0x7f was
 * passed, and the colon read together with its key.
 */
#include "base/json.h"

#include <ctype.h>
#include <string.h>

#include "base/json_internal.h"

/* What the next token may be. */
enum state {
    WANT_VALUE,        /* at the beginning and after a key */
    WANT_VALUE_OR_END, /* after [ */
    WANT_KEY_OR_END,   /* after { */
    AFTER_VALUE,       /* a comma or the end of the object or array around it; at depth 0, the end */
    FAILED,
};

static const char text_ends[] = "unexpected end of the text";

static __attribute__((noinline, cold)) enum mill_json_token fail(struct mill_json_reader *r, const char *at,
                                                                 const char *what)
{
    r->p = at;
    r->state = FAILED;
    r->what = at == r->end && strncmp(what, "expected", 8) == 0 ? text_ends : what;
    return MILL_JSON_ERROR;
}

void mill_json_reader_init(struct mill_json_reader *r, struct mill_slice input, struct mill_buffer *unescaped)
{
    const char *p = input.n == 0 ? "" : input.p;
    *r = (struct mill_json_reader){.begin = p, .p = p, .end = p + input.n, .unescaped = unescaped, .state = WANT_VALUE};
}

static inline const char *skip_blanks(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r')) {
        p++;
    }
    return p;
}

static inline bool is_digit(const char *p, const char *end)
{
    return p < end && (unsigned)(*p - '0') <= 9;
}

/* Four hexadecimal digits, or -1. */
static int32_t read_hex4(const char *p, const char *end)
{
    int32_t value = 0;
    if (end - p < 4) {
        return -1;
    }
    for (unsigned i = 0; i < 4; i++) {
        unsigned char c = (unsigned char)p[i];
        if (!isxdigit(c)) {
            return -1;
        }
        value = value * 16 + (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return value;
}

static void add_code_point(struct mill_buffer *out, uint32_t c)
{
    char *p = mill_buffer_reserve(out, 4);
    if (c < 0x80) {
        *p++ = (char)c;
    } else if (c < 0x800) {
        *p++ = (char)(0xc0 | c >> 6);
        *p++ = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        *p++ = (char)(0xe0 | c >> 12);
        *p++ = (char)(0x80 | (c >> 6 & 0x3f));
        *p++ = (char)(0x80 | (c & 0x3f));
    } else {
        *p++ = (char)(0xf0 | c >> 18);
        *p++ = (char)(0x80 | (c >> 12 & 0x3f));
        *p++ = (char)(0x80 | (c >> 6 & 0x3f));
        *p++ = (char)(0x80 | (c & 0x3f));
    }
    out->n = (size_t)(p - out->p);
}

/* \uXXXX at p (behind the u), perhaps with its second half: returns where it ends, or NULL. Half a pair
 * alone has no UTF-8 and is refused. */
static const char *unescape_unicode(const char *p, const char *end, struct mill_buffer *out)
{
    int32_t c = read_hex4(p, end);
    p += 4;
    if (c < 0 || (c >= 0xdc00 && c < 0xe000)) {
        return NULL;
    }
    if (c >= 0xd800 && c < 0xdc00) {
        if (end - p < 6 || p[0] != '\\' || p[1] != 'u') {
            return NULL;
        }
        int32_t low = read_hex4(p + 2, end);
        if (low < 0xdc00 || low >= 0xe000) {
            return NULL;
        }
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        p += 6;
    }
    add_code_point(out, (uint32_t)c);
    return p;
}

/* One escape at p (on the backslash): returns where it ends, or NULL. */
static const char *unescape_one(const char *p, const char *end, struct mill_buffer *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (end - p < 2) {
        return NULL;
    }
    if (p[1] == 'u') {
        return unescape_unicode(p + 2, end, out);
    }
    const char *found = memchr(from, p[1], sizeof(from) - 1);
    if (found == NULL) {
        return NULL;
    }
    mill_buffer_add_byte(out, (unsigned char)to[found - from]);
    return p + 2;
}

/* The rest of a string whose first escape is at p. Escapes make whole characters, so the text is UTF-8 if
 * and only if what stands between them is. */
static __attribute__((noinline)) enum mill_json_token
read_escaped(struct mill_json_reader *r, const char *start, const char *p, uint64_t high, enum mill_json_token token)
{
    struct mill_buffer *out = r->unescaped;
    mill_buffer_reset(out);
    mill_buffer_add(out, start, (size_t)(p - start));
    while (p < r->end && *p == '\\') {
        const char *next = unescape_one(p, r->end, out);
        if (next == NULL) {
            return fail(r, p, "a string has an escape that is not one");
        }
        p = mill__json_plain_end(next, r->end, &high);
        mill_buffer_add(out, next, (size_t)(p - next));
    }
    if (p == r->end) {
        return fail(r, p, text_ends);
    }
    if (*p != '"') {
        return fail(r, p, "a string has a control character that is not escaped");
    }
    if (high != 0 && !mill_utf8_is_valid(mill_buffer_slice(out))) {
        return fail(r, start, "a string is not UTF-8");
    }
    r->text = mill_buffer_slice(out);
    r->p = p + 1;
    return token;
}

/* A string whose quote is at p. */
static inline enum mill_json_token read_string(struct mill_json_reader *r, const char *p, enum mill_json_token token)
{
    uint64_t high = 0;
    const char *start = p + 1;
    p = mill__json_plain_end(start, r->end, &high);
    if (__builtin_expect(p < r->end && *p == '"', 1)) {
        r->text = (struct mill_slice){start, (size_t)(p - start)};
        if (high != 0) {
            size_t valid = mill_utf8_valid_prefix(r->text);
            if (valid < r->text.n) {
                return fail(r, start + valid, "a string is not UTF-8");
            }
        }
        r->p = p + 1;
        return token;
    }
    return read_escaped(r, start, p, high, token);
}

static inline enum mill_json_token read_key(struct mill_json_reader *r, const char *p)
{
    if (p == r->end || *p != '"') {
        return fail(r, p, "expected a name in double quotes");
    }
    if (read_string(r, p, MILL_JSON_KEY) == MILL_JSON_ERROR) {
        return MILL_JSON_ERROR;
    }
    p = skip_blanks(r->p, r->end);
    if (p == r->end || *p != ':') {
        return fail(r, p, "expected ':'");
    }
    r->p = p + 1;
    r->state = WANT_VALUE;
    return MILL_JSON_KEY;
}

/* A word that stands for a value; n is its length. */
static inline bool is_word(const struct mill_json_reader *r, const char *p, const char *word, size_t n)
{
    return (size_t)(r->end - p) >= n && memcmp(p, word, n) == 0;
}

static enum mill_json_token read_word(struct mill_json_reader *r, const char *p, const char *word, size_t n,
                                      enum mill_json_token token)
{
    if (!is_word(r, p, word, n)) {
        return fail(r, p, "expected a value");
    }
    r->text = (struct mill_slice){p, n};
    r->p = p + n;
    r->state = AFTER_VALUE;
    return token;
}

static inline enum mill_json_token read_number(struct mill_json_reader *r, const char *p)
{
    const char *start = p, *end = r->end;
    p += *p == '-';
    if (!is_digit(p, end)) {
        if (r->allow_bare_nan && is_word(r, start, "-Infinity", 9)) {
            return read_word(r, start, "-Infinity", 9, MILL_JSON_NUMBER);
        }
        return fail(r, p, "expected a digit");
    }
    if (*p == '0') {
        p++;
    } else {
        do {
            p++;
        } while (is_digit(p, end));
    }
    if (p < end && *p == '.') {
        p++;
        if (!is_digit(p, end)) {
            return fail(r, p, "expected a digit");
        }
        do {
            p++;
        } while (is_digit(p, end));
    }
    if (p < end && (*p | 0x20) == 'e') {
        p++;
        p += p < end && (*p == '+' || *p == '-');
        if (!is_digit(p, end)) {
            return fail(r, p, "expected a digit");
        }
        do {
            p++;
        } while (is_digit(p, end));
    }
    r->text = (struct mill_slice){start, (size_t)(p - start)};
    r->p = p;
    r->state = AFTER_VALUE;
    return MILL_JSON_NUMBER;
}

static enum mill_json_token open_level(struct mill_json_reader *r, const char *p, bool object)
{
    if (r->depth == MILL_JSON_DEPTH_MAX) {
        return fail(r, p, "nested more than 64 levels deep");
    }
    uint64_t bit = UINT64_C(1) << r->depth;
    r->in_object = object ? r->in_object | bit : r->in_object & ~bit;
    r->depth++;
    r->p = p + 1;
    r->state = object ? WANT_KEY_OR_END : WANT_VALUE_OR_END;
    return object ? MILL_JSON_OBJECT_BEGIN : MILL_JSON_ARRAY_BEGIN;
}

static enum mill_json_token close_level(struct mill_json_reader *r, const char *p, enum mill_json_token token)
{
    r->depth--;
    r->p = p + 1;
    r->state = AFTER_VALUE;
    return token;
}

static inline enum mill_json_token read_value(struct mill_json_reader *r, const char *p)
{
    if (p == r->end) {
        return fail(r, p, text_ends);
    }
    switch (*p) {
    case '"':
        r->state = AFTER_VALUE;
        return read_string(r, p, MILL_JSON_STRING);
    case '{':
        return open_level(r, p, true);
    case '[':
        return open_level(r, p, false);
    case 't':
        return read_word(r, p, "true", 4, MILL_JSON_TRUE);
    case 'f':
        return read_word(r, p, "false", 5, MILL_JSON_FALSE);
    case 'n':
        return read_word(r, p, "null", 4, MILL_JSON_NULL);
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
        return read_number(r, p);
    default:
        break;
    }
    if (r->allow_bare_nan && *p == 'N') {
        return read_word(r, p, "NaN", 3, MILL_JSON_NUMBER);
    }
    if (r->allow_bare_nan && *p == 'I') {
        return read_word(r, p, "Infinity", 8, MILL_JSON_NUMBER);
    }
    return fail(r, p, "expected a value");
}

static inline bool in_object(const struct mill_json_reader *r)
{
    return (r->in_object >> (r->depth - 1) & 1) != 0;
}

/* A comma and what it promises, or the end of this level. */
static inline enum mill_json_token read_after_value(struct mill_json_reader *r, const char *p)
{
    if (r->depth == 0) {
        if (p < r->end) {
            return fail(r, p, "expected nothing behind the document");
        }
        r->p = p;
        return MILL_JSON_END;
    }
    bool object = in_object(r);
    if (p < r->end && *p == ',') {
        p = skip_blanks(p + 1, r->end);
        return object ? read_key(r, p) : read_value(r, p);
    }
    if (p < r->end && *p == (object ? '}' : ']')) {
        return close_level(r, p, object ? MILL_JSON_OBJECT_END : MILL_JSON_ARRAY_END);
    }
    return fail(r, p, object ? "expected ',' or '}'" : "expected ',' or ']'");
}

enum mill_json_token mill_json_next(struct mill_json_reader *r)
{
    const char *p = skip_blanks(r->p, r->end);
    switch ((enum state)r->state) {
    case AFTER_VALUE:
        return read_after_value(r, p);
    case WANT_VALUE:
        return read_value(r, p);
    case WANT_VALUE_OR_END:
        if (p < r->end && *p == ']') {
            return close_level(r, p, MILL_JSON_ARRAY_END);
        }
        return read_value(r, p);
    case WANT_KEY_OR_END:
        if (p < r->end && *p == '}') {
            return close_level(r, p, MILL_JSON_OBJECT_END);
        }
        return read_key(r, p);
    case FAILED:
    default:
        return MILL_JSON_ERROR;
    }
}

int mill_json_skip(struct mill_json_reader *r, enum mill_json_token token)
{
    if (token == MILL_JSON_KEY) {
        token = mill_json_next(r);
    }
    if (token == MILL_JSON_OBJECT_BEGIN || token == MILL_JSON_ARRAY_BEGIN) {
        unsigned outside = r->depth - 1U;
        while (r->depth > outside && token != MILL_JSON_ERROR) {
            token = mill_json_next(r);
        }
    }
    return token == MILL_JSON_ERROR ? MILL_EDATA : MILL_OK;
}

int mill_json_fail(const struct mill_json_reader *r, struct mill_error *err)
{
    unsigned line = 1, col = 1;
    const char *what = r->what == NULL ? "unexpected value" : r->what;
    for (const char *p = r->begin; p < r->p; p++) {
        if (*p == '\n') {
            line++;
            col = 1;
        } else {
            col += ((unsigned char)*p & 0xc0) != 0x80; /* characters, not bytes */
        }
    }
    if (strncmp(what, "expected", 8) != 0) {
        return mill_fail_at(err, MILL_EDATA, line, col, "not JSON: %s", what);
    }
    unsigned char found = (unsigned char)*r->p;
    if (found > ' ' && found < 0x7f) {
        return mill_fail_at(err, MILL_EDATA, line, col, "not JSON: %s, found '%c'", what, found);
    }
    return mill_fail_at(err, MILL_EDATA, line, col, "not JSON: %s, found the byte 0x%02x", what, found);
}

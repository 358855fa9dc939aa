/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Document: the UBJSON half. Big-endian; objects end with '}', arrays either end with ']' or start with '#' and a count
 * (no end marker), or with '$', a type, '#' and a count (raw elements). Counts are never trusted: an array of raw
 * elements must fit the bytes that are left, any other element takes at least one.
 */
#include "inference/import/document_internal.h"

#include "base/arena.h"

int mill__ubj_fail(struct mill__document *d, const char *what)
{
    return mill_fail(d->err, MILL_EDATA, "byte %zu: %s", (size_t)(d->p - d->begin), what);
}

static size_t bytes_left(const struct mill__document *d)
{
    return (size_t)(d->end - d->p);
}

static size_t type_size(char type)
{
    switch (type) {
    case 'i':
    case 'U':
    case 'C':
        return 1;
    case 'I':
        return 2;
    case 'l':
    case 'd':
        return 4;
    case 'L':
    case 'D':
        return 8;
    default:
        return 0;
    }
}

static uint64_t load_be(const char *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++) {
        v = v << 8 | (uint8_t)p[i];
    }
    return v;
}

static int64_t int_at(const char *p, char type)
{
    switch (type) {
    case 'i':
        return (int8_t)load_be(p, 1);
    case 'U':
    case 'C':
        return (int64_t)load_be(p, 1);
    case 'I':
        return (int16_t)load_be(p, 2);
    case 'l':
        return (int32_t)load_be(p, 4);
    default:
        return (int64_t)load_be(p, 8);
    }
}

static float float_at(const char *p)
{
    uint32_t bits = (uint32_t)load_be(p, 4);
    float v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

static double double_at(const char *p)
{
    uint64_t bits = load_be(p, 8);
    double v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

/* A length or count: an integer with its type in front, not negative. */
static int read_count(struct mill__document *d, int64_t *ret_count)
{
    size_t size = bytes_left(d) == 0 ? 0 : type_size(*d->p);
    if (size == 0 || *d->p == 'd' || *d->p == 'D' || bytes_left(d) < 1 + size) {
        return mill__ubj_fail(d, "expected a length");
    }
    int64_t count = int_at(d->p + 1, *d->p);
    if (count < 0) {
        return mill__ubj_fail(d, "a length below 0");
    }
    d->p += 1 + size;
    *ret_count = count;
    return 0;
}

/* The type of the value that comes next: of the array around it, or the byte in front of it. */
static int next_type(struct mill__document *d, char *ret_type, bool *ret_is_implied)
{
    char implied = d->depth == 0 ? 0 : d->levels[d->depth - 1].type;
    if (implied == 0 && bytes_left(d) == 0) {
        return mill__ubj_fail(d, "the document ends inside a value");
    }
    *ret_is_implied = implied != 0;
    *ret_type = implied != 0 ? implied : *d->p;
    return 0;
}

int mill__ubj_peek(struct mill__document *d)
{
    char type = 0;
    bool implied = false;
    MILL_TRY(next_type(d, &type, &implied));
    switch (type) {
    case '{':
        return MILL__VALUE_OBJECT;
    case '[':
        return MILL__VALUE_ARRAY;
    case 'S':
        return MILL__VALUE_STRING;
    case 'T':
    case 'F':
        return MILL__VALUE_BOOL;
    case 'Z':
        return MILL__VALUE_NULL;
    default:
        return type_size(type) > 0 ? MILL__VALUE_NUMBER : mill__ubj_fail(d, "expected a value");
    }
}

static int enter_counted(struct mill__document *d, struct mill__ubj_level *level)
{
    if (bytes_left(d) >= 2 && d->p[0] == '$') {
        level->type = d->p[1];
        if (type_size(level->type) == 0) {
            return mill__ubj_fail(d, "an array of a type that is not a number");
        }
        d->p += 2;
        if (bytes_left(d) == 0 || *d->p != '#') {
            return mill__ubj_fail(d, "expected '#' after the type of an array");
        }
    }
    if (bytes_left(d) > 0 && *d->p == '#') {
        d->p++;
        MILL_TRY(read_count(d, &level->left));
        size_t size = level->type != 0 ? type_size(level->type) : 1;
        if ((uint64_t)level->left > bytes_left(d) / size) {
            return mill__ubj_fail(d, "an array is longer than the document");
        }
    }
    return 0;
}

int mill__ubj_enter(struct mill__document *d, bool object)
{
    char type = 0;
    bool implied = false;
    MILL_TRY(next_type(d, &type, &implied));
    if (implied || type != (object ? '{' : '[')) {
        return mill__ubj_fail(d, object ? "expected an object" : "expected an array");
    }
    if (d->depth == MILL__UBJ_DEPTH_MAX) {
        return mill__ubj_fail(d, "nested too deeply");
    }
    d->p++;
    struct mill__ubj_level level = {.left = -1, .is_object = object};
    if (!object) {
        MILL_TRY(enter_counted(d, &level));
    }
    d->levels[d->depth++] = level;
    return 0;
}

static int read_key(struct mill__document *d, struct mill_slice *ret_key)
{
    int64_t n = 0;
    MILL_TRY(read_count(d, &n));
    if ((uint64_t)n > bytes_left(d)) {
        return mill__ubj_fail(d, "a name is longer than the document");
    }
    *ret_key = (struct mill_slice){d->p, (size_t)n};
    d->p += n;
    return 1;
}

int mill__ubj_next(struct mill__document *d, struct mill_slice *ret_key)
{
    mill_assert(d->depth > 0);
    struct mill__ubj_level *level = &d->levels[d->depth - 1];
    mill_assert(level->is_object == (ret_key != NULL));
    if (level->left == 0) {
        d->depth--;
        return 0;
    }
    if (level->left > 0) {
        level->left--;
        return 1;
    }
    if (bytes_left(d) == 0) {
        return mill__ubj_fail(d, "the document ends inside an object or array");
    }
    if (*d->p == (level->is_object ? '}' : ']')) {
        d->p++;
        d->depth--;
        return 0;
    }
    return level->is_object ? read_key(d, ret_key) : 1;
}

int mill__ubj_string(struct mill__document *d, struct mill_slice *ret_text)
{
    if (mill__ubj_peek(d) != MILL__VALUE_STRING) {
        return mill__ubj_fail(d, "expected a string");
    }
    d->p++;
    int rc = read_key(d, ret_text);
    return rc < 0 ? rc : 0;
}

int mill__ubj_number(struct mill__document *d, double *ret_double, int64_t *ret_int, bool *ret_is_int)
{
    char type = 0;
    bool implied = false;
    MILL_TRY(next_type(d, &type, &implied));
    if (type == 'T' || type == 'F') {
        d->p++;
        *ret_is_int = true;
        *ret_int = type == 'T';
        return 0;
    }
    size_t size = type_size(type);
    const char *p = d->p + (implied ? 0 : 1);
    if (size == 0 || (size_t)(d->end - p) < size) {
        return mill__ubj_fail(d, "expected a number");
    }
    *ret_is_int = type != 'd' && type != 'D';
    if (*ret_is_int) {
        *ret_int = int_at(p, type);
    } else {
        *ret_double = type == 'd' ? (double)float_at(p) : double_at(p);
    }
    d->p = p + size;
    return 0;
}

static int skip_scalar(struct mill__document *d, int kind)
{
    double as_double = 0;
    int64_t as_int = 0;
    bool is_int = false;
    struct mill_slice text;
    if (kind == MILL__VALUE_STRING) {
        return mill__ubj_string(d, &text);
    }
    if (kind == MILL__VALUE_NULL) {
        d->p++;
        return 0;
    }
    return mill__ubj_number(d, &as_double, &as_int, &is_int);
}

/* One value that is no member of an array of raw numbers. Without recursion: down on begin, up when a level ends. */
int mill__ubj_skip(struct mill__document *d)
{
    uint32_t floor = d->depth;
    do {
        int kind = mill__ubj_peek(d);
        MILL_TRY(kind);
        if (kind == MILL__VALUE_OBJECT || kind == MILL__VALUE_ARRAY) {
            MILL_TRY(mill__ubj_enter(d, kind == MILL__VALUE_OBJECT));
            struct mill__ubj_level *level = &d->levels[d->depth - 1];
            if (level->type != 0) {
                d->p += (size_t)level->left * type_size(level->type);
                level->left = 0;
            }
        } else {
            MILL_TRY(skip_scalar(d, kind));
        }
        struct mill_slice key;
        int more = 0;
        while (d->depth > floor && (more = mill__ubj_next(d, d->levels[d->depth - 1].is_object ? &key : NULL)) == 0) {
        }
        MILL_TRY(more);
    } while (d->depth > floor);
    return 0;
}

/* Whether a '[$' array with one of the types follows, entered if so. */
static int enter_typed(struct mill__document *d, const char *types, char *ret_type, uint32_t *ret_count)
{
    if (d->depth > 0 && d->levels[d->depth - 1].type != 0) {
        return 0;
    }
    if (bytes_left(d) < 3 || d->p[0] != '[' || d->p[1] != '$' || d->p[2] == 0 || strchr(types, d->p[2]) == NULL) {
        return 0;
    }
    MILL_TRY(mill__ubj_enter(d, false));
    struct mill__ubj_level *level = &d->levels[--d->depth];
    *ret_type = level->type;
    *ret_count = (uint32_t)level->left;
    return level->left < INT32_MAX ? 1 : mill__ubj_fail(d, "an array is too long");
}

int mill__ubj_typed_floats(struct mill__document *d, mill__floats *out)
{
    char type = 0;
    uint32_t n = 0;
    int rc = enter_typed(d, "d", &type, &n);
    if (rc <= 0) {
        return rc;
    }
    if (out->capacity < n) {
        out->at = mill_realloc(out->at, n * sizeof(*out->at));
        out->capacity = n;
    }
    for (uint32_t i = 0; i < n; i++) {
        out->at[i] = float_at(d->p + (size_t)i * 4);
    }
    out->n = n;
    d->p += (size_t)n * 4;
    return 1;
}

int mill__ubj_typed_ints(struct mill__document *d, mill__ints *out)
{
    char type = 0;
    uint32_t n = 0;
    int rc = enter_typed(d, "iUIlL", &type, &n);
    if (rc <= 0) {
        return rc;
    }
    if (out->capacity < n) {
        out->at = mill_realloc(out->at, n * sizeof(*out->at));
        out->capacity = n;
    }
    size_t size = type_size(type);
    for (uint32_t i = 0; i < n; i++) {
        int64_t value = int_at(d->p + i * size, type);
        if (value != (int32_t)value) {
            return mill__ubj_fail(d, "a number that does not fit 32 bits");
        }
        out->at[i] = (int32_t)value;
    }
    out->n = n;
    d->p += n * size;
    return 1;
}

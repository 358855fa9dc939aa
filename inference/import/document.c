/* SPDX-License-Identifier: Apache-2.0 */
/* Document: the JSON half, and the choice between the halves (document_internal.h). */
#include "inference/import/document_internal.h"

#include <math.h>

#include "base/arena.h"
#include "base/number.h"

void mill__document_open(struct mill__document *d, struct mill_slice bytes, bool is_binary,
                         struct mill_buffer *unescaped, struct mill_error *err)
{
    memset(d, 0, sizeof(*d));
    d->err = err;
    d->is_binary = is_binary;
    d->unescaped = unescaped;
    if (is_binary) {
        d->begin = d->p = bytes.p;
        d->end = bytes.p + bytes.n;
    } else {
        mill_json_reader_init(&d->json, bytes, unescaped);
        d->json.allow_bare_nan = true;
    }
}

static enum mill_json_token look(struct mill__document *d)
{
    if (!d->has_token) {
        d->token = mill_json_next(&d->json);
        d->has_token = true;
    }
    return d->token;
}

static enum mill_json_token take(struct mill__document *d)
{
    enum mill_json_token token = look(d);
    d->has_token = false;
    return token;
}

static int fail_expected(struct mill__document *d, const char *expected)
{
    if (look(d) == MILL_JSON_ERROR) {
        return mill_json_fail(&d->json, d->err);
    }
    return mill_fail(d->err, MILL_EDATA, "byte %zu: expected %s", (size_t)(d->json.p - d->json.begin), expected);
}

int mill__document_peek(struct mill__document *d)
{
    if (d->is_binary) {
        return mill__ubj_peek(d);
    }
    switch (look(d)) {
    case MILL_JSON_OBJECT_BEGIN:
        return MILL__VALUE_OBJECT;
    case MILL_JSON_ARRAY_BEGIN:
        return MILL__VALUE_ARRAY;
    case MILL_JSON_STRING:
        return MILL__VALUE_STRING;
    case MILL_JSON_NUMBER:
        return MILL__VALUE_NUMBER;
    case MILL_JSON_TRUE:
    case MILL_JSON_FALSE:
        return MILL__VALUE_BOOL;
    case MILL_JSON_NULL:
        return MILL__VALUE_NULL;
    case MILL_JSON_OBJECT_END:
    case MILL_JSON_ARRAY_END:
    case MILL_JSON_KEY:
    case MILL_JSON_END:
    case MILL_JSON_ERROR:
        break;
    }
    return fail_expected(d, "a value");
}

int mill__document_enter_object(struct mill__document *d)
{
    if (d->is_binary) {
        return mill__ubj_enter(d, true);
    }
    return look(d) == MILL_JSON_OBJECT_BEGIN ? (take(d), 0) : fail_expected(d, "an object");
}

int mill__document_next_key(struct mill__document *d, struct mill_slice *ret_key)
{
    if (d->is_binary) {
        return mill__ubj_next(d, ret_key);
    }
    if (look(d) == MILL_JSON_OBJECT_END) {
        take(d);
        return 0;
    }
    if (look(d) != MILL_JSON_KEY) {
        return fail_expected(d, "a name");
    }
    take(d);
    *ret_key = d->json.text;
    return 1;
}

int mill__document_enter_array(struct mill__document *d)
{
    if (d->is_binary) {
        return mill__ubj_enter(d, false);
    }
    return look(d) == MILL_JSON_ARRAY_BEGIN ? (take(d), 0) : fail_expected(d, "an array");
}

int mill__document_next_element(struct mill__document *d)
{
    if (d->is_binary) {
        return mill__ubj_next(d, NULL);
    }
    if (look(d) == MILL_JSON_ARRAY_END) {
        take(d);
        return 0;
    }
    return look(d) == MILL_JSON_ERROR ? fail_expected(d, "a value") : 1;
}

int mill__document_skip(struct mill__document *d)
{
    if (d->is_binary) {
        return mill__ubj_skip(d);
    }
    MILL_TRY(mill__document_peek(d));
    return mill_json_skip(&d->json, take(d)) < 0 ? mill_json_fail(&d->json, d->err) : 0;
}

int mill__document_string(struct mill__document *d, struct mill_slice *ret_text)
{
    if (d->is_binary) {
        return mill__ubj_string(d, ret_text);
    }
    if (look(d) != MILL_JSON_STRING) {
        return fail_expected(d, "a string");
    }
    take(d);
    *ret_text = d->json.text;
    return 0;
}

/* XGBoost writes NaN, Infinity and -Infinity bare. False where the text is an ordinary number. */
static bool special_number(struct mill_slice text, double *ret_value)
{
    bool negative = text.n > 0 && text.p[0] == '-';
    char first = text.n > negative ? text.p[negative] : 0;
    if (first != 'N' && first != 'I') {
        return false;
    }
    *ret_value = first == 'N' ? (double)NAN : negative ? -(double)INFINITY : (double)INFINITY;
    return true;
}

int mill__document_double(struct mill__document *d, double *ret_value)
{
    if (d->is_binary) {
        int64_t whole = 0;
        bool is_int = false;
        MILL_TRY(mill__ubj_number(d, ret_value, &whole, &is_int));
        if (is_int) {
            *ret_value = (double)whole;
        }
        return 0;
    }
    enum mill_json_token token = look(d);
    if (token == MILL_JSON_TRUE || token == MILL_JSON_FALSE) {
        *ret_value = token == MILL_JSON_TRUE;
    } else if (token != MILL_JSON_NUMBER) {
        return fail_expected(d, "a number");
    } else if (!special_number(d->json.text, ret_value)) {
        const char *end = d->json.text.p + d->json.text.n;
        if (mill_number_parse_double(d->json.text.p, end, ret_value) != end) {
            return fail_expected(d, "a number");
        }
    }
    take(d);
    return 0;
}

int mill__document_int(struct mill__document *d, int64_t *ret_value)
{
    if (d->is_binary) {
        double value = 0;
        bool is_int = false;
        MILL_TRY(mill__ubj_number(d, &value, ret_value, &is_int));
        return is_int ? 0 : mill__ubj_fail(d, "expected a whole number");
    }
    enum mill_json_token token = look(d);
    if (token == MILL_JSON_TRUE || token == MILL_JSON_FALSE) {
        *ret_value = token == MILL_JSON_TRUE;
    } else if (token != MILL_JSON_NUMBER) {
        return fail_expected(d, "a whole number");
    } else {
        const char *end = d->json.text.p + d->json.text.n;
        if (mill_number_parse_int64(d->json.text.p, end, ret_value) != end) {
            return fail_expected(d, "a whole number");
        }
    }
    take(d);
    return 0;
}

static int float_of(struct mill__document *d, float *ret_value)
{
    double value = 0;
    if (!d->is_binary && look(d) == MILL_JSON_NUMBER && !special_number(d->json.text, &value)) {
        const char *end = d->json.text.p + d->json.text.n;
        if (mill_number_parse_float(d->json.text.p, end, ret_value) != end) {
            return fail_expected(d, "a number");
        }
        take(d);
        return 0;
    }
    MILL_TRY(mill__document_double(d, &value));
    *ret_value = (float)value;
    return 0;
}

int mill__document_floats(struct mill__document *d, mill__floats *out)
{
    out->n = 0;
    if (d->is_binary) {
        int taken = mill__ubj_typed_floats(d, out);
        if (taken != 0) {
            return taken < 0 ? taken : 0;
        }
    }
    MILL_TRY(mill__document_enter_array(d));
    int more = 0;
    while ((more = mill__document_next_element(d)) > 0) {
        float value = 0;
        MILL_TRY(float_of(d, &value));
        mill__push(out, value);
    }
    return more;
}

int mill__document_doubles(struct mill__document *d, mill__doubles *out)
{
    out->n = 0;
    MILL_TRY(mill__document_enter_array(d));
    int more = 0;
    while ((more = mill__document_next_element(d)) > 0) {
        double value = 0;
        MILL_TRY(mill__document_double(d, &value));
        mill__push(out, value);
    }
    return more;
}

int mill__document_ints(struct mill__document *d, mill__ints *out)
{
    out->n = 0;
    if (d->is_binary) {
        int taken = mill__ubj_typed_ints(d, out);
        if (taken != 0) {
            return taken < 0 ? taken : 0;
        }
    }
    MILL_TRY(mill__document_enter_array(d));
    int more = 0;
    while ((more = mill__document_next_element(d)) > 0) {
        int64_t value = 0;
        MILL_TRY(mill__document_int(d, &value));
        if (value != (int32_t)value) {
            return mill_fail(d->err, MILL_EDATA, "byte %zu: the number %lld does not fit 32 bits",
                             mill__document_offset(d), (long long)value);
        }
        mill__push(out, (int32_t)value);
    }
    return more;
}

size_t mill__document_offset(const struct mill__document *d)
{
    return (size_t)(d->is_binary ? d->p - d->begin : d->json.p - d->json.begin);
}

int mill__document_end(struct mill__document *d)
{
    if (d->is_binary) {
        return d->p == d->end ? 0 : mill__ubj_fail(d, "expected the end of the document");
    }
    return look(d) == MILL_JSON_END ? 0 : fail_expected(d, "the end of the document");
}

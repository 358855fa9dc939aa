/* SPDX-License-Identifier: Apache-2.0 */
/* jansson as the judge of base/json.h: what it accepts and which values it finds. For the test and the
 * fuzz target. */
#ifndef TESTS_BASE_JSON_ORACLE_H
#define TESTS_BASE_JSON_ORACLE_H

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/number.h"

/* NULL where the text is not JSON to us. Numbers all become reals, as jansson does it with JSON_DECODE_INT_AS_REAL. */
static inline json_t *json_oracle_ours(struct mill_slice text, struct mill_buffer *scratch, struct mill_json_reader *r)
{
    json_t *stack[MILL_JSON_DEPTH_MAX], *root = NULL;
    unsigned depth = 0;
    char *key = NULL;
    size_t key_size = 0;
    enum mill_json_token token;

    mill_json_reader_init(r, text, scratch);
    while ((token = mill_json_next(r)) != MILL_JSON_END && token != MILL_JSON_ERROR) {
        json_t *value = NULL;
        double number = 0;
        switch (token) {
        case MILL_JSON_KEY:
            free(key);
            key_size = r->text.n;
            key = malloc(key_size + 1);
            memcpy(key, r->text.p, key_size);
            continue;
        case MILL_JSON_OBJECT_END:
        case MILL_JSON_ARRAY_END:
            depth--;
            continue;
        case MILL_JSON_OBJECT_BEGIN:
            value = json_object();
            break;
        case MILL_JSON_ARRAY_BEGIN:
            value = json_array();
            break;
        case MILL_JSON_STRING:
            value = json_stringn(r->text.p, r->text.n); /* NULL where it is not UTF-8 to jansson */
            break;
        case MILL_JSON_NUMBER:
            if (mill_number_parse_double(r->text.p, r->text.p + r->text.n, &number) != r->text.p + r->text.n) {
                abort();
            }
            value = json_real(isinf(number) ? 0 : number);
            break;
        case MILL_JSON_TRUE:
            value = json_true();
            break;
        case MILL_JSON_FALSE:
            value = json_false();
            break;
        case MILL_JSON_NULL:
            value = json_null();
            break;
        case MILL_JSON_END:
        case MILL_JSON_ERROR:
            break;
        }
        if (value == NULL) {
            abort();
        }
        if (depth == 0) {
            root = value;
        } else if (json_is_object(stack[depth - 1])) {
            json_object_setn_new_nocheck(stack[depth - 1], key, key_size, value);
        } else {
            json_array_append_new(stack[depth - 1], value);
        }
        if (token == MILL_JSON_OBJECT_BEGIN || token == MILL_JSON_ARRAY_BEGIN) {
            stack[depth++] = value;
        }
    }
    free(key);
    if (token == MILL_JSON_ERROR) {
        json_decref(root);
        return NULL;
    }
    return root;
}

/* NULL, or what the two disagree about. */
static inline const char *json_oracle_compare(struct mill_slice text, struct mill_buffer *scratch)
{
    json_error_t error;
    struct mill_json_reader r;
    json_t *theirs = json_loadb(text.n == 0 ? "" : text.p, text.n,
                                JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &error);
    json_t *ours = json_oracle_ours(text, scratch, &r);
    const char *verdict = NULL;

    if (theirs != NULL && ours != NULL) {
        verdict = json_equal(ours, theirs) ? NULL : "other values";
    } else if (theirs != NULL) {
        bool deep = strncmp(r.what, "nested", 6) == 0;
        bool nul = r.p < r.end && *r.p == '\0'; /* jansson takes a NUL for the end */
        verdict = deep || nul ? NULL : r.what;
    } else if (ours != NULL) {
        /* Limits of jansson's that we do not have. */
        enum json_error_code code = json_error_code(&error);
        bool limit = code == json_error_numeric_overflow || code == json_error_null_byte_in_key;
        verdict = limit ? NULL : "jansson refuses it";
    }
    json_decref(theirs);
    json_decref(ours);
    return verdict;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A document of objects, arrays, strings and numbers, read by pulling, whether it is written as JSON or as the subset
 * of UBJSON that XGBoost writes. Importers of XGBoost and CatBoost models sit on this; nothing is built in memory.
 *
 * Every function returns 0 or a negative code and fills *err of the document. Positions may be saved and returned to by
 * copying the struct (XGBoost writes a tree's size after its arrays).
 */
#ifndef MILL_INFERENCE_IMPORT_DOCUMENT_INTERNAL_H
#define MILL_INFERENCE_IMPORT_DOCUMENT_INTERNAL_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/json.h"
#include "inference/forest_internal.h"

enum mill__value_kind {
    MILL__VALUE_OBJECT,
    MILL__VALUE_ARRAY,
    MILL__VALUE_STRING,
    MILL__VALUE_NUMBER,
    MILL__VALUE_BOOL,
    MILL__VALUE_NULL,
};

typedef MILL__VECTOR(float) mill__floats;
typedef MILL__VECTOR(double) mill__doubles;
typedef MILL__VECTOR(int32_t) mill__ints;

/* An array or object of UBJSON that is being read. */
struct mill__ubj_level {
    int64_t left; /* elements to come, or -1 where an end marker tells */
    char type;    /* of all elements, or 0 */
    bool is_object;
};

enum { MILL__UBJ_DEPTH_MAX = 32 };

struct mill__document {
    struct mill_error *err;
    bool is_binary;
    /* JSON */
    struct mill_json_reader json;
    enum mill_json_token token; /* looked at, not yet taken, where has_token */
    bool has_token;
    struct mill_buffer *unescaped;
    /* UBJSON */
    const char *p, *begin, *end;
    struct mill__ubj_level levels[MILL__UBJ_DEPTH_MAX];
    uint32_t depth;
};

/* unescaped is the caller's. The document is borrowed. */
void mill__document_open(struct mill__document *d, struct mill_slice bytes, bool is_binary,
                         struct mill_buffer *unescaped, struct mill_error *err);
/* What comes next, without taking it. Negative on error. */
int mill__document_peek(struct mill__document *d);
int mill__document_enter_object(struct mill__document *d) MILL_MUST_CHECK;
/* 1 and the name of the next member, or 0 at the end of the object (which is left). The key is valid until the next
 * call. */
int mill__document_next_key(struct mill__document *d, struct mill_slice *ret_key) MILL_MUST_CHECK;
int mill__document_enter_array(struct mill__document *d) MILL_MUST_CHECK;
/* 1 where another element follows, or 0 at the end of the array (which is left). */
int mill__document_next_element(struct mill__document *d) MILL_MUST_CHECK;
int mill__document_skip(struct mill__document *d) MILL_MUST_CHECK;
/* Valid until the next call. */
int mill__document_string(struct mill__document *d, struct mill_slice *ret_text) MILL_MUST_CHECK;
/* A number; true and false count as 1 and 0. Integers must be whole. */
int mill__document_double(struct mill__document *d, double *ret_value) MILL_MUST_CHECK;
int mill__document_int(struct mill__document *d, int64_t *ret_value) MILL_MUST_CHECK;
/* Whole arrays of numbers; the vector is emptied first. Floats are rounded from the text once, to float;
 * integers must fit 32 bits. */
int mill__document_floats(struct mill__document *d, mill__floats *out) MILL_MUST_CHECK;
int mill__document_doubles(struct mill__document *d, mill__doubles *out) MILL_MUST_CHECK;
int mill__document_ints(struct mill__document *d, mill__ints *out) MILL_MUST_CHECK;
/* How many bytes have been read, up to a token looked at. */
size_t mill__document_offset(const struct mill__document *d);
/* Nothing but blanks may follow. */
int mill__document_end(struct mill__document *d) MILL_MUST_CHECK;

/* Both readers, behind the functions above. */
int mill__ubj_peek(struct mill__document *d);
int mill__ubj_enter(struct mill__document *d, bool object);
int mill__ubj_next(struct mill__document *d, struct mill_slice *ret_key);
int mill__ubj_skip(struct mill__document *d);
int mill__ubj_string(struct mill__document *d, struct mill_slice *ret_text);
int mill__ubj_number(struct mill__document *d, double *ret_double, int64_t *ret_int, bool *ret_is_int);
int mill__ubj_fail(struct mill__document *d, const char *what);
/* One array of numbers of a single type, big-endian, straight into floats or ints; 0 where the array is of another kind
 * (nothing taken), 1 where it was taken. */
int mill__ubj_typed_floats(struct mill__document *d, mill__floats *out);
int mill__ubj_typed_ints(struct mill__document *d, mill__ints *out);

#endif

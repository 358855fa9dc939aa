/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON (RFC 8259): a pull reader without a tree and without copies, and a writer.
 *
 * The reader never recurses, is bounded in depth, and hands out strings as slices of the input wherever
 * they hold no escape. Used for events, model files, registry answers and requests. Any thread, one
 * reader per thread.
 */
#ifndef MILL_BASE_JSON_H
#define MILL_BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/slice.h"

enum { MILL_JSON_DEPTH_MAX = 64 };

enum mill_json_token {
    MILL_JSON_OBJECT_BEGIN,
    MILL_JSON_OBJECT_END,
    MILL_JSON_ARRAY_BEGIN,
    MILL_JSON_ARRAY_END,
    MILL_JSON_KEY,    /* text: the unescaped name */
    MILL_JSON_STRING, /* text: unescaped */
    MILL_JSON_NUMBER, /* text: as written; mill_number_parse_* reads it */
    MILL_JSON_TRUE,
    MILL_JSON_FALSE,
    MILL_JSON_NULL,
    MILL_JSON_END, /* the document is complete and only blanks follow */
    MILL_JSON_ERROR,
};

struct mill_json_reader {
    const char *begin, *p, *end;
    struct mill_slice text; /* of the last token; valid until the next call (escaped) or as the input (not) */
    struct mill_buffer *unescaped;
    bool allow_bare_nan; /* XGBoost writes NaN, Infinity, -Infinity: handed out as MILL_JSON_NUMBER */
    uint8_t depth;
    uint8_t state;
    uint64_t in_object; /* bit d: level d is an object */
    const char *what;   /* after MILL_JSON_ERROR: what was wrong; a constant */
};

/* input must be valid while the reader is used; it need not end in a null. `unescaped` receives strings
 * with escapes and is the caller's (reset by each such token). */
void mill_json_reader_init(struct mill_json_reader *r, struct mill_slice input, struct mill_buffer *unescaped);
/* After MILL_JSON_ERROR every further call gives MILL_JSON_ERROR. Checks grammar, UTF-8 of strings, depth. */
enum mill_json_token mill_json_next(struct mill_json_reader *r);
/* Passes over the value that the last token began (all of an object or array; nothing for a scalar), or over the
 * value that follows if it was a key. MILL_EDATA on a grammar error. */
int mill_json_skip(struct mill_json_reader *r, enum mill_json_token token) MILL_MUST_CHECK;
/* Fills *err with the reader's error ("not JSON: expected ':', found '2'") and its line and column, in characters.
 * Returns MILL_EDATA. */
int mill_json_fail(const struct mill_json_reader *r, struct mill_error *err);

/* The writer: values into a buffer, commas and colons by itself. Compact, or with newlines and two
 * blanks a level where indent is set. Bytes of strings that are not UTF-8 become U+FFFD. */
struct mill_json_writer {
    struct mill_buffer *out;
    bool indent, need_comma, after_key;
    uint8_t depth;
};
void mill_json_writer_init(struct mill_json_writer *w, struct mill_buffer *out, bool indent);
void mill_json_write_object_begin(struct mill_json_writer *w);
void mill_json_write_object_end(struct mill_json_writer *w);
void mill_json_write_array_begin(struct mill_json_writer *w);
void mill_json_write_array_end(struct mill_json_writer *w);
void mill_json_write_key(struct mill_json_writer *w, const char *name);
void mill_json_write_key_slice(struct mill_json_writer *w, struct mill_slice name);
void mill_json_write_string(struct mill_json_writer *w, struct mill_slice s);
void mill_json_write_cstr(struct mill_json_writer *w, const char *cstr);
void mill_json_write_int64(struct mill_json_writer *w, int64_t v);
/* Shortest text; NaN and infinities as the strings "NaN", "Infinity", "-Infinity" (protobuf's JSON mapping). */
void mill_json_write_double(struct mill_json_writer *w, double v);
void mill_json_write_bool(struct mill_json_writer *w, bool v);
void mill_json_write_null(struct mill_json_writer *w);
/* The same for code that lays out its own text: a quoted, escaped string; a number or "NaN" in quotes. */
void mill_json_append_string(struct mill_buffer *out, struct mill_slice s);
void mill_json_append_double(struct mill_buffer *out, double v);

#endif

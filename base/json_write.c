/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON writer; see json.h. Writes valid JSON whatever it is given: bytes that are not UTF-8 become
 * U+FFFD. Never allocates beyond the buffer it fills. */
#include "base/json.h"

#include <math.h>
#include <string.h>

#include "base/json_internal.h"
#include "base/number.h"

static void append_escape(struct mill_buffer *out, unsigned char byte)
{
    static const char hex[] = "0123456789abcdef";
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const char *found = memchr(from, byte, sizeof(from) - 1);
    char *p = mill_buffer_reserve(out, 6);
    p[0] = '\\';
    if (found != NULL) {
        p[1] = to[found - from];
        out->n += 2;
        return;
    }
    memcpy(p + 1, "u00", 3);
    p[4] = hex[byte >> 4];
    p[5] = hex[byte & 15];
    out->n += 6;
}

/* A run without anything to escape but with bytes above 0x7f. Each byte that does not belong to a
 * well-formed character becomes U+FFFD. */
static void append_non_ascii(struct mill_buffer *out, const char *p, const char *end)
{
    while (p < end) {
        size_t valid = mill_utf8_valid_prefix((struct mill_slice){p, (size_t)(end - p)});
        mill_buffer_add(out, p, valid);
        p += valid;
        if (p < end) {
            mill_buffer_add(out, "\xef\xbf\xbd", 3);
            p++;
        }
    }
}

void mill_json_append_string(struct mill_buffer *out, struct mill_slice s)
{
    const char *p = s.n == 0 ? "" : s.p, *end = p + s.n;

    mill_buffer_reserve(out, s.n + 2);
    mill_buffer_add_byte(out, '"');
    while (p < end) {
        uint64_t high = 0;
        const char *stop = mill__json_plain_end(p, end, &high);
        if (high == 0) {
            mill_buffer_add(out, p, (size_t)(stop - p));
        } else {
            append_non_ascii(out, p, stop);
        }
        if (stop < end) {
            append_escape(out, (unsigned char)*stop++);
        }
        p = stop;
    }
    mill_buffer_add_byte(out, '"');
}

void mill_json_append_double(struct mill_buffer *out, double v)
{
    if (!isfinite(v)) {
        mill_buffer_add_string(out, isnan(v) ? "\"NaN\"" : v > 0 ? "\"Infinity\"" : "\"-Infinity\"");
        return;
    }
    out->n += mill_number_print_double(v, mill_buffer_reserve(out, MILL_NUMBER_TEXT_MAX));
}

void mill_json_writer_init(struct mill_json_writer *w, struct mill_buffer *out, bool indent)
{
    *w = (struct mill_json_writer){.out = out, .indent = indent};
}

static void add_line(struct mill_json_writer *w)
{
    size_t blanks = 2 * (size_t)w->depth;
    char *p = mill_buffer_reserve(w->out, blanks + 1);
    p[0] = '\n';
    memset(p + 1, ' ', blanks);
    w->out->n += blanks + 1;
}

/* What separates a value, or a key, from what stands before it. */
static inline void begin_item(struct mill_json_writer *w)
{
    if (w->after_key) {
        w->after_key = false;
    } else {
        if (w->need_comma) {
            mill_buffer_add_byte(w->out, ',');
        }
        if (w->indent && w->depth > 0) {
            add_line(w);
        }
    }
    w->need_comma = true;
}

static void open_level(struct mill_json_writer *w, char bracket)
{
    begin_item(w);
    mill_assert(w->depth < UINT8_MAX);
    mill_buffer_add_byte(w->out, (unsigned char)bracket);
    w->depth++;
    w->need_comma = false;
}

static void close_level(struct mill_json_writer *w, char bracket)
{
    mill_assert(w->depth > 0 && !w->after_key);
    w->depth--;
    if (w->indent && w->need_comma) {
        add_line(w);
    }
    mill_buffer_add_byte(w->out, (unsigned char)bracket);
    w->need_comma = true;
}

void mill_json_write_object_begin(struct mill_json_writer *w)
{
    open_level(w, '{');
}

void mill_json_write_object_end(struct mill_json_writer *w)
{
    close_level(w, '}');
}

void mill_json_write_array_begin(struct mill_json_writer *w)
{
    open_level(w, '[');
}

void mill_json_write_array_end(struct mill_json_writer *w)
{
    close_level(w, ']');
}

void mill_json_write_key(struct mill_json_writer *w, const char *name)
{
    mill_json_write_key_slice(w, mill_slice_of(name));
}

void mill_json_write_key_slice(struct mill_json_writer *w, struct mill_slice name)
{
    mill_assert(!w->after_key);
    begin_item(w);
    mill_json_append_string(w->out, name);
    mill_buffer_add_byte(w->out, ':');
    if (w->indent) {
        mill_buffer_add_byte(w->out, ' ');
    }
    w->after_key = true;
}

void mill_json_write_string(struct mill_json_writer *w, struct mill_slice s)
{
    begin_item(w);
    mill_json_append_string(w->out, s);
}

void mill_json_write_cstr(struct mill_json_writer *w, const char *cstr)
{
    mill_json_write_string(w, mill_slice_of(cstr));
}

void mill_json_write_int64(struct mill_json_writer *w, int64_t v)
{
    begin_item(w);
    w->out->n += mill_number_print_int64(v, mill_buffer_reserve(w->out, MILL_NUMBER_TEXT_MAX));
}

void mill_json_write_double(struct mill_json_writer *w, double v)
{
    begin_item(w);
    mill_json_append_double(w->out, v);
}

void mill_json_write_bool(struct mill_json_writer *w, bool v)
{
    begin_item(w);
    mill_buffer_add_string(w->out, v ? "true" : "false");
}

void mill_json_write_null(struct mill_json_writer *w)
{
    begin_item(w);
    mill_buffer_add(w->out, "null", 4);
}

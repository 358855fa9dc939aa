/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CSV (RFC 4180) with a header row; see file_internal.h. Hot path of offline runs.
 *
 * A row is first split into fields, then the wanted ones are converted. An empty field is null; "" in quotes is an
 * empty string in a string column and null elsewhere. After a row that is no CSV we go on with the next line of text,
 * so that a stray quote costs one row and not the rest of the file.
 */
#include <stdlib.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/number.h"
#include "base/suggest.h"
#include "ingest/file/file_internal.h"

enum { HEADER_MIN = 64 * 1024, HEADER_MAX = 1 << 20, HEADER_SHOWN = 200 };
#define NOT_IN_FILE UINT32_MAX

struct field {
    const char *p;
    size_t n;
    bool quoted, escaped; /* escaped: holds "" for " */
};

struct csv {
    const struct mill_source_spec *spec;
    uint32_t field_count;
    struct field *fields; /* of the row at hand */
    uint32_t *source;     /* per column: its field */
    size_t row_max;
};

/* ---- splitting ---- */

enum split {
    SPLIT_ROW,
    SPLIT_MORE,     /* the row may go on behind the chunk */
    SPLIT_UNCLOSED, /* the file ends inside quotes */
    SPLIT_STRAY,    /* something between a closing quote and the comma */
    SPLIT_FAILED,   /* the file cannot be read */
};

/* The next comma or newline, or end. May look MILL__FILE_PADDING bytes past end. */
static const char *find_delimiter(const char *p, const char *end)
{
#ifdef __SSE2__
    const __m128i comma = _mm_set1_epi8(','), newline = _mm_set1_epi8('\n');
    for (; p < end; p += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i hits = _mm_or_si128(_mm_cmpeq_epi8(bytes, comma), _mm_cmpeq_epi8(bytes, newline));
        unsigned mask = (unsigned)_mm_movemask_epi8(hits);
        if (mask != 0) {
            p += __builtin_ctz(mask);
            return p < end ? p : end;
        }
    }
    return end;
#else
    while (p < end && *p != ',' && *p != '\n') {
        p++;
    }
    return p;
#endif
}

/* A field whose opening quote is at p; *ret_p is behind the closing one. */
static enum split split_quoted(const char *p, const char *end, bool is_last, struct field *ret_field,
                               const char **ret_p)
{
    const char *begin = ++p;

    ret_field->quoted = true;
    for (;;) {
        const char *quote = p < end ? memchr(p, '"', (size_t)(end - p)) : NULL;
        if (quote == NULL || (quote + 1 == end && !is_last)) {
            return is_last ? SPLIT_UNCLOSED : SPLIT_MORE;
        }
        if (quote + 1 == end || quote[1] != '"') {
            ret_field->p = begin;
            ret_field->n = (size_t)(quote - begin);
            *ret_p = quote + 1;
            return SPLIT_ROW;
        }
        ret_field->escaped = true;
        p = quote + 2;
    }
}

/* Moves over a carriage return that belongs to the end of the line. */
static const char *over_return(const char *p, const char *end)
{
    return p < end && *p == '\r' && (p + 1 == end || p[1] == '\n') ? p + 1 : p;
}

/* One field; *ret_p is at the comma, newline or end behind it. */
static enum split split_field(const char *p, const char *end, bool is_last, struct field *ret_field, const char **ret_p)
{
    ret_field->quoted = ret_field->escaped = false;
    if (p < end && *p == '"') {
        enum split split = split_quoted(p, end, is_last, ret_field, &p);
        if (split != SPLIT_ROW) {
            return split;
        }
        p = over_return(p, end);
        *ret_p = p;
        if (p == end) {
            return is_last ? SPLIT_ROW : SPLIT_MORE;
        }
        return *p == ',' || *p == '\n' ? SPLIT_ROW : SPLIT_STRAY;
    }
    const char *stop = find_delimiter(p, end);
    if (stop == end && !is_last) {
        return SPLIT_MORE;
    }
    ret_field->p = p;
    ret_field->n = (size_t)(stop - p);
    if ((stop == end || *stop == '\n') && ret_field->n > 0 && stop[-1] == '\r') {
        ret_field->n--;
    }
    *ret_p = stop;
    return SPLIT_ROW;
}

/* One row into fields[capacity]; those past capacity are counted only. *ret_p is behind its newline. */
static enum split split_row(const char *p, const char *end, bool is_last, struct field *fields, uint32_t capacity,
                            uint32_t *ret_count, const char **ret_p)
{
    struct field surplus;
    uint32_t count = 0;

    for (;;) {
        enum split split = split_field(p, end, is_last, count < capacity ? &fields[count] : &surplus, &p);
        if (split != SPLIT_ROW) {
            return split;
        }
        count++;
        if (p == end || *p == '\n') {
            *ret_count = count;
            *ret_p = p == end ? p : p + 1;
            return SPLIT_ROW;
        }
        p++;
    }
}

/* The text of a field; escaped quotes are undone in the arena. */
static struct mill_slice field_text(const struct field *field, struct mill_arena *arena)
{
    struct mill_slice text = {field->p, field->n};

    if (!field->escaped) {
        return text;
    }
    char *to = mill_arena_alloc(arena, field->n);
    size_t n = 0;
    for (size_t i = 0; i < field->n; i++) {
        to[n++] = field->p[i];
        i += field->p[i] == '"';
    }
    return (struct mill_slice){to, n};
}

/* ---- the header row ---- */

static int fail_column(const struct csv *csv, const char *path, const char *name, const struct mill_slice *header,
                       struct mill_arena *arena, struct mill_error *err)
{
    const char **names = mill_arena_array(arena, const char *, csv->field_count);
    struct mill_buffer list = {0};

    for (uint32_t i = 0; i < csv->field_count; i++) {
        names[i] = mill_arena_strndup(arena, header[i].p, header[i].n);
        mill_buffer_printf(&list, "%s%s", i == 0 ? "" : ", ", names[i]);
    }
    bool cut = list.n > HEADER_SHOWN;
    const char *near = mill_suggest(mill_slice_of(name), names, csv->field_count);
    int rc =
        mill_fail_at(err, MILL_EDATA, 1, 1, "'%s' has no column '%s'; its header: %.*s%s%s%s%s", path, name,
                     cut ? HEADER_SHOWN : (int)list.n, mill_buffer_cstr(&list), cut ? "..." : "",
                     near == NULL ? "" : "; hint: did you mean '", near == NULL ? "" : near, near == NULL ? "" : "'?");
    mill_buffer_clear(&list);
    return rc;
}

static int find_column(const struct csv *csv, const char *path, const char *name, const struct mill_slice *header,
                       uint32_t *ret_field, struct mill_arena *arena, struct mill_error *err)
{
    *ret_field = NOT_IN_FILE;
    for (uint32_t i = 0; i < csv->field_count; i++) {
        if (!mill_slice_is(header[i], name)) {
            continue;
        }
        if (*ret_field != NOT_IN_FILE) {
            return mill_fail_at(err, MILL_EDATA, 1, 1, "'%s' has two columns '%s'", path, name);
        }
        *ret_field = i;
    }
    return *ret_field == NOT_IN_FILE ? fail_column(csv, path, name, header, arena, err) : 0;
}

static int map_columns(struct csv *csv, const char *path, struct mill_arena *arena, struct mill_error *err)
{
    struct mill_slice *header = mill_arena_array(arena, struct mill_slice, csv->field_count);

    for (uint32_t i = 0; i < csv->field_count; i++) {
        header[i] = field_text(&csv->fields[i], arena);
    }
    for (uint32_t c = 0; c < csv->spec->schema.field_count; c++) {
        MILL_TRY(find_column(csv, path, csv->spec->schema.fields[c].name, header, &csv->source[c], arena, err));
    }
    return 0;
}

/* A copy of the window that ends in padding; tries more of the file until the header row is complete. */
static enum split split_header(struct csv *csv, struct mill__stream *stream, struct mill_arena *arena,
                               const char **ret_begin, const char **ret_end, struct mill_error *err)
{
    enum split split = SPLIT_MORE;

    for (size_t want = HEADER_MIN; split == SPLIT_MORE && want <= HEADER_MAX; want *= 2) {
        if (mill__stream_fill(stream, want, err) < 0) {
            return SPLIT_FAILED;
        }
        struct mill_slice window = mill__stream_window(stream);
        char *copy = mill_arena_zalloc(arena, window.n + MILL__FILE_PADDING);
        memcpy(copy, window.p, window.n);
        *ret_begin = copy;
        split = split_row(copy, copy + window.n, mill__stream_is_at_end(stream), NULL, 0, &csv->field_count, ret_end);
    }
    return split;
}

static int take_header(struct csv *csv, const char *path, struct mill__stream *stream, struct mill_arena *arena,
                       struct mill_error *err)
{
    const char *begin = NULL, *end = NULL;

    enum split split = split_header(csv, stream, arena, &begin, &end, err);
    if (split == SPLIT_FAILED) {
        return err == NULL ? MILL_EIO : err->code;
    }
    if (split != SPLIT_ROW) {
        return mill_fail_at(err, MILL_EDATA, 1, 1, "'%s': the header row is not CSV", path);
    }
    csv->fields = mill_calloc(csv->field_count, sizeof(*csv->fields));
    (void)split_row(begin, end, true, csv->fields, csv->field_count, &csv->field_count, &end);
    mill__stream_consume(stream, (size_t)(end - begin));
    return map_columns(csv, path, arena, err);
}

/* Texts of the fields live in the arena. */
static int read_header(struct csv *csv, const char *path, struct mill__stream *stream, struct mill_arena *arena,
                       struct mill_error *err)
{
    MILL_TRY(mill__stream_fill(stream, HEADER_MIN, err));
    struct mill_slice window = mill__stream_window(stream);
    size_t bom = window.n >= 3 && memcmp(window.p, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    mill__stream_consume(stream, bom);
    if (window.n == bom) {
        return mill_fail(err, MILL_EDATA, "'%s' is empty; expected a header row that names the columns", path);
    }
    return take_header(csv, path, stream, arena, err);
}

int mill__csv_names(const char *path, struct mill__stream *stream, struct mill_arena *arena,
                    struct mill_schema *ret_names, struct mill_error *err)
{
    static const struct mill_source_spec no_columns = {0};
    struct csv csv = {.spec = &no_columns};

    int rc = read_header(&csv, path, stream, arena, err);
    if (rc == 0) {
        ret_names->field_count = csv.field_count;
        ret_names->fields = mill_arena_zarray(arena, struct mill_field, csv.field_count);
        for (uint32_t i = 0; i < csv.field_count; i++) {
            struct mill_slice name = field_text(&csv.fields[i], arena);
            ret_names->fields[i] =
                (struct mill_field){.name = mill_arena_strndup(arena, name.p, name.n), .type = MILL_STRING};
        }
    }
    free(csv.fields);
    return rc;
}

static void close_csv(void *reader)
{
    struct csv *csv = reader;

    free(csv->fields);
    free(csv->source);
    free(csv);
}

int mill__csv_open(const struct mill_source_spec *spec, const char *path, struct mill__stream *stream,
                   void **ret_reader, struct mill_error *err)
{
    struct csv *csv = mill_calloc(1, sizeof(*csv));
    struct mill_arena arena;

    csv->spec = spec;
    csv->row_max = mill__file_row_max(spec);
    csv->source = mill_calloc(spec->schema.field_count, sizeof(*csv->source));
    mill_arena_init(&arena, 0);
    int rc = read_header(csv, path, stream, &arena, err);
    mill_arena_clear(&arena);
    if (rc < 0) {
        close_csv(csv);
        return rc;
    }
    *ret_reader = csv;
    return 0;
}

/* ---- values ---- */

static bool wrong_type(const struct csv *csv, uint32_t column, struct mill_slice text, struct mill__fault *fault)
{
    const struct mill_field *field = &csv->spec->schema.fields[column];
    char quoted[MILL__QUOTE_SIZE];

    return mill__fault(fault, MILL_REJECT_WRONG_TYPE, "field '%s': expected %s, found %s", field->name,
                       mill_type_name(field->type), mill__quote(text, quoted));
}

static bool is_number(struct mill_slice text)
{
    double v;
    return mill_number_parse_double(text.p, text.p + text.n, &v) == text.p + text.n;
}

static bool put_string(const struct csv *csv, uint32_t c, struct mill_batch *batch, uint32_t row,
                       struct mill_slice text, struct mill__fault *fault)
{
    char quoted[MILL__QUOTE_SIZE];

    if (!mill__is_utf8(text.p, text.n)) {
        return mill__fault(fault, MILL_REJECT_MALFORMED, "field '%s': %s is not UTF-8",
                           csv->spec->schema.fields[c].name, mill__quote(text, quoted));
    }
    batch->columns[c].at.s[row] = text;
    mill_bit_set(batch->columns[c].valid, row);
    return true;
}

static bool put_bool(const struct csv *csv, uint32_t c, struct mill_batch *batch, uint32_t row, struct mill_slice text,
                     struct mill__fault *fault)
{
    bool yes = mill_slice_is(text, "true") || mill_slice_is(text, "True") || mill_slice_is(text, "TRUE");
    bool no = mill_slice_is(text, "false") || mill_slice_is(text, "False") || mill_slice_is(text, "FALSE");

    if (!yes && !no) {
        return wrong_type(csv, c, text, fault);
    }
    batch->columns[c].at.b[row] = yes;
    mill_bit_set(batch->columns[c].valid, row);
    return true;
}

static bool put_int64(const struct csv *csv, uint32_t c, struct mill_batch *batch, uint32_t row, struct mill_slice text,
                      struct mill__fault *fault)
{
    const char *end = text.p + text.n;

    if (mill_number_parse_int64(text.p, end, &batch->columns[c].at.i[row]) == end) {
        mill_bit_set(batch->columns[c].valid, row);
        return true;
    }
    return is_number(text) ? mill__put_number(csv->spec, c, batch, row, text, fault) : wrong_type(csv, c, text, fault);
}

static bool put_float64(const struct csv *csv, uint32_t c, struct mill_batch *batch, uint32_t row,
                        struct mill_slice text, struct mill__fault *fault)
{
    const char *end = text.p + text.n;
    bool is_non_finite;
    double v = 0;

    if (mill_number_parse_double(text.p, end, &v) != end) {
        bool ok = mill__put_non_finite(csv->spec, c, batch, row, text, &is_non_finite, fault);
        return is_non_finite ? ok : wrong_type(csv, c, text, fault);
    }
    if (!mill__is_finite(v)) {
        return mill__put_number(csv->spec, c, batch, row, text, fault); /* which says why not */
    }
    batch->columns[c].at.f[row] = v;
    mill_bit_set(batch->columns[c].valid, row);
    return true;
}

static bool put_timestamp(const struct csv *csv, uint32_t c, struct mill_batch *batch, uint32_t row,
                          struct mill_slice text, struct mill__fault *fault)
{
    if (csv->spec->time_unit[c] != MILL_TIME_TEXT && is_number(text)) {
        return mill__put_number(csv->spec, c, batch, row, text, fault);
    }
    return mill__put_time(csv->spec, c, batch, row, text, fault);
}

static bool put_field(const struct csv *csv, uint32_t c, struct mill_batch *batch, uint32_t row,
                      struct mill__fault *fault)
{
    const struct field *field = &csv->fields[csv->source[c]];
    enum mill_type type = batch->columns[c].type;

    if (field->n == 0 && !(field->quoted && type == MILL_STRING)) {
        return true;
    }
    struct mill_slice text = field_text(field, batch->arena);
    switch (type) {
    case MILL_BOOL:
        return put_bool(csv, c, batch, row, text, fault);
    case MILL_INT64:
        return put_int64(csv, c, batch, row, text, fault);
    case MILL_FLOAT64:
        return put_float64(csv, c, batch, row, text, fault);
    case MILL_STRING:
        return put_string(csv, c, batch, row, text, fault);
    case MILL_TIMESTAMP:
        return put_timestamp(csv, c, batch, row, text, fault);
    }
    return false;
}

/* ---- rows ---- */

static bool put_row(const struct csv *csv, uint32_t field_count, size_t size, struct mill_batch *batch,
                    struct mill__fault *fault)
{
    if (size > csv->row_max) {
        return mill__fault(fault, MILL_REJECT_TOO_LARGE, "row of %zu bytes, the limit is %zu", size, csv->row_max);
    }
    if (field_count != csv->field_count) {
        return mill__fault(fault, MILL_REJECT_MALFORMED, "expected %u fields as in the header, found %u",
                           csv->field_count, field_count);
    }
    for (uint32_t c = 0; c < csv->spec->schema.field_count; c++) {
        if (!put_field(csv, c, batch, batch->row_count, fault)) {
            return false;
        }
    }
    return true;
}

static struct mill_slice without_newline(struct mill_slice s)
{
    s.n -= s.n > 0 && s.p[s.n - 1] == '\n';
    s.n -= s.n > 0 && s.p[s.n - 1] == '\r';
    return s;
}

/* What is at p is not CSV: its first line is rejected. */
static const char *reject_line(const struct mill__rows *rows, const char *p, enum split split,
                               struct mill_file_source *file)
{
    const char *end = rows->p + rows->size, *newline = memchr(p, '\n', (size_t)(end - p));
    const char *behind = newline == NULL ? end : newline + 1;
    struct mill_slice raw = {rows->raw + (p - rows->p), (size_t)(behind - p)};
    struct mill__fault fault;

    (void)mill__fault(&fault, MILL_REJECT_MALFORMED, "%s",
                      split == SPLIT_UNCLOSED ? "a quote is opened and never closed"
                                              : "expected a comma or the end of the row behind a closing quote");
    mill__file_add_row(file, rows->batch, rows->rejects, false, &fault, without_newline(raw));
    return behind;
}

static bool is_blank_line(const struct csv *csv, uint32_t field_count)
{
    return field_count == 1 && csv->fields[0].n == 0 && !csv->fields[0].quoted;
}

static size_t read_csv(void *reader, const struct mill__rows *rows, struct mill_file_source *file)
{
    const char *p = rows->p, *end = rows->p + rows->size, *behind = p;
    struct csv *csv = reader;
    struct mill_batch *batch = rows->batch;
    struct mill__fault fault;
    uint32_t count = 0;

    while (p < end && batch->row_count < batch->row_capacity) {
        enum split split = split_row(p, end, rows->is_last, csv->fields, csv->field_count, &count, &behind);
        if (split == SPLIT_MORE ||
            (split == SPLIT_STRAY && !rows->is_last && memchr(p, '\n', (size_t)(end - p)) == NULL)) {
            break;
        }
        if (split != SPLIT_ROW) {
            p = reject_line(rows, p, split, file);
            continue;
        }
        if (!is_blank_line(csv, count)) {
            struct mill_slice raw = {rows->raw + (p - rows->p), (size_t)(behind - p)};
            bool ok = put_row(csv, count, raw.n, batch, &fault);
            mill__file_add_row(file, batch, rows->rejects, ok, &fault, without_newline(raw));
        }
        p = behind;
    }
    return (size_t)(p - rows->p);
}

const struct mill__file_reader mill__csv_reader = {close_csv, read_csv};

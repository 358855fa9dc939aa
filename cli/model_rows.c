/* SPDX-License-Identifier: Apache-2.0 */
/* Files of rows for the model commands: CSV, NumPy's .npy, raw floats and doubles. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/number.h"
#include "cli/model.h"

enum { ROWS_SIZE_MAX = 1 << 30 };

void mill_cli_rows_clear(struct mill_cli_rows *rows)
{
    free(rows->values);
    *rows = (struct mill_cli_rows){0};
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static int take_raw(struct mill_slice bytes, bool wide, size_t columns, struct mill_cli_rows *rows,
                    struct mill_error *err)
{
    size_t size = wide ? sizeof(double) : sizeof(float);
    if (columns == 0 || bytes.n % (size * columns) != 0) {
        return mill_fail(err, MILL_EDATA, "%zu bytes are not rows of %zu %s values; hint: --columns N", bytes.n,
                         columns, wide ? "float64" : "float32");
    }
    *rows = (struct mill_cli_rows){NULL, bytes.n / size / columns, columns};
    rows->values = mill_malloc((rows->row_count * columns + 1) * sizeof(double));
    for (size_t i = 0; i < rows->row_count * columns; i++) {
        float narrow;
        if (wide) {
            memcpy(&rows->values[i], bytes.p + i * size, size);
        } else {
            memcpy(&narrow, bytes.p + i * size, size);
            rows->values[i] = (double)narrow;
        }
    }
    return 0;
}

/* The header of an .npy file: a Python dict of descr, fortran_order and shape. */
static int take_npy(struct mill_slice bytes, struct mill_cli_rows *rows, struct mill_error *err)
{
    if (bytes.n < 12 || memcmp(bytes.p, "\x93NUMPY", 6) != 0) {
        return mill_fail(err, MILL_EDATA, "not a NumPy file");
    }
    const uint8_t *p = (const uint8_t *)bytes.p;
    size_t length =
        p[6] == 1 ? (size_t)(p[8] | p[9] << 8) : p[8] | (size_t)p[9] << 8 | (size_t)p[10] << 16 | (size_t)p[11] << 24;
    size_t start = p[6] == 1 ? 10 : 12;
    char header[512];
    if (length >= sizeof(header) || start + length > bytes.n) {
        return mill_fail(err, MILL_EDATA, "the header of the NumPy file is cut or too long");
    }
    memcpy(header, bytes.p + start, length);
    header[length] = 0;
    bool wide = strstr(header, "'<f8'") != NULL;
    const char *shape = strstr(header, "'shape': (");
    unsigned long long n = 0, columns = 0;
    if ((!wide && strstr(header, "'<f4'") == NULL) || strstr(header, "'fortran_order': False") == NULL ||
        shape == NULL || sscanf(shape, "'shape': (%llu, %llu)", &n, &columns) != 2) {
        return mill_fail(err, MILL_EDATA, "expected a NumPy matrix of float32 or float64 in C order");
    }
    struct mill_slice values = {bytes.p + start + length, bytes.n - start - length};
    MILL_TRY(take_raw(values, wide, columns, rows, err));
    return rows->row_count == n
               ? 0
               : mill_fail(err, MILL_EDATA, "the NumPy file is cut: %zu of %llu rows", rows->row_count, n);
}

static struct mill_slice cut(struct mill_slice *rest, char separator)
{
    const char *stop = rest->n == 0 ? NULL : memchr(rest->p, separator, rest->n);
    struct mill_slice part = {rest->p, stop == NULL ? rest->n : (size_t)(stop - rest->p)};
    size_t taken = part.n + (stop != NULL);
    rest->p += taken;
    rest->n -= taken;
    while (part.n > 0 && (part.p[part.n - 1] == '\r' || part.p[part.n - 1] == ' ')) {
        part.n--;
    }
    while (part.n > 0 && *part.p == ' ') {
        part.p++;
        part.n--;
    }
    return part;
}

static size_t count_char(struct mill_slice text, char c)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        n += text.p[i] == c;
    }
    return n;
}

static bool parse_field(struct mill_slice text, double *ret_value)
{
    static const struct {
        const char *word;
        double value;
    } words[] = {{"", (double)NAN},     {"nan", (double)NAN},        {"NaN", (double)NAN},     {"NA", (double)NAN},
                 {"null", (double)NAN}, {"-inf", -(double)INFINITY}, {"inf", (double)INFINITY}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (mill_slice_is(text, words[i].word)) {
            *ret_value = words[i].value;
            return true;
        }
    }
    const char *end = text.p + text.n;
    return mill_number_parse_double(text.p, end, ret_value) == end;
}

/* Which feature each column of the file is; UINT32_MAX for columns the model does not know. */
static int match_header(struct mill_slice line, const struct mill_model_info *info, uint32_t *feature, size_t columns,
                        struct mill_error *err)
{
    bool *found = mill_calloc((size_t)info->feature_count + 1, sizeof(*found));
    int rc = 0;
    for (size_t c = 0; c < columns; c++) {
        struct mill_slice name = cut(&line, ',');
        feature[c] = UINT32_MAX;
        for (uint32_t f = 0; f < info->feature_count && rc == 0; f++) {
            if (mill_slice_is(name, info->feature_names[f])) {
                rc = found[f] ? mill_fail(err, MILL_EDATA, "two columns are named '%s'", info->feature_names[f]) : 0;
                feature[c] = f;
                found[f] = true;
            }
        }
    }
    for (uint32_t f = 0; f < info->feature_count && rc == 0; f++) {
        if (!found[f]) {
            rc = mill_fail(err, MILL_EDATA, "no column is named '%s', which the model takes", info->feature_names[f]);
        }
    }
    free(found);
    return rc;
}

static int read_line(struct mill_slice line, const uint32_t *feature, size_t columns, unsigned number,
                     struct mill_cli_rows *rows, struct mill_error *err)
{
    double *row = rows->values + rows->row_count * rows->column_count;
    size_t found = count_char(line, ',') + 1;
    if (found != columns) {
        return mill_fail_at(err, MILL_EDATA, number, 0, "line %u has %zu columns, expected %zu", number, found,
                            columns);
    }
    for (size_t c = 0; c < columns; c++) {
        double value = 0;
        struct mill_slice field = cut(&line, ',');
        if (!parse_field(field, &value)) {
            return mill_fail_at(err, MILL_EDATA, number, 0, "line %u, column %zu: '%.*s' is not a number", number,
                                c + 1, (int)(field.n < 40 ? field.n : 40), field.p);
        }
        if (feature == NULL) {
            row[c] = value;
        } else if (feature[c] != UINT32_MAX) {
            row[feature[c]] = value;
        }
    }
    rows->row_count++;
    return 0;
}

/* A first line is names where it has a name of the model's, or not a single number. */
static bool is_header(struct mill_slice line, size_t columns, const struct mill_model_info *info)
{
    bool numbers = false;
    for (size_t c = 0; c < columns; c++) {
        double ignored;
        struct mill_slice field = cut(&line, ',');
        for (uint32_t f = 0; info->feature_names != NULL && f < info->feature_count; f++) {
            if (mill_slice_is(field, info->feature_names[f])) {
                return true;
            }
        }
        numbers |= parse_field(field, &ignored);
    }
    return !numbers;
}

static int take_csv(struct mill_slice text, const struct mill_model_info *info, struct mill_cli_rows *rows,
                    struct mill_error *err)
{
    struct mill_slice rest = text, first = cut(&rest, '\n');
    size_t columns = count_char(first, ',') + 1;
    bool header = is_header(first, columns, info), named = header && info->feature_names != NULL;
    uint32_t *feature = named ? mill_malloc(columns * sizeof(*feature)) : NULL;
    int rc = named ? match_header(first, info, feature, columns, err) : 0;
    *rows = (struct mill_cli_rows){NULL, 0, named ? info->feature_count : columns};
    rows->values = mill_malloc((count_char(text, '\n') + 2) * rows->column_count * sizeof(double));
    unsigned number = header ? 2 : 1;
    rest = header ? rest : text;
    for (; rc == 0 && rest.n > 0; number++) {
        struct mill_slice line = cut(&rest, '\n');
        /* An empty line is a missing value where rows have one. */
        if (line.n > 0 || columns == 1) {
            rc = read_line(line, feature, columns, number, rows, err);
        }
    }
    free(feature);
    return rc;
}

int mill_cli_rows_read(const char *path, int64_t columns, const struct mill_model_info *info,
                       struct mill_cli_rows *ret_rows, struct mill_error *err)
{
    struct mill_buffer bytes = {0};
    struct mill_cli_rows rows = {0};
    MILL_TRY(mill_file_read(path, ROWS_SIZE_MAX, &bytes, err));
    struct mill_slice all = mill_buffer_slice(&bytes);
    size_t width = columns > 0 ? (size_t)columns : info->feature_count;
    int rc = 0;
    if (ends_with(path, ".csv")) {
        rc = take_csv(all, info, &rows, err);
    } else if (ends_with(path, ".npy")) {
        rc = take_npy(all, &rows, err);
    } else if (ends_with(path, ".f32") || ends_with(path, ".f64")) {
        rc = take_raw(all, ends_with(path, ".f64"), width, &rows, err);
    } else {
        rc = mill_fail(err, MILL_EUSAGE, "expected a file named .csv, .npy, .f32 or .f64");
    }
    if (rc == 0 && rows.column_count != width && columns > 0) {
        rc = mill_fail(err, MILL_EDATA, "%zu columns, expected --columns %zu", rows.column_count, width);
    } else if (rc == 0 && rows.column_count != width) {
        rc = mill_fail(err, MILL_EDATA,
                       "%zu columns, the model takes %zu; hint: '--columns %zu' if rows are meant to be %s",
                       rows.column_count, width, rows.column_count, rows.column_count < width ? "shorter" : "longer");
    }
    mill_buffer_clear(&bytes);
    if (rc < 0) {
        mill_error_prefix(err, "'%s'", path);
        mill_cli_rows_clear(&rows);
        return rc;
    }
    *ret_rows = rows;
    return 0;
}

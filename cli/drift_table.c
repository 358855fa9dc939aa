/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of a file as columns, in memory; see drift.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "cli/drift.h"
#include "ingest/ingest.h"

enum { COLUMNS_MAX = 10000 };

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* ---- cells ---- */

/* Every column is text while the file is read; what is numbers throughout becomes numbers at the end. */
static void grow_cells(struct mill_cli_column *column, size_t from, size_t to)
{
    struct mill_column *cells = &column->cells;

    cells->at.s = mill_realloc(cells->at.s, to * sizeof(struct mill_slice));
    memset(cells->at.s + from, 0, (to - from) * sizeof(struct mill_slice));
    cells->valid = mill_realloc(cells->valid, to / 8);
    memset(cells->valid + from / 64, 0, (to - from) / 8);
}

static void grow_rows(struct mill_cli_table *table)
{
    size_t capacity = table->row_capacity == 0 ? MILL_CLI_CHUNK_ROWS : 2 * table->row_capacity;

    for (uint32_t c = 0; c < table->column_count; c++) {
        grow_cells(&table->columns[c], table->row_capacity, capacity);
    }
    table->row_capacity = capacity;
}

static struct mill_cli_column *find_slice(const struct mill_cli_table *table, struct mill_slice name)
{
    for (uint32_t c = 0; c < table->column_count; c++) {
        if (mill_slice_is(name, table->columns[c].name)) {
            return &table->columns[c];
        }
    }
    return NULL;
}

struct mill_cli_column *mill_cli_table_find(const struct mill_cli_table *table, const char *name)
{
    return find_slice(table, mill_slice_of(name));
}

static struct mill_cli_column *add_column(struct mill_cli_table *table, struct mill_slice name)
{
    if (table->column_count == table->column_capacity) {
        table->column_capacity = table->column_capacity == 0 ? 32 : 2 * table->column_capacity;
        table->columns = mill_realloc(table->columns, table->column_capacity * sizeof(*table->columns));
    }
    struct mill_cli_column *column = &table->columns[table->column_count++];
    *column = (struct mill_cli_column){.name = mill_arena_strndup(&table->arena, name.p, name.n), .is_text = true};
    column->cells.type = MILL_STRING;
    if (table->row_capacity > 0) {
        grow_cells(column, 0, table->row_capacity);
    }
    return column;
}

static struct mill_cli_column *find_next(struct mill_cli_table *table, struct mill_slice name)
{
    uint32_t next = table->next_column;
    bool is_next = next < table->column_count && mill_slice_is(name, table->columns[next].name);
    struct mill_cli_column *column = is_next ? &table->columns[next] : find_slice(table, name);

    table->next_column = column == NULL ? table->column_count + 1 : (uint32_t)(column - table->columns) + 1;
    return column;
}

void mill_cli_table_put(struct mill_cli_table *table, struct mill_slice name, struct mill_slice text)
{
    struct mill_cli_column *column = find_next(table, name);

    if (table->row_count == table->row_capacity) {
        grow_rows(table);
    }
    if (column == NULL && table->column_count == COLUMNS_MAX) {
        return;
    }
    column = column == NULL ? add_column(table, name) : column;
    if (text.p != NULL) {
        column->cells.at.s[table->row_count] = mill_arena_slice(&table->arena, text);
        mill_bit_set(column->cells.valid, (uint32_t)table->row_count);
    }
}

void mill_cli_table_end_row(struct mill_cli_table *table)
{
    if (table->row_count == table->row_capacity) {
        grow_rows(table);
    }
    table->row_count++;
    table->next_column = 0;
}

/* ---- numbers ---- */

static bool parse_cell(struct mill_slice text, double *ret_value)
{
    static const struct {
        const char *word;
        double value;
    } words[] = {{"nan", (double)NAN},        {"NaN", (double)NAN},           {"inf", (double)INFINITY},
                 {"-inf", -(double)INFINITY}, {"Infinity", (double)INFINITY}, {"-Infinity", -(double)INFINITY}};
    const char *end = text.p + text.n;

    if (text.n > 0 && mill_number_parse_double(text.p, end, ret_value) == end) {
        return true;
    }
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (mill_slice_is(text, words[i].word)) {
            *ret_value = words[i].value;
            return true;
        }
    }
    return false;
}

static bool is_numeric(const struct mill_cli_table *table, const struct mill_cli_column *column)
{
    double ignored;

    for (size_t row = 0; row < table->row_count; row++) {
        if (mill_bit_get(column->cells.valid, (uint32_t)row) && !parse_cell(column->cells.at.s[row], &ignored)) {
            return false;
        }
    }
    return true;
}

static void make_numbers(const struct mill_cli_table *table, struct mill_cli_column *column)
{
    struct mill_slice *texts = column->cells.at.s;
    double *values = mill_calloc(table->row_capacity + 1, sizeof(double));

    for (size_t row = 0; row < table->row_count; row++) {
        if (mill_bit_get(column->cells.valid, (uint32_t)row)) {
            bool is_number = parse_cell(texts[row], &values[row]);
            mill_assert(is_number);
            if (isnan(values[row])) {
                values[row] = 0;
                mill_bit_clear(column->cells.valid, (uint32_t)row);
            }
        }
    }
    free(texts);
    column->cells.at.f = values;
    column->cells.type = MILL_FLOAT64;
    column->is_text = false;
}

void mill_cli_table_make_text(struct mill_cli_table *table, struct mill_cli_column *column)
{
    double *values = column->cells.at.f;
    char text[MILL_NUMBER_TEXT_MAX];

    if (column->is_text) {
        return;
    }
    struct mill_slice *texts = mill_calloc(table->row_capacity + 1, sizeof(*texts));
    for (size_t row = 0; row < table->row_count; row++) {
        if (mill_bit_get(column->cells.valid, (uint32_t)row)) {
            texts[row] =
                mill_arena_slice(&table->arena, (struct mill_slice){text, mill_number_print_double(values[row], text)});
        }
    }
    free(values);
    column->cells.at.s = texts;
    column->cells.type = MILL_STRING;
    column->is_text = true;
}

void mill_cli_table_add_numbers(struct mill_cli_table *table, const char *name, double *values)
{
    struct mill_cli_column *column = find_slice(table, mill_slice_of(name));

    column = column == NULL ? add_column(table, mill_slice_of(name)) : column;
    free(column->cells.at.raw);
    column->cells.at.f = values;
    column->cells.type = MILL_FLOAT64;
    column->is_text = false;
    column->value_count = 0;
    for (size_t row = 0; row < table->row_count; row++) {
        if (isnan(values[row])) {
            values[row] = 0;
            mill_bit_clear(column->cells.valid, (uint32_t)row);
        } else {
            mill_bit_set(column->cells.valid, (uint32_t)row);
            column->value_count++;
        }
    }
}

static bool is_wanted_as_text(const struct mill_cli_table_options *options, const char *name)
{
    for (uint32_t i = 0; i < options->as_text.count; i++) {
        if (strcmp(options->as_text.at[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static void finish_columns(struct mill_cli_table *table, const struct mill_cli_table_options *options)
{
    for (uint32_t c = 0; c < table->column_count; c++) {
        struct mill_cli_column *column = &table->columns[c];
        if (!is_wanted_as_text(options, column->name) && is_numeric(table, column)) {
            make_numbers(table, column);
        }
        for (uint32_t w = 0; w < table->row_capacity / 64; w++) {
            column->value_count += (uint64_t)__builtin_popcountll(column->cells.valid[w]);
        }
    }
}

/* ---- CSV ---- */

static int reject_failure(const char *path, const struct mill_reject *reject, const struct mill_batch *batch,
                          struct mill_error *err)
{
    return mill_fail(err, MILL_EDATA, "'%s': row %lld: %s", path, (long long)batch->offset[reject->row] + 1,
                     reject->detail);
}

static void take_rows(struct mill_cli_table *table, const struct mill_batch *batch)
{
    for (uint32_t row = 0; row < batch->row_count; row++) {
        for (uint32_t c = 0; c < batch->schema->field_count; c++) {
            struct mill_slice text = {0};
            if (mill_bit_get(batch->columns[c].valid, row) && batch->columns[c].at.s[row].n > 0) {
                text = batch->columns[c].at.s[row];
            }
            mill_cli_table_put(table, mill_slice_of(batch->schema->fields[c].name), text);
        }
        mill_cli_table_end_row(table);
    }
}

static int read_batches(struct mill_file_source *file, const char *path, const struct mill_schema *schema,
                        struct mill_cli_table *table, struct mill_error *err)
{
    struct mill_arena arena;
    struct mill_batch batch;
    struct mill_rejects rejects;
    int rc;

    mill_arena_init(&arena, 0);
    do {
        mill_arena_reset(&arena);
        mill_batch_init(&batch, schema, MILL_BATCH_ROWS_MAX, &arena);
        mill_rejects_init(&rejects, &arena);
        rc = mill_file_source_next(file, &batch, &rejects, err);
        if (rc == MILL_OK && rejects.count > 0) {
            rc = reject_failure(path, &rejects.at[0], &batch, err);
        }
        if (rc == MILL_OK) {
            take_rows(table, &batch);
        }
    } while (rc == MILL_OK);
    mill_arena_clear(&arena);
    return rc == MILL_EEND ? MILL_OK : rc;
}

static int read_csv(const char *path, struct mill_cli_table *table, struct mill_error *err)
{
    struct mill_source_spec spec = {.name = path, .timestamp_column = UINT32_MAX, .allow_non_finite = true};
    struct mill_file_source *file;

    MILL_TRY(mill_file_csv_columns(path, &table->arena, &spec.schema, err));
    spec.time_unit = mill_arena_zarray(&table->arena, enum mill_time_unit, spec.schema.field_count);
    MILL_TRY(mill_file_source_open(&spec, path, &file, err));
    int rc = read_batches(file, path, &spec.schema, table, err);
    mill_file_source_close(file);
    return rc;
}

int mill_cli_table_read(const char *path, const struct mill_cli_table_options *options,
                        struct mill_cli_table *ret_table, struct mill_error *err)
{
    struct mill_cli_table table = {0};

    mill_arena_init(&table.arena, 0);
    bool is_json = ends_with(path, ".jsonl") || ends_with(path, ".ndjson") || ends_with(path, ".json");
    int rc = is_json ? mill_cli_table_read_json(path, options, &table, err) : read_csv(path, &table, err);
    if (rc == MILL_OK && table.row_count == 0) {
        rc = mill_fail(err, MILL_EDATA, "'%s' has no rows", path);
    }
    if (rc < 0) {
        mill_cli_table_clear(&table);
        return rc;
    }
    finish_columns(&table, options);
    *ret_table = table;
    return MILL_OK;
}

void mill_cli_table_clear(struct mill_cli_table *table)
{
    for (uint32_t c = 0; c < table->column_count; c++) {
        free(table->columns[c].cells.at.raw);
        free(table->columns[c].cells.valid);
    }
    free(table->columns);
    mill_arena_clear(&table->arena);
    *table = (struct mill_cli_table){0};
}

/* ---- chunks ---- */

void mill_cli_table_each_chunk(const struct mill_cli_table *table, struct mill_cli_column *const *picked,
                               const enum mill_type *types, uint32_t count,
                               void (*each)(void *context, const struct mill_column *const *columns, uint32_t rows),
                               void *context)
{
    struct mill_column *chunk = mill_calloc(count, sizeof(*chunk));
    const struct mill_column **columns = mill_calloc(count, sizeof(const struct mill_column *));
    static uint64_t nothing[MILL_CLI_CHUNK_ROWS]; /* valid bits and values of a column that is not there */
    static struct mill_slice no_texts[MILL_CLI_CHUNK_ROWS];

    for (size_t from = 0; from < table->row_count; from += MILL_CLI_CHUNK_ROWS) {
        size_t rows = table->row_count - from < MILL_CLI_CHUNK_ROWS ? table->row_count - from : MILL_CLI_CHUNK_ROWS;
        for (uint32_t i = 0; i < count; i++) {
            columns[i] = &chunk[i];
            chunk[i] = (struct mill_column){.type = types[i], .valid = nothing};
            chunk[i].at.raw = types[i] == MILL_STRING ? (void *)no_texts : (void *)nothing;
            if (picked[i] != NULL) {
                mill_assert(picked[i]->cells.type == types[i]);
                chunk[i].valid = picked[i]->cells.valid + from / 64;
                if (types[i] == MILL_STRING) {
                    chunk[i].at.s = picked[i]->cells.at.s + from;
                } else {
                    chunk[i].at.f = picked[i]->cells.at.f + from;
                }
            }
        }
        each(context, columns, (uint32_t)rows);
    }
    free(chunk);
    free(columns);
}

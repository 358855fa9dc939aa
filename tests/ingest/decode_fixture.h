/* SPDX-License-Identifier: Apache-2.0 */
/* What the decoding tests share: a source made of a few lines, one batch, and a look at its rows as text. */
#ifndef TESTS_INGEST_DECODE_FIXTURE_H
#define TESTS_INGEST_DECODE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/timestamp.h"
#include "ingest/ingest.h"

enum { FIXTURE_COLUMNS_MAX = 32 };

struct fixture {
    struct mill_source_spec spec;
    struct mill_field fields[FIXTURE_COLUMNS_MAX];
    enum mill_time_unit units[FIXTURE_COLUMNS_MAX];
    struct mill_arena arena, names;
    struct mill_batch batch;
    struct mill_rejects rejects;
    struct mill_error err;
    struct mill_decoder *decoder;
};

static inline char *next_word(char **rest)
{
    char *word = *rest + strspn(*rest, " ");
    size_t n = strcspn(word, " ");

    *rest = word + n + (word[n] == ' ');
    word[n] = '\0';
    return n == 0 ? NULL : word;
}

/* columns: "ts:timestamp name:string n:int64 ..."; the first timestamp is the event time. A column may have a unit:
 * "ts:timestamp/ms" (s, ms, us). */
static inline void fixture_init(struct fixture *f, enum mill_format format, const char *columns)
{
    static const char *const unit_names[] = {"", "s", "ms", "us"};

    memset(f, 0, sizeof(*f));
    f->spec.name = "test";
    f->spec.topic = "topic";
    f->spec.format = format;
    f->spec.schema.fields = f->fields;
    f->spec.time_unit = f->units;
    f->spec.timestamp_column = UINT32_MAX;
    f->spec.max_null_fraction = 1;
    f->spec.record_bytes_max = 1 << 20;
    mill_arena_init(&f->names, 0);
    char *copy = mill_arena_strdup(&f->names, columns), *rest = copy, *word;
    while ((word = next_word(&rest)) != NULL) {
        uint32_t c = f->spec.schema.field_count++;
        char *type = strchr(word, ':'), *unit = strchr(word, '/');
        *type++ = '\0';
        for (int u = 0; unit != NULL && u < 4; u++) {
            f->units[c] = strcmp(unit + 1, unit_names[u]) == 0 ? (enum mill_time_unit)u : f->units[c];
        }
        if (unit != NULL) {
            *unit = '\0';
        }
        f->fields[c].name = word;
        for (int t = 0; t < MILL_TYPE_COUNT; t++) {
            f->fields[c].type =
                strcmp(type, mill_type_name((enum mill_type)t)) == 0 ? (enum mill_type)t : f->fields[c].type;
        }
        if (f->fields[c].type == MILL_TIMESTAMP && f->spec.timestamp_column == UINT32_MAX) {
            f->spec.timestamp_column = c;
        }
    }
    mill_arena_init(&f->arena, 0);
}

static inline void fixture_clear(struct fixture *f)
{
    mill_decoder_close(f->decoder);
    mill_arena_clear(&f->arena);
    mill_arena_clear(&f->names);
}

static inline void fixture_batch(struct fixture *f, uint32_t capacity)
{
    mill_arena_reset(&f->arena);
    mill_batch_init(&f->batch, &f->spec.schema, capacity, &f->arena);
    mill_rejects_init(&f->rejects, &f->arena);
}

static inline void fixture_open(struct fixture *f)
{
    if (mill_decoder_open(&f->spec, &f->decoder, &f->err) < 0) {
        fail_msg("mill_decoder_open: %s", f->err.msg);
    }
}

static inline int fixture_decode(struct fixture *f, const struct mill_record *records, uint32_t count)
{
    fixture_batch(f, count);
    return mill_decoder_decode(f->decoder, records, count, &f->batch, &f->rejects, &f->err);
}

/* One row as JSON: ["2013-01-01T00:00:00Z", null, 1.5]; a dead row as "reason: detail". Memory from the batch's arena.
 */
static inline const char *fixture_row(struct fixture *f, uint32_t row)
{
    struct mill_buffer out = {0};
    struct mill_json_writer w;
    char text[40];

    for (uint32_t i = 0; i < f->rejects.count; i++) {
        if (f->rejects.at[i].row == row) {
            assert_false(mill_bit_get(f->batch.live, row));
            return mill_arena_printf(&f->arena, "%s: %s", mill_reject_reason_name(f->rejects.at[i].reason),
                                     f->rejects.at[i].detail);
        }
    }
    if (!mill_bit_get(f->batch.live, row)) {
        return "dead";
    }
    mill_json_writer_init(&w, &out, false);
    mill_json_write_array_begin(&w);
    for (uint32_t c = 0; c < f->spec.schema.field_count; c++) {
        const struct mill_column *column = &f->batch.columns[c];
        if (!mill_bit_get(column->valid, row)) {
            mill_json_write_null(&w);
        } else if (column->type == MILL_BOOL) {
            mill_json_write_bool(&w, column->at.b[row]);
        } else if (column->type == MILL_INT64) {
            mill_json_write_int64(&w, column->at.i[row]);
        } else if (column->type == MILL_FLOAT64) {
            mill_json_write_double(&w, column->at.f[row]);
        } else if (column->type == MILL_STRING) {
            mill_json_write_string(&w, column->at.s[row]);
        } else {
            mill_json_write_string(&w, (struct mill_slice){text, mill_timestamp_print(column->at.i[row], text)});
        }
    }
    mill_json_write_array_end(&w);
    const char *copy = mill_arena_strdup(&f->arena, mill_buffer_cstr(&out));
    mill_buffer_clear(&out);
    return copy;
}

/* Every column of a dead row is null and zero, as the batch promises. */
static inline void fixture_assert_erased(const struct fixture *f, uint32_t row)
{
    static const struct mill_slice none;

    for (uint32_t c = 0; c < f->spec.schema.field_count; c++) {
        const struct mill_column *column = &f->batch.columns[c];
        assert_false(mill_bit_get(column->valid, row));
        if (column->type == MILL_BOOL) {
            assert_int_equal(column->at.b[row], 0);
        } else if (column->type == MILL_STRING) {
            assert_memory_equal(&column->at.s[row], &none, sizeof(none));
        } else {
            assert_true(column->at.i[row] == 0);
        }
    }
}

/* Decodes one value and compares the row. */
static inline void fixture_expect(struct fixture *f, const void *bytes, size_t n, const char *expected)
{
    /* A copy of exactly n bytes, so that the address sanitizer sees reads behind the end. */
    char *exact = malloc(n > 0 ? n : 1);
    memcpy(exact, bytes, n);
    struct mill_record record = {.value = {exact, n}, .offset = 7, .broker_time_us = -1};
    if (fixture_decode(f, &record, 1) < 0) {
        fail_msg("mill_decoder_decode: %s", f->err.msg);
    }
    const char *row = fixture_row(f, 0);
    if (strcmp(row, expected) != 0) {
        fail_msg("value \"%.*s\": expected %s, found %s", n > 200 ? 200 : (int)n, exact, expected, row);
    }
    assert_int_equal(f->batch.offset[0], 7);
    free(exact);
}

#endif

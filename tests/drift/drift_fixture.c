/* SPDX-License-Identifier: Apache-2.0 */
/* See drift_fixture.h. */
#include "tests/drift/drift_fixture.h"

#include <math.h>

struct rows *rows_new(const struct mill_field *fields, uint32_t field_count)
{
    struct rows *rows = mill_calloc(1, sizeof(*rows));

    rows->fields = fields;
    rows->field_count = field_count;
    rows->columns = mill_calloc(field_count + 1, sizeof(*rows->columns));
    rows->pointers = mill_calloc(field_count + 1, sizeof(*rows->pointers));
    for (uint32_t f = 0; f <= field_count; f++) {
        rows->columns[f].type = f < field_count ? fields[f].type : MILL_STRING;
        rows->pointers[f] = &rows->columns[f];
    }
    mill_arena_init(&rows->texts, 0);
    return rows;
}

void rows_free(struct rows *rows)
{
    for (uint32_t f = 0; f <= rows->field_count; f++) {
        free(rows->columns[f].valid);
        free(rows->columns[f].at.raw);
    }
    mill_arena_clear(&rows->texts);
    free(rows->columns);
    free(rows->pointers);
    free(rows->times);
    free(rows);
}

static void grow(struct rows *rows)
{
    rows->capacity = rows->capacity == 0 ? 1024 : 2 * rows->capacity;
    rows->times = mill_realloc(rows->times, rows->capacity * sizeof(*rows->times));
    for (uint32_t f = 0; f <= rows->field_count; f++) {
        struct mill_column *column = &rows->columns[f];
        size_t old = mill_bit_words(rows->count), words = mill_bit_words(rows->capacity);
        column->valid = mill_realloc(column->valid, words * sizeof(uint64_t));
        memset(column->valid + old, 0, (words - old) * sizeof(uint64_t));
        column->at.raw = mill_realloc(column->at.raw, rows->capacity * sizeof(struct mill_slice));
    }
}

uint32_t rows_add(struct rows *rows, int64_t time_us)
{
    if (rows->count == rows->capacity) {
        grow(rows);
    }
    rows->times[rows->count] = time_us;
    for (uint32_t f = 0; f <= rows->field_count; f++) {
        struct mill_column *column = &rows->columns[f];
        if (column->type == MILL_STRING) {
            column->at.s[rows->count] = (struct mill_slice){NULL, 0};
        } else if (column->type == MILL_BOOL) {
            column->at.b[rows->count] = 0;
        } else {
            column->at.i[rows->count] = 0;
        }
    }
    return rows->count++;
}

void rows_set_double(struct rows *rows, uint32_t row, uint32_t field, double x)
{
    rows->columns[field].at.f[row] = x;
    mill_bit_set(rows->columns[field].valid, row);
}

void rows_set_int(struct rows *rows, uint32_t row, uint32_t field, int64_t x)
{
    rows->columns[field].at.i[row] = x;
    mill_bit_set(rows->columns[field].valid, row);
}

void rows_set_bool(struct rows *rows, uint32_t row, uint32_t field, bool x)
{
    rows->columns[field].at.b[row] = x;
    mill_bit_set(rows->columns[field].valid, row);
}

void rows_set_text(struct rows *rows, uint32_t row, uint32_t field, const char *text)
{
    rows->columns[field].at.s[row] = mill_arena_slice(&rows->texts, mill_slice_of(text));
    mill_bit_set(rows->columns[field].valid, row);
}

const struct mill_column *rows_segment(const struct rows *rows)
{
    return &rows->columns[rows->field_count];
}

void rows_build(const struct rows *rows, struct mill_profile_builder *builder)
{
    mill_profile_builder_add(builder, rows->pointers, rows_segment(rows), rows->times, NULL, 0, rows->count);
}

struct mill_profile *rows_profile(const struct rows *rows, const struct mill_profile_spec *spec)
{
    struct mill_profile_builder *builder = mill_profile_builder_new(spec);
    struct mill_profile *profile = NULL;

    rows_build(rows, builder);
    mill_assert(mill_profile_builder_finish(builder, &profile, NULL) == MILL_OK);
    mill_profile_builder_free(builder);
    return profile;
}

double random_unit(void)
{
    return (double)(random_u64() >> 11) * 0x1p-53;
}

double random_normal(void)
{
    return sqrt(-2.0 * log(1.0 - random_unit())) * cos(6.283185307179586 * random_unit());
}

double random_hard(unsigned kind)
{
    double x = random_normal();

    switch (kind % HARD_KINDS) {
    case 0:
        return x;
    case 1:
        return floor(3.0 * x); /* integers, -0.0 among them */
    case 2:
        return exp(5.0 * x); /* heavy tail */
    case 3:
        return random_below(3) == 0 ? 0.0 : x;
    case 4:
        return random_below(20) == 0 ? (double)INFINITY : random_below(20) == 0 ? -(double)INFINITY : x;
    case 5:
        return x * 4.9406564584124654e-324 * 20.0; /* denormals */
    case 6:
        return random_below(2) == 0 ? -0.0 : 0.0;
    case 7:
        return 1e6 + x * 1e-6 + (random_below(50) == 0 ? -2e6 : 0.0); /* a cluster and something far off */
    case 8:
        return x * 1e308; /* infinities by overflow */
    default:
        return random_below(10) == 0 ? (double)NAN : round(x * 100.0) / 100.0;
    }
}

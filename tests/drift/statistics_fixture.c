/* SPDX-License-Identifier: Apache-2.0 */
#include "statistics_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/file.h"

static struct mill_buffer read_data(const char *name)
{
    char path[1024];
    struct mill_buffer bytes = {0};
    struct mill_error err = {0};
    snprintf(path, sizeof(path), "%s/drift/data/%s", MILL_TEST_DIR, name);
    if (mill_file_read(path, 1 << 26, &bytes, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    return bytes;
}

struct statistics_table statistics_table_read(const char *name, size_t width)
{
    struct mill_buffer bytes = read_data(name);
    struct statistics_table table = {0, width, NULL, NULL};
    size_t room = 0;
    for (char *line = bytes.p, *end = bytes.p + bytes.n; line < end;) {
        if (table.count == room) {
            room = room == 0 ? 1024 : 2 * room;
            table.at = mill_realloc(table.at, room * width * sizeof(double));
            table.integer = mill_realloc(table.integer, room * sizeof(uint64_t));
        }
        char *stop = memchr(line, '\n', (size_t)(end - line)), *p = line;
        assert_non_null(stop);
        table.integer[table.count] = strtoull(line, NULL, 10);
        for (size_t i = 0; i < width; i++) {
            table.at[table.count * width + i] = strtod(p, &p);
        }
        assert_ptr_equal(p, stop);
        table.count++;
        line = stop + 1;
    }
    mill_buffer_clear(&bytes);
    assert_true(table.count > 1000);
    return table;
}

void statistics_table_clear(struct statistics_table *table)
{
    free(table->at);
    free(table->integer);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void statistics_sort(double *values, size_t n)
{
    if (n > 0) {
        qsort(values, n, sizeof(*values), by_value);
    }
}

double *statistics_random(uint64_t seed, size_t n, unsigned grid)
{
    double *values = mill_malloc(n * sizeof(*values));
    for (size_t i = 0; i < n; i++) {
        uint64_t z = (seed += 0x9e3779b97f4a7c15);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        z ^= z >> 31;
        values[i] = grid == 0 ? (double)(z >> 11) * 0x1p-53 : ((double)(z % grid) - (double)(grid / 2)) / 8;
    }
    return values;
}

double *statistics_sample(uint64_t seed, size_t n, unsigned grid, double shift)
{
    double *values = statistics_random(seed, n, grid);
    for (size_t i = 0; i < n; i++) {
        values[i] += shift;
    }
    statistics_sort(values, n);
    return values;
}

/* Infinity is no JSON: made a string before it is parsed. */
json_t *statistics_golden(const char *name)
{
    char file[256];
    snprintf(file, sizeof(file), "golden/%s.json", name);
    struct mill_buffer bytes = read_data(file), text = {0};
    for (size_t i = 0; i < bytes.n;) {
        if (bytes.n - i >= 8 && memcmp(bytes.p + i, "Infinity", 8) == 0) {
            mill_buffer_add_string(&text, "\"inf\"");
            i += 8;
            continue;
        }
        mill_buffer_add_byte(&text, (unsigned char)bytes.p[i++]);
    }
    /* "-Infinity" has become -"inf". */
    for (char *p = text.p; (p = memmem(p, (size_t)(text.p + text.n - p), "-\"inf\"", 6)) != NULL;) {
        memcpy(p, "\"-inf\"", 6);
    }
    json_error_t error;
    json_t *root = json_loadb(text.p, text.n, 0, &error);
    if (root == NULL) {
        fail_msg("%s: %s", name, error.text);
    }
    mill_buffer_clear(&bytes);
    mill_buffer_clear(&text);
    return root;
}

static double number_of(const json_t *value)
{
    return json_is_string(value) ? strtod(json_string_value(value), NULL) : json_number_value(value);
}

double *statistics_numbers(const json_t *array, size_t *ret_count)
{
    size_t count = 0;
    double *numbers = mill_malloc((json_array_size(array) + 1) * sizeof(*numbers));
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *value = json_array_get(array, i);
        if (!json_is_null(value)) {
            numbers[count++] = number_of(value);
        }
    }
    statistics_sort(numbers, count);
    *ret_count = count;
    return numbers;
}

double statistics_number(const json_t *object, const char *key, const char *inner)
{
    const json_t *value = json_object_get(object, key);
    value = inner == NULL ? value : json_object_get(value, inner);
    if (value == NULL) {
        fail_msg("no '%s'", key);
    }
    return json_is_null(value) ? (double)NAN : number_of(value);
}

void statistics_check_absolute(struct statistics_error *error, double got, double expected, double limit)
{
    double distance = fabs(got - expected);
    if (!(distance <= limit)) {
        fail_msg("%.17g, expected %.17g", got, expected);
    }
    error->absolute = distance > error->absolute ? distance : error->absolute;
    if (expected > 1e-290 && distance / expected > error->relative) {
        error->relative = distance / expected;
    }
}

void statistics_check_relative(struct statistics_error *error, double got, double expected, double limit)
{
    if (got == expected) {
        return;
    }
    statistics_check_absolute(error, got, expected, limit * fabs(expected));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/file.h"

const char *const support_kernels[] = {
    "portable",   "walk",        "heap",       "hop",          "heap-avx2",     "hop-avx2",  "scan-avx2",
    "block-avx2", "heap-avx512", "hop-avx512", "block-avx512", "gather-avx512", "scan-vbmi", "perfect-vbmi",
    "avx2",       "auto",        NULL};

struct mill_buffer support_read(const char *name)
{
    char path[1024];
    struct mill_buffer bytes = {0};
    struct mill_error err = {0};
    snprintf(path, sizeof(path), "%s/inference/data/%s", MILL_TEST_DIR, name);
    if (mill_file_read(path, 1 << 28, &bytes, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    return bytes;
}

struct mill_model *support_load(const char *name)
{
    struct mill_buffer bytes = support_read(name);
    struct mill_model *model = NULL;
    struct mill_error err = {0};
    if (mill_model_load_bytes(mill_buffer_slice(&bytes), name, &model, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    mill_buffer_clear(&bytes);
    return model;
}

static void *numbers(const char *name, size_t size, size_t *ret_count)
{
    struct mill_buffer bytes = support_read(name);
    assert_int_equal(bytes.n % size, 0);
    void *copy = mill_malloc(bytes.n + 1);
    memcpy(copy, bytes.p, bytes.n);
    *ret_count = bytes.n / size;
    mill_buffer_clear(&bytes);
    return copy;
}

float *support_floats(const char *name, size_t *ret_count)
{
    return numbers(name, sizeof(float), ret_count);
}

double *support_doubles(const char *name, size_t *ret_count)
{
    return numbers(name, sizeof(double), ret_count);
}

uint64_t support_ulps32(float a, float b)
{
    int32_t x, y;
    memcpy(&x, &a, sizeof(x));
    memcpy(&y, &b, sizeof(y));
    if (x == y || (isnan(a) && isnan(b))) {
        return 0;
    }
    int64_t i = x < 0 ? INT32_MIN - (int64_t)x : x, j = y < 0 ? INT32_MIN - (int64_t)y : y;
    return (uint64_t)(i > j ? i - j : j - i) + (i == j);
}

uint64_t support_ulps64(double a, double b)
{
    int64_t x, y;
    memcpy(&x, &a, sizeof(x));
    memcpy(&y, &b, sizeof(y));
    if (x == y || (isnan(a) && isnan(b))) {
        return 0;
    }
    __int128 i = x < 0 ? (__int128)INT64_MIN - x : x, j = y < 0 ? (__int128)INT64_MIN - y : y;
    __int128 distance = i > j ? i - j : j - i;
    return (uint64_t)distance + (i == j);
}

uint64_t support_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

double *support_case_numbers(const struct support_case *c, const char *what, size_t *ret_count)
{
    static const char *const kinds[] = {"f32", "f64"};
    int stem = (int)(strrchr(c->name, '.') - c->name);
    for (int k = 0; k < 2; k++) {
        char name[256], path[1024];
        snprintf(name, sizeof(name), "more/%.*s.%s.%s", stem, c->name, what, kinds[k]);
        snprintf(path, sizeof(path), "%s/inference/data/%s", MILL_TEST_DIR, name);
        if (access(path, R_OK) != 0) {
            continue;
        }
        if (k == 1) {
            return support_doubles(name, ret_count);
        }
        float *narrow = support_floats(name, ret_count);
        double *wide = mill_malloc((*ret_count + 1) * sizeof(*wide));
        for (size_t i = 0; i < *ret_count; i++) {
            wide[i] = (double)narrow[i];
        }
        free(narrow);
        return wide;
    }
    return NULL;
}

unsigned support_each_case(void (*check)(struct support_case *c))
{
    struct mill_buffer list = support_read("more/cases.txt");
    unsigned count = 0;
    for (const char *line = mill_buffer_cstr(&list); *line != 0; line = strchr(line, '\n') + 1) {
        struct support_case c = {.distance = 0};
        char path[128], distance[16];
        size_t n = 0;
        assert_int_equal(sscanf(line, "%95s %zu %15s", c.name, &c.columns, distance), 3);
        c.distance = strcmp(distance, "1ulp") == 0 ? 0 : strtod(distance, NULL);
        snprintf(path, sizeof(path), "more/%s", c.name);
        c.model = support_load(path);
        c.rows = support_case_numbers(&c, "in", &n);
        assert_non_null(c.rows);
        c.row_count = n / c.columns;
        check(&c);
        free(c.rows);
        mill_model_free(c.model);
        count++;
    }
    mill_buffer_clear(&list);
    return count;
}

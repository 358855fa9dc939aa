/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers on any bytes: the length by a plain reading of the grammar, the value by strtod and strtof, and the eight
 * first bytes as the bits of numbers that go to text and back. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "base/timestamp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "%s\n", what);
        abort();
    }
}

static size_t digits(const char *p, size_t n, size_t at)
{
    size_t first = at;
    while (at < n && p[at] >= '0' && p[at] <= '9') {
        at++;
    }
    return at - first;
}

/* RFC 8259, section 6, written down once more; 0: no number. */
static size_t grammar_length(const char *p, size_t n)
{
    size_t at = n > 0 && p[0] == '-', count = digits(p, n, at);
    if (count == 0) {
        return 0;
    }
    at += p[at] == '0' ? 1 : count;
    if (at < n && p[at] == '.' && digits(p, n, at + 1) > 0) {
        at += 1 + digits(p, n, at + 1);
    }
    if (at < n && (p[at] == 'e' || p[at] == 'E')) {
        size_t sign = at + 1 < n && (p[at + 1] == '+' || p[at + 1] == '-');
        count = digits(p, n, at + 1 + sign);
        at += count > 0 ? 1 + sign + count : 0;
    }
    return at;
}

static void check_parse(const char *p, size_t n)
{
    double d = 0;
    float f = 0;
    size_t length = grammar_length(p, n);
    const char *expected = length == 0 ? NULL : p + length;
    check(mill_number_parse_double(p, p + n, &d) == expected, "another length");
    check(mill_number_parse_float(p, p + n, &f) == expected, "another length");
    if (length > 0) {
        char *copy = strndup(p, length);
        double their_d = strtod(copy, NULL);
        float their_f = strtof(copy, NULL);
        check(memcmp(&d, &their_d, sizeof(d)) == 0, "another double than strtod's");
        check(memcmp(&f, &their_f, sizeof(f)) == 0, "another float than strtof's");
        free(copy);
    }
}

static void check_print(const uint8_t *data)
{
    char text[MILL_NUMBER_TEXT_MAX];
    double d, d2 = 0;
    float f, f2 = 0;
    int64_t i, i2 = 0;
    memcpy(&d, data, sizeof(d));
    memcpy(&f, data, sizeof(f));
    memcpy(&i, data, sizeof(i));
    if (isfinite(d)) {
        size_t n = mill_number_print_double(d, text);
        check(mill_number_parse_double(text, text + n, &d2) == text + n && memcmp(&d, &d2, sizeof(d)) == 0,
              "a double changed on its way");
    }
    if (isfinite(f)) {
        size_t n = mill_number_print_float(f, text);
        check(mill_number_parse_float(text, text + n, &f2) == text + n && memcmp(&f, &f2, sizeof(f)) == 0,
              "a float changed on its way");
    }
    size_t n = mill_number_print_int64(i, text);
    check(mill_number_parse_int64(text, text + n, &i2) == text + n && i == i2, "an integer changed on its way");
}

/* The other texts with a fixed form. */
static void check_times(struct mill_slice text)
{
    char printed[32];
    int64_t us = 0, again = 0;
    uint64_t bytes = 0;
    if (mill_timestamp_parse(text, &us) == MILL_OK) {
        size_t n = mill_timestamp_print(us, printed);
        check(mill_timestamp_parse((struct mill_slice){printed, n}, &again) == MILL_OK && again == us,
              "an instant changed on its way");
    }
    if (mill_duration_parse(text, &us, NULL) == MILL_OK) {
        struct mill_buffer out = {0};
        mill_duration_print(us, &out);
        check(mill_duration_parse(mill_buffer_slice(&out), &again, NULL) == MILL_OK && again == us,
              "a duration changed on its way");
        mill_buffer_clear(&out);
    }
    (void)!mill_size_parse(text, &bytes, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_parse((const char *)data, size);
    check_times((struct mill_slice){(const char *)data, size});
    if (size >= 8) {
        check_print(data);
    }
    return 0;
}

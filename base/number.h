/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers as text, exactly: parse is correctly rounded (the nearest double or float, ties to even),
 * print is the shortest decimal that reads back to the same bits. No locale. Any thread.
 *
 * Parse: Clinger's fast path, then Eisel-Lemire (D. Lemire, "Number Parsing at a Gigabyte per Second",
 * 2021), then strtod for a few of more than 19 digits. Print: Schubfach (R. Giulietti, 2020).
 */
#ifndef MILL_BASE_NUMBER_H
#define MILL_BASE_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MILL_NUMBER_TEXT_MAX = 32 };

/* Each reads the longest number at p (not past end) and returns where it stops, or NULL where no number of
 * JSON's grammar starts (-?int frac? exp?, RFC 8259): "01" stops behind the 0, "1." behind the 1. Overflow
 * gives +-infinity, underflow +-0, as strtod does. */
const char *mill_number_parse_double(const char *p, const char *end, double *ret_value);
const char *mill_number_parse_float(const char *p, const char *end, float *ret_value);
/* -?digits only; NULL where there are none or the value does not fit. Stops at the first other byte
 * (so "1.5" stops at ".": the caller decides). */
const char *mill_number_parse_int64(const char *p, const char *end, int64_t *ret_value);

/* Each writes to out (MILL_NUMBER_TEXT_MAX bytes) without a null and returns the length. Laid out as Python's
 * repr does, so that a reader sees a float: "2.0", "0.0001", "1e-05", "1234567890123456.0", "1e+16". NaN and
 * infinities are "nan", "inf", "-inf", which are no JSON (mill_json_write_double has strings for them). */
size_t mill_number_print_double(double value, char *out);
size_t mill_number_print_float(float value, char *out);
size_t mill_number_print_int64(int64_t value, char *out);

#endif

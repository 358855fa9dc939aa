/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers as text, exactly: parse is correctly rounded (the nearest double or float, ties to even),
 * print is the shortest decimal that reads back to the same bits. No locale. Any thread.
 *
 * Parse: Clinger's fast path, then Eisel-Lemire (D. Lemire, "Number Parsing at a Gigabyte per Second",
 * 2021), then strtod for the few that are left. Print: Schubfach (R. Giulietti, 2020).
 */
#ifndef MILL_BASE_NUMBER_H
#define MILL_BASE_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MILL_NUMBER_TEXT_MAX = 32 };

/* Each reads a number at p (not past end) and returns where it stops, or NULL where no number of
 * JSON's grammar starts (-?int frac? exp?, RFC 8259). Overflow gives +-infinity, as strtod does. */
const char *mill_number_parse_double(const char *p, const char *end, double *ret_value);
const char *mill_number_parse_float(const char *p, const char *end, float *ret_value);
/* -?digits only; NULL where there are none or the value does not fit. Stops at the first other byte
 * (so "1.5" stops at ".": the caller decides). */
const char *mill_number_parse_int64(const char *p, const char *end, int64_t *ret_value);

/* Each writes to out (MILL_NUMBER_TEXT_MAX bytes) without a null and returns the length. Integers of a
 * double below 1e15 or so are written without exponent ("2.0" is "2.0", "1e+300" is "1e+300", as
 * Python's repr does, so that a reader sees a float). Infinities and NaN are not numbers of JSON: the
 * caller writes those (mill_json_write_double gives "NaN", "Infinity", "-Infinity" as strings). */
size_t mill_number_print_double(double value, char *out);
size_t mill_number_print_float(float value, char *out);
size_t mill_number_print_int64(int64_t value, char *out);

#endif

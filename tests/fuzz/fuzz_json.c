/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON reader on any bytes: it must accept and find what jansson does, and what it hands out as strings must be
 * UTF-8 that the writer turns back into the same strings. */
#include <stdlib.h>

#include "tests/base/json_oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "%s\n", what);
        abort();
    }
}

static void check_strings(struct mill_slice text, bool allow_bare_nan)
{
    static struct mill_buffer scratch, again, scratch2;
    struct mill_json_reader r, r2;
    enum mill_json_token token;
    mill_json_reader_init(&r, text, &scratch);
    r.allow_bare_nan = allow_bare_nan;
    while ((token = mill_json_next(&r)) != MILL_JSON_END && token != MILL_JSON_ERROR) {
        if (token == MILL_JSON_STRING || token == MILL_JSON_KEY) {
            check(mill_utf8_is_valid(r.text), "a string that is not UTF-8");
            mill_buffer_reset(&again);
            mill_json_append_string(&again, r.text);
            mill_json_reader_init(&r2, mill_buffer_slice(&again), &scratch2);
            check(mill_json_next(&r2) == MILL_JSON_STRING, "the writer's string is not JSON");
            check(mill_slice_equal(r.text, r2.text), "the string changed on its way");
        }
    }
    struct mill_error err;
    if (token == MILL_JSON_ERROR) {
        check(mill_json_fail(&r, &err) == MILL_EDATA && err.line > 0 && err.col > 0, "an error without a place");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct mill_buffer scratch, out;
    struct mill_slice text = {(const char *)data, size};
    const char *verdict = json_oracle_compare(text, &scratch);
    check(verdict == NULL, verdict);
    check_strings(text, false);
    check_strings(text, true);
    mill_buffer_reset(&out);
    mill_json_append_string(&out, text); /* any bytes make a JSON string */
    struct mill_json_reader r;
    mill_json_reader_init(&r, mill_buffer_slice(&out), &scratch);
    check(mill_json_next(&r) == MILL_JSON_STRING && mill_json_next(&r) == MILL_JSON_END, "not a JSON string");
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an Avro single object: what is printed is one JSON value, what is refused leaves nothing behind. The
 * schema has every type, and itself inside. */
#include <stdlib.h>

#include "base/json.h"
#include "ingest/avro/schema_internal.h"
#include "ingest/ingest.h"

static const char schema[] =
    "{\"type\":\"record\",\"name\":\"r\",\"fields\":["
    "{\"name\":\"b\",\"type\":[\"null\",\"boolean\",\"r\"]},{\"name\":\"i\",\"type\":\"int\"},"
    "{\"name\":\"t\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}},"
    "{\"name\":\"m\",\"type\":[\"null\",{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}]},"
    "{\"name\":\"f\",\"type\":[\"float\",\"double\"]},{\"name\":\"s\",\"type\":[\"string\",\"bytes\"]},"
    "{\"name\":\"x\",\"type\":{\"type\":\"fixed\",\"name\":\"x\",\"size\":3}},"
    "{\"name\":\"e\",\"type\":{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"A\",\"B\"]}},"
    "{\"name\":\"a\",\"type\":{\"type\":\"array\",\"items\":[\"null\",\"r\"]}},"
    "{\"name\":\"n\",\"type\":{\"type\":\"array\",\"items\":\"null\"}},"
    "{\"name\":\"p\",\"type\":{\"type\":\"map\",\"values\":\"double\"}}]}";

static struct mill_avro_printer *printer;
static char head[10] = "\xc3\x01";

static void set_up(void)
{
    const struct mill_slice text = mill_slice_of(schema);
    struct mill__avro_schema *parsed;
    struct mill_error err;

    mill_assert(mill__avro_schema_parse(&text, 1, &parsed, &err) == MILL_OK);
    uint64_t fingerprint = mill__avro_schema_fingerprint(parsed);
    memcpy(head + 2, &fingerprint, sizeof(fingerprint));
    mill__avro_schema_free(parsed);
    mill_assert(mill_avro_printer_new(&text, 1, &printer, &err) == MILL_OK);
}

static void check_json(struct mill_slice text)
{
    struct mill_buffer unescaped = {0};
    struct mill_json_reader r;
    enum mill_json_token token;

    mill_json_reader_init(&r, text, &unescaped);
    do {
        token = mill_json_next(&r);
        mill_assert(token != MILL_JSON_ERROR);
    } while (token != MILL_JSON_END);
    mill_buffer_clear(&unescaped);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mill_buffer out = {0};

    if (printer == NULL) {
        set_up();
    }
    /* Of the exact size, so that the sanitizer sees a byte too much. */
    char *record = malloc(sizeof(head) + size);
    memcpy(record, head, sizeof(head));
    if (size > 0) {
        memcpy(record + sizeof(head), data, size);
    }
    if (mill_avro_print(printer, (struct mill_slice){record, sizeof(head) + size}, &out)) {
        check_json(mill_buffer_slice(&out));
    } else {
        mill_assert(out.n == 0);
    }
    free(record);
    mill_buffer_clear(&out);
    return 0;
}

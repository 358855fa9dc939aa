/* SPDX-License-Identifier: Apache-2.0 */
/* Wire frames from anywhere: no read out of bounds, the body is the tail of the value, and what is a frame stays one.
 * The first byte chooses the framing and, in its upper bits, how long a header is that comes before the value. */
#include <stdlib.h>

#include "ingest/framing_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mill__schema_id id = {0};
    struct mill_slice body = {0};
    struct mill__fault fault = {0};
    char text[MILL__SCHEMA_ID_SIZE];

    if (size == 0) {
        return 0;
    }
    enum mill_framing framing = (enum mill_framing)(data[0] & 3);
    size_t header_size = data[0] >> 2;
    data++;
    size--;
    header_size = header_size > size ? size : header_size;
    /* Copies of the exact sizes, so that the sanitizer sees a byte too much. */
    char *header = malloc(header_size + 1), *value = malloc(size - header_size > 0 ? size - header_size : 1);
    memcpy(header, data, header_size);
    memcpy(value, data + header_size, size - header_size);
    struct mill_record record = {.value = {value, size - header_size},
                                 .schema_id = {header_size > 0 ? header : NULL, header_size}};
    if (mill__frame_parse(framing, &record, &id, &body, &fault)) {
        mill_assert(body.p >= value && body.p + body.n == value + record.value.n);
        mill_assert((framing == MILL_FRAMING_BARE) == (id.kind == MILL__SCHEMA_NONE));
        mill_assert(strlen(mill__schema_id_print(id, text)) < sizeof(text));
    } else {
        mill_assert(fault.reason == MILL_REJECT_FRAMING && fault.text[0] != '\0');
    }
    free(header);
    free(value);
    return 0;
}

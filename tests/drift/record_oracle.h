/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of the drift topics against their published schemas (schemas/). JSON is read by jansson, and must have just
 * the fields that the schema names, of their types. Avro is read by avro-c, and comes back as the JSON that the same
 * record would be: by the names of the schema, enums by symbol, timestamps as text, null left out where the field has a
 * default. Every call asserts; the caller releases the value.
 */
#ifndef TESTS_DRIFT_RECORD_ORACLE_H
#define TESTS_DRIFT_RECORD_ORACLE_H

#include <jansson.h>

#include "base/slice.h"

json_t *record_read_json(const char *schema_file, struct mill_slice record);
/* record: a single object, with the fingerprint of the file's schema. */
json_t *record_read_avro(const char *schema_file, struct mill_slice record);

#endif

# SPDX-License-Identifier: Apache-2.0
# The published schemas (schemas/*.avsc) as bytes of the program, in a file that the build writes: for `tidemill tap`.

file(GLOB schema_files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/schemas/*.avsc)
set(arrays)
set(entries)
set(number 0)
foreach(schema_file ${schema_files})
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${schema_file})
    file(READ ${schema_file} hex HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
    string(APPEND arrays "static const char schema_${number}[] = {${bytes}};\n")
    string(APPEND entries "    {schema_${number}, sizeof(schema_${number})},\n")
    math(EXPR number "${number} + 1")
endforeach()
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/schemas.c @ONLY CONTENT [[/* Written by cmake/schemas.cmake. */
#include "cli/cli_internal.h"

@arrays@
const struct mill_slice mill_cli_schemas[] = {
@entries@};
const uint32_t mill_cli_schema_count = sizeof(mill_cli_schemas) / sizeof(mill_cli_schemas[0]);
]])

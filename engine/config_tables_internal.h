/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every key of the project file: type, default, limits and help. These tables are the binder's rules, the list that
 * `tidemill config` prints and docs/config.md, so that the three cannot disagree.
 */
#ifndef MILL_ENGINE_CONFIG_TABLES_INTERNAL_H
#define MILL_ENGINE_CONFIG_TABLES_INTERNAL_H

#include "engine/config_internal.h"

#define COUNT(array) (uint32_t)(sizeof(array) / sizeof((array)[0]))
/* A table whose rows are bound to the struct type. */
#define TABLE(name, type, rows)                                                                                        \
    {                                                                                                                  \
        name, sizeof(type), rows, COUNT(rows)                                                                          \
    }
#define AT(type, member) .offset = offsetof(type, member)
#define SINCE            .since = "0.1"

extern const struct mill__table mill__source_table, mill__entity_table, mill__view_table, mill__service_table,
    mill__model_table, mill__monitor_table;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The reference of the project file, docs/config.md, out of the tables that bind it. */
#include "engine/config_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/buffer.h"

const char *mill__option_type_name(const struct mill__option *option)
{
    switch (option->type) {
    case MILL__OPTION_BOOL:
        return "true or false";
    case MILL__OPTION_INTEGER:
        return "whole number";
    case MILL__OPTION_NUMBER:
        return "number";
    case MILL__OPTION_SIZE:
        return "size";
    case MILL__OPTION_DURATION:
        return "duration";
    case MILL__OPTION_NAME:
    case MILL__OPTION_LABEL:
        return "name";
    case MILL__OPTION_PATH:
        return "path";
    case MILL__OPTION_EXPRESSION:
        return "expression";
    case MILL__OPTION_WORD:
        return "word";
    case MILL__OPTION_STRINGS:
        return "text or list";
    case MILL__OPTION_SECTION:
        return "mapping";
    case MILL__OPTION_SECTIONS:
        return "list of mappings";
    case MILL__OPTION_ANY:
        return "";
    case MILL__OPTION_STRING:
    default:
        return "text";
    }
}

/* A | would end the cell. */
static void write_cell(struct mill_buffer *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|') {
            mill_buffer_add_byte(out, '\\');
        }
        mill_buffer_add_byte(out, (unsigned char)*text);
    }
}

static void write_type(struct mill_buffer *out, const struct mill__option *option)
{
    if (option->type == MILL__OPTION_WORD) {
        for (size_t i = 0; option->words[i] != NULL; i++) {
            mill_buffer_printf(out, "%s`%s`", i == 0 ? "" : ", ", option->words[i]);
        }
        return;
    }
    if (option->type == MILL__OPTION_ANY && option->expected != NULL) {
        write_cell(out, option->expected);
        return;
    }
    mill_buffer_add_string(out, mill__option_type_name(option));
    if (option->type == MILL__OPTION_INTEGER || option->type == MILL__OPTION_NUMBER) {
        if (option->min != 0 || option->max != 0) {
            mill_buffer_printf(out, ", %.15g to %.15g", option->min, option->max);
        }
    }
}

static void write_default(struct mill_buffer *out, const struct mill__option *option)
{
    if (option->flags & MILL__REQUIRED) {
        mill_buffer_add_string(out, option->flags & MILL__NOT_OFFLINE ? "required, but not offline" : "required");
    } else if (option->fallback != NULL && option->fallback[0] != '\0') {
        mill_buffer_printf(out, "`%s`", option->fallback);
    } else if (option->shown_fallback != NULL) {
        bool code = strpbrk(option->shown_fallback, "<[") != NULL || strchr(option->shown_fallback, ' ') == NULL;
        mill_buffer_printf(out, code ? "`%s`" : "%s", option->shown_fallback);
    }
}

static void write_row(struct mill_buffer *out, const struct mill__option *option)
{
    mill_buffer_printf(out, "| `%s` | ", option->key);
    write_type(out, option);
    mill_buffer_add_string(out, " | ");
    write_default(out, option);
    mill_buffer_add_string(out, " | ");
    write_cell(out, option->help);
    if (option->example != NULL) {
        mill_buffer_add_string(out, "; for example `");
        write_cell(out, option->example);
        mill_buffer_add_byte(out, '`');
    }
    mill_buffer_printf(out, " | %s |\n", option->since);
}

static void write_table(struct mill_buffer *out, const struct mill__table *table, const char *path)
{
    char below[256];
    mill_buffer_printf(out, "\n## %s\n\n| key | takes | default | what it is | since |\n|---|---|---|---|---|\n",
                       path[0] == '\0' ? "The file" : path);
    for (uint32_t i = 0; i < table->count; i++) {
        write_row(out, &table->options[i]);
    }
    for (uint32_t i = 0; i < table->count; i++) {
        const struct mill__option *option = &table->options[i];
        if (option->table == NULL) {
            continue;
        }
        int n = snprintf(below, sizeof(below), "%s%s%s%s", path, path[0] == '\0' ? "" : ".", option->key,
                         option->type == MILL__OPTION_SECTIONS ? "[]" : "");
        mill_assert(n > 0 && (size_t)n < sizeof(below));
        write_table(out, option->table, below);
    }
}

static const char introduction[] =
    "# The project file\n"
    "\n"
    "<!-- Written by 'tidemill config --reference'; a test compares the two. -->\n"
    "\n"
    "One YAML file describes a project. An unknown key, a wrong type or an unknown name is an error with its line and\n"
    "column; `tidemill validate` prints all of them in one run and leaves with status 78.\n"
    "\n"
    "- **Durations** are a number and a unit: `250ms`, `90s`, `5m`, `3h`, `7d`, `2w`. **Sizes**: `512KiB`, `64MiB`,\n"
    "  `1GiB`, or bytes.\n"
    "- **Paths** are relative to the project file.\n"
    "- **Variables** of the environment stand inside values: `${VAR}`, `${VAR:-default}`, `${VAR:?message}`; `$${` is "
    "`${`\n"
    "  itself. They are filled in after the YAML is read, so they cannot change its structure.\n"
    "- **Secrets** may be read from a file: `password_file` for `password`, and `KEY_file` for any librdkafka "
    "property.\n"
    "- **Settings** outside of lists can be given from outside: `--set kafka.group=test` wins over the environment\n"
    "  (`MILL_KAFKA_GROUP=test`), which wins over the file, which wins over the default. `tidemill config --origin` "
    "says\n"
    "  where each came from.\n"
    "- Anchors and aliases work within limits (a file of 1 MiB, 32 levels, 200,000 values with aliases written out);\n"
    "  merge keys (`<<`) and tags do not.\n"
    "\n"
    "An aggregation gives one output for each function and window, named `{column}_{function}_{time_window}` with the\n"
    "window as it is written (`dep_delay_mean_24h`), or `{column}_{function}` without one.\n"
    "\n"
    "A model address `models:/NAME@ALIAS`, `models:/NAME/VERSION` or `models:/NAME/latest` leads to\n"
    "`<model_registry.path>/NAME/VERSION/manifest.yaml`, whose keys are the last table. The model file's SHA-256 is\n"
    "checked against the manifest at load.\n";

void mill_project_write_reference(struct mill_buffer *out)
{
    mill_buffer_add_string(out, introduction);
    write_table(out, &mill__project_table, "");
    write_table(out, &mill__manifest_table, "manifest.yaml");
}

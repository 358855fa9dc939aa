/* SPDX-License-Identifier: Apache-2.0 */
/* tidemill version. */
#include "cli/cli_internal.h"

#include <stdio.h>

static const struct mill_cli_command command = {
    .name = "version",
    .arguments = "",
    .summary = "Shows the version.",
};

int mill_cmd_version(int argc, char **argv)
{
    struct mill_cli cli;
    int status;
    if (!mill_cli_parse(&command, argc, argv, &cli, &status)) {
        return status;
    }
    struct mill_buffer out = {0};
    if (cli.json) {
        mill_buffer_printf(&out, "{\"name\":\"tidemill\",\"version\":\"%s\"}\n", MILL_VERSION);
    } else {
        mill_buffer_printf(&out, "tidemill %s\n", MILL_VERSION);
    }
    status = mill_cli_write(&out);
    mill_buffer_clear(&out);
    return status;
}

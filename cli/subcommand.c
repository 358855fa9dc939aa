/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that have commands: `tidemill model ...`, `tidemill drift ...`. */
#include "cli/cli_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/suggest.h"

static void print_help(const char *parent, const struct mill_cli_subcommand *subcommands, const char *arguments,
                       const char *more)
{
    printf("usage: tidemill %s SUBCOMMAND %s\n\n", parent, arguments);
    for (const struct mill_cli_subcommand *s = subcommands; s->name != NULL; s++) {
        printf("  %-10s %s\n", s->name, s->help);
    }
    printf("\n%s'tidemill %s SUBCOMMAND --help' lists the options.\n", more, parent);
}

int mill_cli_dispatch(const char *parent, const struct mill_cli_subcommand *subcommands, const char *arguments,
                      const char *more, int argc, char **argv)
{
    const char *names[16];
    size_t count = 0;

    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help(parent, subcommands, arguments, more);
        return argc < 2 ? mill_error_exit_status(MILL_EUSAGE) : 0;
    }
    for (const struct mill_cli_subcommand *s = subcommands; s->name != NULL; s++) {
        mill_assert(count < sizeof(names) / sizeof(names[0]));
        names[count++] = s->name;
        if (strcmp(argv[1], s->name) == 0) {
            return s->run(argc - 1, argv + 1);
        }
    }
    const char *near = mill_suggest(mill_slice_of(argv[1]), names, count);
    if (near != NULL) {
        fprintf(stderr, "tidemill: unknown subcommand '%s %s'; hint: did you mean '%s %s'?\n", parent, argv[1], parent,
                near);
    } else {
        fprintf(stderr, "tidemill: unknown subcommand '%s %s'; hint: 'tidemill %s --help' lists them\n", parent,
                argv[1], parent);
    }
    return mill_error_exit_status(MILL_EUSAGE);
}

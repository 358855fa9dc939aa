/* SPDX-License-Identifier: Apache-2.0 */
/* The tidemill command: finds the subcommand in its table and runs it. */
#include "cli/cli_internal.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/suggest.h"
#include "cli/drift.h"
#include "cli/model.h"

struct subcommand {
    const char *name, *help;
    int (*run)(int argc, char **argv);
};

static const struct subcommand subcommands[] = {
    {"init", "write a project to begin with", mill_cmd_init},
    {"validate", "check a project file", mill_cmd_validate},
    {"run", "run a project, on Kafka or on files", mill_cmd_run},
    {"replay", "send rows of files to the topics of their sources", mill_cmd_replay},
    {"get", "show an entity's row from the online store", mill_cmd_get},
    {"tap", "print records of an output topic as they come", mill_cmd_tap},
    {"top", "show what a running engine does", mill_cmd_top},
    {"healthcheck", "ask a running engine whether it is ready", mill_cmd_healthcheck},
    {"broker", "an embedded Kafka broker for demos and tests", mill_cmd_broker},
    {"model", "inspect, score and explain model files", mill_cli_model},
    {"drift", "compare distributions, make profiles, ask monitors", mill_cli_drift},
    {"config", "show every setting and where it comes from", mill_cmd_config},
    {"version", "show the version", mill_cmd_version},
};
enum { SUBCOMMAND_COUNT = sizeof(subcommands) / sizeof(subcommands[0]) };

static void print_help(FILE *to)
{
    fputs("tidemill: streaming feature store and online inference engine\n\nusage: tidemill COMMAND [OPTION...]\n\n",
          to);
    for (size_t i = 0; i < SUBCOMMAND_COUNT; i++) {
        fprintf(to, "  %-12s %s\n", subcommands[i].name, subcommands[i].help);
    }
    fputs("\nexamples:\n"
          "  tidemill init shop            a starter project with sample data in ./shop\n"
          "  tidemill COMMAND --help       the options of a command\n",
          to);
}

static int unknown_command(const char *word)
{
    const char *names[SUBCOMMAND_COUNT];
    for (size_t i = 0; i < SUBCOMMAND_COUNT; i++) {
        names[i] = subcommands[i].name;
    }
    const char *near = mill_suggest(mill_slice_of(word), names, SUBCOMMAND_COUNT);
    if (near != NULL) {
        fprintf(stderr, "tidemill: unknown command '%s'; hint: did you mean '%s'?\n", word, near);
    } else {
        fprintf(stderr, "tidemill: unknown command '%s'; hint: 'tidemill --help' lists them\n", word);
    }
    return mill_error_exit_status(MILL_EUSAGE);
}

int main(int argc, char **argv)
{
    /* A reader that went away is an error of write(), with a status of its own, not a silent death. */
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help(stdout);
        return 0;
    }
    const char *word = argv[1];
    if (strcmp(word, "help") == 0) {
        if (argc == 2) {
            print_help(stdout);
            return 0;
        }
        static char help[] = "--help";
        argv[1] = argv[2];
        argv[2] = help;
        argc = 3;
        word = argv[1];
    } else if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        word = "version";
    }
    for (size_t i = 0; i < SUBCOMMAND_COUNT; i++) {
        if (strcmp(word, subcommands[i].name) == 0) {
            return subcommands[i].run(argc - 1, argv + 1);
        }
    }
    return unknown_command(word);
}

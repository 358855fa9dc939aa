/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of a subcommand, by its table: getopt_long underneath, types and limits checked here, --help printed from the
 * same table, the nearest name for what is not known. The options that every command has are added to each table.
 */
#include "cli/cli_internal.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/suggest.h"

enum { OPTIONS_MAX = 48, FIRST_VALUE = 256 };

static const char *const format_words[] = {"text", "json", NULL};
static const char *const color_words[] = {"auto", "always", "never", NULL};
static const char *const level_words[] = {"debug", "info", "warning", "error", NULL};

/* Values given by the user live as long as the process. */
static struct mill_arena arena;
static const char *no_texts[1];

static struct {
    int format, color, log_format, log_level;
    bool help;
} common;

static const struct mill_cli_option common_options[] = {
    {"format", 0, MILL_CLI_WORD, &common.format, "text|json", "how results are written", 0, 0, format_words},
    {"color", 0, MILL_CLI_WORD, &common.color, "auto|always|never", "colours on the terminal", 0, 0, color_words},
    {"log-format", 0, MILL_CLI_WORD, &common.log_format, "text|json", "how log lines are written", 0, 0, format_words},
    {"log-level", 0, MILL_CLI_WORD, &common.log_level, "LEVEL", "debug, info, warning or error", 0, 0, level_words},
    {"help", 'h', MILL_CLI_FLAG, &common.help, NULL, "show this help", 0, 0, NULL},
    {.name = NULL},
};

/* The command's own options, then those of projects, then the common ones. */
struct option_list {
    const struct mill_cli_option *at[OPTIONS_MAX];
    unsigned count;
};

static void list_add(struct option_list *list, const struct mill_cli_option *options)
{
    for (; options != NULL && options->name != NULL; options++) {
        mill_assert(list->count < OPTIONS_MAX);
        list->at[list->count++] = options;
    }
}

static void print_option(const struct mill_cli_option *option)
{
    char left[64];
    snprintf(left, sizeof(left), "%c%c%s --%s%s%s", option->letter == 0 ? ' ' : '-',
             option->letter == 0 ? ' ' : option->letter, option->letter == 0 ? " " : ",", option->name,
             option->argument == NULL ? "" : " ", option->argument == NULL ? "" : option->argument);
    printf(strlen(left) > 30 ? "  %s\n%34s%s\n" : "  %-31s%s%s\n", left, "", option->help);
}

static void print_help(const struct mill_cli_command *command, const struct option_list *list)
{
    printf("usage: tidemill %s [OPTION...]%s%s\n\n%s\n\n", command->name, command->arguments[0] == '\0' ? "" : " ",
           command->arguments, command->summary);
    for (unsigned i = 0; i < list->count; i++) {
        print_option(list->at[i]);
    }
    if (command->examples != NULL) {
        printf("\nexamples:\n%s", command->examples);
    }
}

static void append_text(struct mill_cli_texts *texts, const char *value)
{
    const char **at = mill_arena_array(&arena, const char *, texts->count + 2);
    if (texts->count > 0) {
        memcpy(at, texts->at, texts->count * sizeof(const char *));
    }
    at[texts->count] = value;
    at[texts->count + 1] = NULL;
    texts->at = at;
    texts->count++;
}

static int set_word(const struct mill_cli_option *option, const char *value, struct mill_error *err)
{
    size_t count = 0;
    for (; option->words[count] != NULL; count++) {
        if (strcmp(option->words[count], value) == 0) {
            *(int *)option->target = (int)count;
            return MILL_OK;
        }
    }
    struct mill_buffer all = {0};
    for (size_t i = 0; i < count; i++) {
        mill_buffer_printf(&all, "%s%s", i == 0 ? "" : i + 1 == count ? " or " : ", ", option->words[i]);
    }
    int rc = mill_fail(err, MILL_EUSAGE, "option '--%s': expected %s, found '%s'", option->name, mill_buffer_cstr(&all),
                       value);
    mill_buffer_clear(&all);
    return rc;
}

static int set_number(const struct mill_cli_option *option, const char *value, struct mill_error *err)
{
    bool whole = option->type == MILL_CLI_INTEGER, limited = option->max > option->min;
    char *end;
    long long integer = whole ? strtoll(value, &end, 10) : 0;
    double number = whole ? (double)integer : strtod(value, &end);
    if (value[0] == '\0' || *end != '\0' || !isfinite(number) ||
        (limited && (number < option->min || number > option->max))) {
        const char *kind = whole ? "a whole number" : "a number";
        return limited
                   ? mill_fail(err, MILL_EUSAGE, "option '--%s': expected %s from %.15g to %.15g, found '%s'",
                               option->name, kind, option->min, option->max, value)
                   : mill_fail(err, MILL_EUSAGE, "option '--%s': expected %s, found '%s'", option->name, kind, value);
    }
    if (whole) {
        *(int64_t *)option->target = integer;
    } else {
        *(double *)option->target = number;
    }
    return MILL_OK;
}

static int set_option(const struct mill_cli_option *option, const char *value, struct mill_error *err)
{
    switch (option->type) {
    case MILL_CLI_FLAG:
        *(bool *)option->target = true;
        return MILL_OK;
    case MILL_CLI_STRING:
        *(const char **)option->target = value;
        return MILL_OK;
    case MILL_CLI_STRINGS:
        append_text(option->target, value);
        return MILL_OK;
    case MILL_CLI_WORD:
        return set_word(option, value, err);
    case MILL_CLI_INTEGER:
    case MILL_CLI_NUMBER:
    default:
        return set_number(option, value, err);
    }
}

static int unknown_option(const struct option_list *list, const char *word, struct mill_error *err)
{
    const char *names[OPTIONS_MAX];
    size_t n = strcspn(word, "=");
    for (unsigned i = 0; i < list->count; i++) {
        names[i] = list->at[i]->name;
    }
    if (strncmp(word, "--", 2) != 0) {
        return mill_fail(err, MILL_EUSAGE, "unknown option '%s'", word);
    }
    const char *near = n <= 2 ? NULL : mill_suggest((struct mill_slice){word + 2, n - 2}, names, list->count);
    if (near == NULL) {
        return mill_fail(err, MILL_EUSAGE, "unknown option '%.*s'", (int)n, word);
    }
    return mill_fail(err, MILL_EUSAGE, "unknown option '%.*s'; hint: did you mean '--%s'?", (int)n, word, near);
}

static int refused(const struct option_list *list, int code, char *const *argv, struct mill_error *err)
{
    const char *word = argv[optind - 1];
    if (code == ':') {
        return mill_fail(err, MILL_EUSAGE, "option '%s' needs a value", word);
    }
    if (optopt >= FIRST_VALUE) {
        return mill_fail(err, MILL_EUSAGE, "option '--%s' takes no value", list->at[optopt - FIRST_VALUE]->name);
    }
    if (optopt != 0) {
        return mill_fail(err, MILL_EUSAGE, "unknown option '-%c'", optopt);
    }
    return unknown_option(list, word, err);
}

static int read_options(const struct option_list *list, int argc, char **argv, struct mill_error *err)
{
    struct option longs[OPTIONS_MAX + 1] = {{0}};
    char shorts[2 * OPTIONS_MAX + 2] = ":";
    size_t n = 1;
    for (unsigned i = 0; i < list->count; i++) {
        const struct mill_cli_option *option = list->at[i];
        bool valued = option->type != MILL_CLI_FLAG;
        longs[i] = (struct option){option->name, valued ? required_argument : no_argument, NULL, FIRST_VALUE + (int)i};
        if (option->letter != 0) {
            shorts[n++] = option->letter;
            if (valued) {
                shorts[n++] = ':';
            }
        }
    }
    shorts[n] = '\0';
    optind = 0; /* glibc: begin anew */
    opterr = 0;
    for (int code; (code = getopt_long(argc, argv, shorts, longs, NULL)) != -1;) {
        if (code == '?' || code == ':') {
            return refused(list, code, argv, err);
        }
        unsigned i = 0;
        while (i < list->count && code != FIRST_VALUE + (int)i && code != list->at[i]->letter) {
            i++;
        }
        mill_assert(i < list->count);
        MILL_TRY(set_option(list->at[i], optarg, err));
    }
    return MILL_OK;
}

static int check_arguments(const struct mill_cli_command *command, const struct mill_cli *cli, struct mill_error *err)
{
    if (cli->argument_count > command->arguments_max) {
        return mill_fail(err, MILL_EUSAGE, "unexpected argument '%s'; hint: 'tidemill %s --help'",
                         cli->arguments[command->arguments_max], command->name);
    }
    if (cli->argument_count < command->arguments_min) {
        return mill_fail(err, MILL_EUSAGE, "expected %s; hint: 'tidemill %s --help'", command->arguments,
                         command->name);
    }
    return MILL_OK;
}

static void set_up_terminal(void)
{
    static const enum mill_color_mode modes[] = {MILL_COLOR_AUTO, MILL_COLOR_ALWAYS, MILL_COLOR_NEVER};
    mill_log_force_color(modes[common.color]);
    struct mill_log_options log = {
        .level = (enum mill_log_level)common.log_level,
        .json = common.log_format == 1,
        .color = mill_terminal_has_color(STDERR_FILENO),
    };
    mill_log_setup(&log);
}

bool mill_cli_parse(const struct mill_cli_command *command, int argc, char **argv, struct mill_cli *cli,
                    int *ret_status)
{
    const struct mill_cli_option project_options[] = {
        {"config", 'c', MILL_CLI_STRING, &cli->config, "FILE", "the project file (default: tidemill.yaml)", 0, 0, NULL},
        {"set", 0, MILL_CLI_STRINGS, &cli->sets, "KEY=VALUE", "override a setting, such as kafka.group=test", 0, 0,
         NULL},
        {.name = NULL},
    };
    struct option_list list = {.count = 0};
    struct mill_error err;

    *cli = (struct mill_cli){.command = command, .config = "tidemill.yaml", .sets = {no_texts, 0}};
    common.log_level = MILL_LOG_INFO;
    list_add(&list, command->options);
    list_add(&list, command->project ? project_options : NULL);
    list_add(&list, common_options);
    int rc = read_options(&list, argc, argv, &err);
    cli->json = common.format == 1;
    if (rc == MILL_OK && common.help) {
        print_help(command, &list);
        *ret_status = 0;
        return false;
    }
    set_up_terminal();
    cli->arguments = argv + optind;
    cli->argument_count = (unsigned)(argc - optind);
    if (rc == MILL_OK) {
        rc = check_arguments(command, cli, &err);
    }
    if (rc < 0) {
        *ret_status = mill_cli_fail(cli, &err);
        return false;
    }
    return true;
}

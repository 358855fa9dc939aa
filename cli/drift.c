/* SPDX-License-Identifier: Apache-2.0 */
/* tidemill drift: finds the subcommand. */
#include "cli/drift.h"

static const struct mill_cli_subcommand subcommands[] = {
    {"compare", "compare the columns of two files", mill_cli_drift_compare},
    {"profile", "make a reference profile of rows, or show one", mill_cli_drift_profile},
    {"status", "show what a running engine's monitors say", mill_cli_drift_status},
    {"simulate", "how often a rule fires where nothing drifts", mill_cli_drift_simulate},
    {"trigger", "ask a running engine for retraining", mill_cli_drift_trigger},
    {NULL, NULL, NULL},
};

int mill_cli_drift(int argc, char **argv)
{
    return mill_cli_dispatch("drift", subcommands, "[OPTION...]",
                             "docs/drift.md says what the statistics and rules are.\n", argc, argv);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* tidemill drift trigger: asks for retraining by hand. The evaluator of the monitor writes the trigger, with the newest
 * window's end and the data window of the project file, to the retrain topic. */
#include "cli/drift.h"

static const struct mill_cli_command trigger_command = {
    .name = "drift trigger",
    .arguments = "MONITOR",
    .summary = "Asks the running engine for a retraining trigger of reason 'manual'. It goes to the retrain topic.",
    .examples = "  tidemill drift trigger late_arrival -c flights.yaml\n",
    .project = true,
    .arguments_min = 1,
    .arguments_max = 1,
};

int mill_cli_drift_trigger(int argc, char **argv)
{
    struct mill_cli cli;
    struct mill_error err;
    struct mill_project *project;
    struct mill_buffer out = {0};
    int status = 0;

    if (!mill_cli_parse(&trigger_command, argc, argv, &cli, &status)) {
        return status;
    }
    status = mill_cli_load(&cli, false, &project);
    if (status != 0) {
        return status;
    }
    const char *monitor = cli.arguments[0];
    if (mill_engine_request_trigger(project, monitor, &err) < 0) {
        status = mill_cli_fail(&cli, &err);
    } else if (cli.json) {
        mill_buffer_printf(&out, "{\"monitor\":\"%s\",\"topic\":\"%s\"}\n", monitor, project->output.retrain_topic);
        status = mill_cli_write(&out);
    } else {
        mill_buffer_printf(&out, "asked; the trigger comes on topic %s: tidemill tap retrain -c %s\n",
                           project->output.retrain_topic, cli.config);
        status = mill_cli_write(&out);
    }
    mill_buffer_clear(&out);
    mill_project_free(project);
    return status;
}

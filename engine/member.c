/* SPDX-License-Identifier: Apache-2.0 */
/* Names of the members of the consumer groups, for shards and the evaluator. */
#include <stdlib.h>
#include <unistd.h>

#include "base/hash.h"
#include "engine/engine_internal.h"

/*
 * Static membership: a member that comes back within the session time-out gets its partitions back at once, and with
 * them the state on its disk. The directory of the state names the member, since its lock lets one process in;
 * `group.instance.id` of the project takes the place of that name.
 */
struct mill_kafka_options mill__engine_member(const struct mill_engine *engine, const char *suffix,
                                              struct mill_arena *arena)
{
    const struct mill_project *project = engine->project;
    struct mill_kafka_options kafka = engine->kafka;
    const char *member = NULL;
    char host[256] = "";
    uint32_t count = 0;

    while (kafka.librdkafka != NULL && kafka.librdkafka[count] != NULL) {
        count++;
    }
    const char **pairs = mill_arena_zarray(arena, const char *, count + 3);
    for (uint32_t i = 0; i < count; i++) {
        pairs[i] = kafka.librdkafka[i];
    }
    for (uint32_t i = 0; i < count; i += 2) {
        if (strcmp(pairs[i], "group.instance.id") == 0) {
            member = pairs[i + 1];
            pairs[i + 1] = mill_arena_printf(arena, "%s-%s", member, suffix);
        }
    }
    if (member == NULL && project->offline_store.rocksdb) {
        gethostname(host, sizeof(host) - 1);
        char *path = realpath(project->offline_store.options.path, NULL);
        const char *name =
            mill_arena_printf(arena, "%s:%s", host, path != NULL ? path : project->offline_store.options.path);
        free(path);
        pairs[count] = "group.instance.id";
        pairs[count + 1] = mill_arena_printf(arena, "%s-%016llx-%s", project->name,
                                             (unsigned long long)mill_hash64(name, strlen(name)), suffix);
    }
    kafka.librdkafka = pairs;
    return kafka;
}

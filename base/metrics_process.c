/* SPDX-License-Identifier: Apache-2.0 */
/* The process_* metrics that every Prometheus client has, under the same names, from /proc. What cannot be read is
 * left out. Called by metrics_write.c. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/metrics_internal.h"

static void write_one(struct mill_buffer *out, const char *name, const char *type, const char *help, double value)
{
    mill_buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s ", name, help, name, type, name);
    mill__metrics_add_double(out, value);
    mill_buffer_add_byte(out, '\n');
}

/* Entries of /proc/self/fd, without the one that reading it takes. */
static unsigned count_open_files(void)
{
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL) {
        return 0;
    }
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        count += e->d_name[0] != '.';
    }
    closedir(dir);
    return count - 1;
}

/* Seconds since 1970 at which the machine started; 0 where it is not told. */
static double boot_time_s(void)
{
    struct mill_buffer text = {0};
    double seconds = 0;
    if (mill_file_read("/proc/stat", 1 << 22, &text, NULL) == MILL_OK) {
        const char *line = strstr(mill_buffer_cstr(&text), "\nbtime ");
        seconds = line == NULL ? 0 : strtod(line + strlen("\nbtime "), NULL);
    }
    mill_buffer_clear(&text);
    return seconds;
}

/* Fields 22 (start, in ticks since boot), 23 (virtual bytes) and 24 (resident pages) of /proc/self/stat. The name
 * in field 2 may hold anything: the count starts behind its last parenthesis. */
static bool read_stat(unsigned long long *start_ticks, unsigned long long *virtual_bytes,
                      unsigned long long *resident_pages)
{
    struct mill_buffer text = {0};
    bool good = false;
    if (mill_file_read("/proc/self/stat", 1 << 16, &text, NULL) == MILL_OK) {
        const char *p = strrchr(mill_buffer_cstr(&text), ')');
        good =
            p != NULL &&
            sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu %llu %llu",
                   start_ticks, virtual_bytes, resident_pages) == 3;
    }
    mill_buffer_clear(&text);
    return good;
}

void mill__metrics_write_process(struct mill_buffer *out)
{
    unsigned long long start_ticks, virtual_bytes, resident_pages;
    struct rlimit files;

    write_one(out, "process_cpu_seconds_total", "counter", "User and system CPU time spent, in seconds.",
              (double)mill_clock_process_cpu_ns() / 1e9);
    write_one(out, "process_open_fds", "gauge", "Open file descriptors.", count_open_files());
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        write_one(out, "process_max_fds", "gauge", "Most file descriptors that may be open.", (double)files.rlim_cur);
    }
    if (read_stat(&start_ticks, &virtual_bytes, &resident_pages)) {
        write_one(out, "process_virtual_memory_bytes", "gauge", "Virtual memory, in bytes.", (double)virtual_bytes);
        write_one(out, "process_resident_memory_bytes", "gauge", "Resident memory, in bytes.",
                  (double)resident_pages * (double)sysconf(_SC_PAGESIZE));
        write_one(out, "process_start_time_seconds", "gauge", "Start of the process, in seconds since 1970.",
                  boot_time_s() + (double)start_ticks / (double)sysconf(_SC_CLK_TCK));
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks; see clock.h. */
#include "base/clock.h"

#include <time.h>

#include "base/error.h"

static int64_t read_ns(clockid_t id)
{
    struct timespec ts;
    mill_assert(clock_gettime(id, &ts) == 0);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t mill_clock_mono_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

int64_t mill_clock_wall_us(void)
{
    return read_ns(CLOCK_REALTIME) / 1000;
}

int64_t mill_clock_thread_cpu_ns(void)
{
    return read_ns(CLOCK_THREAD_CPUTIME_ID);
}

int64_t mill_clock_process_cpu_ns(void)
{
    return read_ns(CLOCK_PROCESS_CPUTIME_ID);
}

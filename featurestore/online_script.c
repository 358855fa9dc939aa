/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Lua scripts that run inside Redis (5.0 or newer). docs/redis.md describes the fence hash.
 *
 * A write call: KEYS = fence, one key per row. ARGV = token, call number, mode ("1": rows are compared, "2": all rows
 * were put again), number of highs n, n times (field, offset), then the rows. It answers -1 fenced, 0 done, 1 done
 * although earlier calls are missing.
 * Numbers stay below 2^53, and 64-bit values are compared as two halves, because Lua's numbers are doubles; strings are
 * never compared with <, because Lua asks the locale.
 */
#include "featurestore/online_internal.h"

#define FENCE_ENTER                                                                                                    \
    "local fence = redis.call('HMGET', KEYS[1], 'token', 'call')\n"                                                    \
    "local token, call, compare = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == '1'\n"                              \
    "local stored, done = tonumber(fence[1] or -1), tonumber(fence[2] or 0)\n"                                         \
    "if stored > token then return -1 end\n"                                                                           \
    "if stored == token and done >= call then return 0 end\n"                                                          \
    "local lost = (stored < token or done < call - 1) and 1 or 0\n"                                                    \
    "local at = 5 + 2 * tonumber(ARGV[4])\n"

#define FENCE_LEAVE                                                                                                    \
    "redis.call('HSET', KEYS[1], 'token', ARGV[1], 'call', ARGV[2],\n"                                                 \
    "  unpack(ARGV, 5, 4 + 2 * tonumber(ARGV[4])))\n"                                                                  \
    "if lost == 1 then redis.call('HSET', KEYS[1], 'lost', '1')\n"                                                     \
    "elseif ARGV[3] == '2' then redis.call('HDEL', KEYS[1], 'lost') end\n"                                             \
    "return lost\n"

/* A row: value, milliseconds to live or "0". Stored rows are compared where magic, feature count and layout (the first
 * 16 bytes) are the same: a row of another layout is replaced. */
const char *const mill__script_packed =
    FENCE_ENTER "local function is_older(new, old)\n"
                "  if #old < 40 or string.sub(old, 1, 16) ~= string.sub(new, 1, 16) then return false end\n"
                "  local nt, nT, no, nO, np = struct.unpack('<I4i4I4i4i4', new, 17)\n"
                "  local ot, oT, oo, oO, op = struct.unpack('<I4i4I4i4i4', old, 17)\n"
                "  if nT ~= oT then return nT < oT end\n"
                "  if nt ~= ot then return nt < ot end\n"
                "  if np ~= op then return np < op end\n"
                "  if nO ~= oO then return nO < oO end\n"
                "  return no < oo\n"
                "end\n"
                "local plain, n = {}, 0\n" /* rows without an end go in one MSET: half the work of a SET each */
                "for i = 2, #KEYS do\n"
                "  local value, px = ARGV[at], ARGV[at + 1]\n"
                "  at = at + 2\n"
                "  if not compare or not is_older(value, redis.call('GETRANGE', KEYS[i], 0, 39)) then\n"
                "    if px == '0' then plain[n + 1], plain[n + 2], n = KEYS[i], value, n + 2\n"
                "    else redis.call('SET', KEYS[i], value, 'PX', px) end\n"
                "  end\n"
                "end\n"
                "if n > 0 then redis.call('MSET', unpack(plain, 1, n)) end\n" FENCE_LEAVE;

/* A row: seconds to live or "0", event time as seconds and nanoseconds, number of arguments of HSET m, m arguments, of
 * which the first is the timestamp field. As Feast does, a stored timestamp that is newer wins, and one of zero never
 * does. Of equal timestamps Feast keeps the stored row; here that is right only for rows that an earlier owner may have
 * written: after those, the new row is known to have the higher offset. */
const char *const mill__script_feast =
    FENCE_ENTER "local function timestamp(s)\n"
                "  local seconds, nanos, i = 0, 0, 1\n"
                "  while i <= #s do\n"
                "    local tag, value, scale, length = string.byte(s, i), 0, 1, 0\n"
                "    i = i + 1\n"
                "    repeat\n"
                "      local byte = string.byte(s, i) or 0\n"
                "      i, length = i + 1, length + 1\n"
                "      if length <= 6 then value, scale = value + byte % 128 * scale, scale * 128 end\n"
                "    until byte < 128\n"
                "    if length == 10 then value = value - scale end\n" /* negative: 42 bits hold any year */
                "    if tag == 8 then seconds = value elseif tag == 16 then nanos = value end\n"
                "  end\n"
                "  return seconds, nanos\n"
                "end\n"
                "for i = 2, #KEYS do\n"
                "  local expire, count = ARGV[at], tonumber(ARGV[at + 3])\n"
                "  local seconds, nanos = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])\n"
                "  local s, n = timestamp(redis.call('HGET', KEYS[i], ARGV[at + 4]) or '')\n"
                "  local skip = s > seconds or (s == seconds and (n > nanos or (n == nanos and compare)))\n"
                "  if not skip or (s == 0 and n == 0) then\n"
                "    redis.call('HSET', KEYS[i], unpack(ARGV, at + 4, at + 3 + count))\n"
                "    if expire ~= '0' then redis.call('EXPIRE', KEYS[i], expire) end\n"
                "  end\n"
                "  at = at + 4 + count\n"
                "end\n" FENCE_LEAVE;

/* KEYS = fence, ARGV = "1" where the caller knows that rows are missing. Takes a token above every other, also above
 * those from before Redis lost its memory, hence the clock. Answers token, "1" where rows are missing, then the fence's
 * fields and values. */
const char *const mill__script_claim = "local old, now = redis.call('HGET', KEYS[1], 'token'), redis.call('TIME')\n"
                                       "local token = tonumber(now[1]) * 1000000 + tonumber(now[2])\n"
                                       "if old and tonumber(old) >= token then token = tonumber(old) + 1 end\n"
                                       "local answer = redis.call('HGETALL', KEYS[1])\n"
                                       "token = string.format('%.0f', token)\n"
                                       "local lost = (not old or ARGV[1] == '1' or\n"
                                       "  redis.call('HEXISTS', KEYS[1], 'lost') == 1) and '1' or '0'\n"
                                       "table.insert(answer, 1, lost)\n"
                                       "table.insert(answer, 1, token)\n"
                                       "redis.call('HSET', KEYS[1], 'token', token, 'call', '0')\n"
                                       "if lost == '1' then redis.call('HSET', KEYS[1], 'lost', '1') end\n"
                                       "return answer\n";

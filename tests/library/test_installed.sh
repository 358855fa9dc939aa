#!/usr/bin/env bash
# tests/library/test_installed.sh BUILD_DIR CC [FLAG...]: installs libtidemill to a directory of its own and uses it from there: symbols,
# dependencies, pkg-config, the header in C99 and C++, examples/score built against the shared and the static library.
set -euo pipefail
build=$1 cc=$2; shift 2
flags=("$@")
here=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "FAILED: $1" >&2; exit 1; }

cmake --install "$build" --prefix "$work/made" --component library >/dev/null
mv "$work/made" "$work/moved" # a tree that was moved still works
export PKG_CONFIG_PATH
PKG_CONFIG_PATH=$(dirname "$(find "$work/moved" -name tidemill.pc)")
libdir=$(realpath "$(pkg-config --variable=libdir tidemill)")
export LD_LIBRARY_PATH=$libdir
[ "$(cd "$(pkg-config --variable=includedir tidemill)" && ls)" = "tidemill.h" ] || fail "the header stands alone in its directory"

# Nothing is visible but what the header declares, in both libraries.
grep -oE 'mill_scorer_[a-z0-9_]+\(' "$work/moved/include/tidemill.h" | tr -d '(' | sort -u >"$work/declared"
[ "$(wc -l <"$work/declared")" -ge 20 ] || fail "the header declares functions"
# AddressSanitizer adds symbols of its own.
symbols() { nm "$@" --defined-only | awk 'NF == 3 && $2 ~ /[A-Z]/ { print $3 }' | grep -vE '^_*(odr_)?asan|^_init$|^_fini$' | sort -u; }
symbols -D "$libdir/libtidemill.so" >"$work/shared"
symbols -g "$libdir/libtidemill.a" >"$work/static"
diff "$work/declared" "$work/shared" || fail "the shared library exports exactly what the header declares"
diff "$work/declared" "$work/static" || fail "the static library exports exactly what the header declares"
readelf -d "$libdir/libtidemill.so" | sed -nE 's/.*NEEDED.*\[(.*)\]/\1/p' | grep -vE '^(libc|libm|libasan|libubsan|libtsan|ld-linux.*|libgcc_s)\.' &&
    fail "needs another library than libc and libm"

# The header in C99 and in C++, without warnings.
warnings=(-Wall -Wextra -Wpedantic -Werror)
echo '#include <tidemill.h>' >"$work/header.c"
"$cc" -std=c99 "${warnings[@]}" $(pkg-config --cflags tidemill) -fsyntax-only "$work/header.c"
if command -v g++ >/dev/null; then
    g++ -std=c++11 "${warnings[@]}" $(pkg-config --cflags tidemill) -fsyntax-only -x c++ "$work/header.c"
fi

"$cc" -std=c99 "${warnings[@]}" "${flags[@]}" $(pkg-config --cflags tidemill) "$here/examples/score/score.c" $(pkg-config --libs tidemill) -o "$work/with_shared"
"$cc" -std=c99 "${warnings[@]}" "${flags[@]}" $(pkg-config --cflags tidemill) "$here/examples/score/score.c" "$libdir/libtidemill.a" -lm -pthread -o "$work/with_static"
grep -q "$libdir/libtidemill.so.0" <<<"$(ldd "$work/with_shared")" || fail "the program runs with the installed library"

# Row 0 of each case, as its trainer predicted it.
check() { # model, rows (as doubles or floats), predictions, od type and bytes of both, columns, values
    local model=$here/tests/inference/data/$1 in=$here/tests/inference/data/$2 expected got
    mapfile -t row < <(od -An -v -t "$4" -N $(("$5" * "$6")) -w"$5" "$in" | tr -d ' ')
    expected=$(od -An -v -t "$4" -N $(("$5" * "$7")) -w"$5" "$here/tests/inference/data/$3" | tr -d ' ')
    for program in with_shared with_static; do
        got=$("$work/$program" "$model" "${row[@]}")
        awk -v a="$expected" -v b="$got" 'BEGIN { n = split(a, x, "\n"); m = split(b, y, "\n"); bad = n != m;
            for (i = 1; i <= n; i++) { d = x[i] - y[i]; if (d < 0) d = -d; if (d > 1e-6) bad = 1 } exit bad }' ||
            fail "$program $1: expected $expected, found $got"
    done
}
check xgb/logistic_341.json xgb/logistic_341.in.f32 xgb/logistic_341.pred.f32 f4 4 8 1
check xgb/softprob_341.ubj xgb/softprob_341.in.f32 xgb/softprob_341.pred.f32 f4 4 8 5
check lgb/lgb_cat.txt lgb/lgb_cat.in.f64 lgb/lgb_cat.pred.f64 f8 8 8 1
check onnx/rf_classifier.onnx onnx/rf_classifier.in.f32 onnx/rf_classifier.out.f32 f4 4 8 3

if "$work/with_shared" 2>"$work/said"; then fail "a missing argument is an error"; fi
grep -q '^score: usage: score MODEL' "$work/said" || fail "it says how it is used"
if "$work/with_static" /nowhere 2>"$work/said"; then fail "a missing file is an error"; fi
grep -q "^score: .*'/nowhere'" "$work/said" || fail "it names the missing file"
echo "libtidemill: $(wc -l <"$work/declared") functions, installed, linked and run both ways"

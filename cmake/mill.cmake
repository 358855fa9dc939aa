# SPDX-License-Identifier: Apache-2.0
# How every target of this project is built: language, warnings, hardening, sanitizers.

option(MILL_WERROR "warnings are errors" OFF)
set(MILL_SANITIZE "" CACHE STRING "address, thread, fuzzer or empty")

if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE Release)
endif()
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
# Asserts are ours (mill_assert, kept in every build). Sums must not be fused: the bits of a feature are a promise.
set(CMAKE_C_FLAGS_RELEASE "-O2 -g")
set(CMAKE_C_FLAGS_DEBUG "-O0 -g3")

find_program(MILL_CCACHE ccache)
if(MILL_CCACHE)
    set(CMAKE_C_COMPILER_LAUNCHER ${MILL_CCACHE})
endif()

set(mill_warnings -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes
    -Wmissing-prototypes -Wold-style-definition -Wwrite-strings -Wcast-qual -Wcast-align -Wpointer-arith -Wundef -Wvla
    -Wformat=2 -Wswitch-enum -Wnull-dereference -Wdouble-promotion -Wimplicit-fallthrough)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    list(APPEND mill_warnings -Wlogical-op -Wduplicated-cond -Wduplicated-branches -Wjump-misses-init)
    if(MILL_SANITIZE)
        # gcc's flow analysis of instrumented code reports what is not there.
        list(APPEND mill_warnings -Wno-null-dereference -Wno-maybe-uninitialized)
    endif()
endif()
if(MILL_WERROR)
    list(APPEND mill_warnings -Werror)
endif()

function(mill_target_options target)
    target_compile_definitions(${target} PRIVATE _GNU_SOURCE MILL_VERSION="${PROJECT_VERSION}")
    target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR})
    target_compile_options(${target} PRIVATE ${mill_warnings} -ffp-contract=off -fno-common -fvisibility=hidden
        -fstack-protector-strong -fstack-clash-protection -fcf-protection)
    if(MILL_SANITIZE STREQUAL "address")
        target_compile_options(${target} PRIVATE -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
        target_link_options(${target} PRIVATE -fsanitize=address,undefined)
    elseif(MILL_SANITIZE STREQUAL "thread")
        target_compile_options(${target} PRIVATE -fsanitize=thread)
        target_link_options(${target} PRIVATE -fsanitize=thread)
    elseif(MILL_SANITIZE STREQUAL "fuzzer")
        target_compile_options(${target} PRIVATE -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
        target_link_options(${target} PRIVATE -fsanitize=address,undefined)
    elseif(CMAKE_BUILD_TYPE STREQUAL "Release")
        target_compile_options(${target} PRIVATE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
    endif()
    target_link_options(${target} PRIVATE -Wl,-z,relro,-z,now)
endfunction()

# mill_module(NAME DEPENDS module... PRIVATE_DEPENDS library...): the directory NAME as the static library mill_NAME. Its sources are
# the .c files of that directory and of its sub-directories; third-party libraries are PRIVATE.
function(mill_module name)
    cmake_parse_arguments(arg "" "" "DEPENDS;PRIVATE_DEPENDS" ${ARGN})
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${name}/*.c)
    if(NOT sources)
        add_library(mill_${name} INTERFACE)
        add_library(mill::${name} ALIAS mill_${name})
        return()
    endif()
    add_library(mill_${name} STATIC ${sources})
    add_library(mill::${name} ALIAS mill_${name})
    mill_target_options(mill_${name})
    list(TRANSFORM arg_DEPENDS PREPEND mill::)
    target_link_libraries(mill_${name} PUBLIC ${arg_DEPENDS} PRIVATE ${arg_PRIVATE_DEPENDS})
endfunction()

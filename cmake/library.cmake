# SPDX-License-Identifier: Apache-2.0
# libtidemill: library/ and what it needs of inference/ and base/, with nothing but mill_scorer_ visible. Needs libc, libm and threads.
#   libtidemill.so   hidden symbols stay inside
#   libtidemill.a    one object in which they are made local, so that they cannot meet a user's
include(GNUInstallDirs)

add_library(tidemill_shared SHARED library/tidemill.c)
mill_target_options(tidemill_shared)
target_link_libraries(tidemill_shared PRIVATE mill_inference mill_base m)
set_target_properties(tidemill_shared PROPERTIES OUTPUT_NAME tidemill VERSION ${PROJECT_VERSION} SOVERSION 0)
# Of our own archives only the objects that are asked for come in, and none of the libraries that others of them wrap.
target_link_options(tidemill_shared PRIVATE -Wl,--as-needed
    # A thread that has scored frees its scratch when it ends, by code that must still be there.
    -Wl,-z,nodelete)

add_library(tidemill_objects OBJECT library/tidemill.c)
mill_target_options(tidemill_objects)
set(mill_library_archive ${PROJECT_BINARY_DIR}/libtidemill.a)
add_custom_command(OUTPUT ${mill_library_archive}
    COMMAND ${CMAKE_LINKER} -r -o libtidemill.o $<TARGET_OBJECTS:tidemill_objects> $<TARGET_FILE:mill_inference> $<TARGET_FILE:mill_base>
    COMMAND ${CMAKE_OBJCOPY} --localize-hidden libtidemill.o
    COMMAND ${CMAKE_COMMAND} -E rm -f libtidemill.a
    COMMAND ${CMAKE_AR} qcs libtidemill.a libtidemill.o
    COMMAND ${CMAKE_COMMAND} -E rm -f libtidemill.o
    DEPENDS tidemill_objects $<TARGET_OBJECTS:tidemill_objects> mill_inference mill_base
    WORKING_DIRECTORY ${PROJECT_BINARY_DIR} COMMAND_EXPAND_LISTS VERBATIM)
add_custom_target(tidemill_static ALL DEPENDS ${mill_library_archive})

# The tree may be moved after installation.
file(RELATIVE_PATH mill_pc_up ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(library/tidemill.pc.in ${PROJECT_BINARY_DIR}/tidemill.pc @ONLY)
install(TARGETS tidemill_shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library)
install(FILES ${mill_library_archive} DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library)
install(FILES library/tidemill.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT library)
install(FILES ${PROJECT_BINARY_DIR}/tidemill.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT library)

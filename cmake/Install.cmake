# cmake --install: the programs, the library with its headers and prony.pc, and the manual page and the completion, which
# the program makes from its own option tables.

include(GNUInstallDirs)

install(TARGETS prony RUNTIME)
if(TARGET prony-gbench)
    install(TARGETS prony-gbench RUNTIME)
endif()
install(TARGETS prony_image LIBRARY) # the kernels, for the engines of CPython
install(TARGETS prony_parallel prony_base ARCHIVE)
install(DIRECTORY include/prony TYPE INCLUDE FILES_MATCHING PATTERN "*.h")
install(FILES README.md CHANGELOG.md LICENSE TYPE DOC)

set(PRONY_REQUIRES "")
if(TARGET PkgConfig::NETTLE)
    set(PRONY_REQUIRES nettle)
endif()
file(RELATIVE_PATH PRONY_UP /${CMAKE_INSTALL_LIBDIR}/pkgconfig /) # so that the whole may be moved
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/prony.pc CONTENT
[[prefix=${pcfiledir}/@PRONY_UP@
includedir=${prefix}/@CMAKE_INSTALL_INCLUDEDIR@
libdir=${pcfiledir}/..

Name: prony
Description: pools, an executor, futures, locks, queues and processes over shared memory
Version: @PROJECT_VERSION@
Cflags: -I${includedir}
Libs: -L${libdir} -lprony -lprony_base
Libs.private: -lpthread -ldl
Requires.private: @PRONY_REQUIRES@
]] @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/prony.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# A page that cannot be made is an error: half an installation is none.
foreach(page IN ITEMS man:${CMAKE_INSTALL_MANDIR}/man1/prony.1
                      bash:${CMAKE_INSTALL_DATADIR}/bash-completion/completions/prony)
    string(REGEX MATCH "^([a-z]+):(.*)$" matched ${page})
    install(CODE "
        execute_process(COMMAND $<TARGET_FILE:prony> __reference ${CMAKE_MATCH_1}
                        OUTPUT_VARIABLE text COMMAND_ERROR_IS_FATAL ANY)
        message(STATUS \"Installing: \$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_MATCH_2}\")
        file(WRITE \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_MATCH_2}\" \"\${text}\")")
endforeach()

# One target a room, with the same flags everywhere.

add_library(prony_flags INTERFACE)
target_compile_definitions(prony_flags INTERFACE _GNU_SOURCE)
target_include_directories(prony_flags INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
target_compile_options(prony_flags INTERFACE
    -Wall -Wextra -Wshadow -Wpointer-arith -Wwrite-strings -Wvla $<$<C_COMPILER_ID:GNU>:-Wno-format-truncation>
    $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes> $<$<COMPILE_LANGUAGE:C>:-Wmissing-prototypes>
    -fno-omit-frame-pointer
    $<$<BOOL:${PRONY_WERROR}>:-Werror>)
if(PRONY_SANITIZE)
    target_compile_options(prony_flags INTERFACE -fsanitize=${PRONY_SANITIZE} -fno-sanitize-recover=undefined)
    target_link_options(prony_flags INTERFACE -fsanitize=${PRONY_SANITIZE})
    target_compile_definitions(prony_flags INTERFACE PRONY_SANITIZED)
endif()
if(PRONY_SANITIZE MATCHES "thread")
    target_compile_options(prony_flags INTERFACE -Wno-tsan) # fences are compiled, and only not modelled
endif()
if(PRONY_COVERAGE)
    target_compile_options(prony_flags INTERFACE --coverage -fprofile-update=atomic)
    target_link_options(prony_flags INTERFACE --coverage)
endif()

# prony_room(NAME SOURCES a.c b.c USES other_rooms... LINKS foreign_targets...)
# USES are rooms below this one; LINKS are foreign libraries, private to the room.
function(prony_room name)
    cmake_parse_arguments(ARG "" "" "SOURCES;USES;LINKS" ${ARGN})
    add_library(prony_${name} STATIC ${ARG_SOURCES})
    list(TRANSFORM ARG_USES PREPEND prony_)
    target_link_libraries(prony_${name} PUBLIC prony_flags ${ARG_USES} PRIVATE ${ARG_LINKS})
endfunction()

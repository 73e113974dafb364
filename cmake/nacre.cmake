# What every target of the project shares: warnings, hardening, sanitizers, and the two ways to add a target.

set(NACRE_SANITIZE "" CACHE STRING "Sanitizers for all targets, for example address,undefined or thread")
option(NACRE_WERROR "Warnings are errors" ON)
option(NACRE_COVERAGE "Instrument for gcovr" OFF)
option(NACRE_FUZZ "Build the fuzz targets (clang)" OFF)

# An interface target: compile and link options for code that we wrote. Generated code does not link it.
add_library(nacre_options INTERFACE)
target_compile_features(nacre_options INTERFACE c_std_11)
target_compile_definitions(nacre_options INTERFACE _GNU_SOURCE
    NACRE_VERSION="${PROJECT_VERSION}" NACRE_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
target_include_directories(nacre_options INTERFACE ${PROJECT_SOURCE_DIR}/src)
target_compile_options(nacre_options INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla
    -Wformat=2 -Wcast-qual -Wundef -Wnull-dereference
    -fno-strict-aliasing -fstack-protector-strong -fno-omit-frame-pointer
    $<$<BOOL:${NACRE_WERROR}>:-Werror>)

# Hardening of everything, generated code too.
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
add_compile_options($<$<CONFIG:Release>:-D_FORTIFY_SOURCE=2> -fstack-clash-protection)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|amd64")
    add_compile_options(-fcf-protection=full)
endif()
# --as-needed: pkg-config's grpc drags in about forty names that nothing here uses.
add_link_options(-Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,--as-needed)

if(NACRE_SANITIZE)
    add_compile_options(-fsanitize=${NACRE_SANITIZE} -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${NACRE_SANITIZE})
endif()
if(NACRE_COVERAGE)
    add_compile_options(--coverage)
    add_link_options(--coverage)
endif()

# nacre_library(NAME SOURCES a.c b.c LINKS other ...): one folder of src/, one static library.
function(nacre_library name)
    cmake_parse_arguments(ARG "" "" "SOURCES;LINKS;PRIVATE_LINKS" ${ARGN})
    add_library(nacre_${name} STATIC ${ARG_SOURCES})
    target_link_libraries(nacre_${name} PUBLIC nacre_options ${ARG_LINKS} PRIVATE ${ARG_PRIVATE_LINKS})
endfunction()

# nacre_proto(TARGET file.proto ...): protobuf-c code made at build time, compiled without our warnings.
function(nacre_proto target)
    set(gen ${CMAKE_BINARY_DIR}/gen)
    set(sources "")
    foreach(proto ${ARGN})
        get_filename_component(stem ${proto} NAME_WE)
        get_filename_component(dir ${proto} DIRECTORY)
        add_custom_command(
            OUTPUT ${gen}/${stem}.pb-c.c ${gen}/${stem}.pb-c.h
            COMMAND ${CMAKE_COMMAND} -E make_directory ${gen}
            COMMAND ${PROTOC_C} -I${dir} -I${PROTOBUF_INCLUDE} --c_out=${gen} ${proto}
            DEPENDS ${proto} VERBATIM)
        list(APPEND sources ${gen}/${stem}.pb-c.c)
    endforeach()
    add_library(${target} STATIC ${sources})
    target_include_directories(${target} SYSTEM PUBLIC ${gen})
    target_link_libraries(${target} PUBLIC PkgConfig::PROTOBUF_C)
    target_compile_options(${target} PRIVATE -w)
endfunction()

# nacre_schema(FOLDER file.sql ...): FOLDER_schema.h with FOLDER_migrations[] for nacre_FOLDER (store/migrate.h), made at build time.
function(nacre_schema folder)
    set(files ${ARGN})
    list(TRANSFORM files PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
    set(out ${CMAKE_CURRENT_BINARY_DIR}/${folder}_schema.h)
    set(script ${PROJECT_SOURCE_DIR}/cmake/schema.cmake)
    add_custom_command(
        OUTPUT ${out}
        COMMAND ${CMAKE_COMMAND} -DOUT=${out} -DNAME=${folder} "-DFILES=${files}" -P ${script}
        DEPENDS ${files} ${script} VERBATIM)
    target_sources(nacre_${folder} PRIVATE ${out})
    target_include_directories(nacre_${folder} PRIVATE ${CMAKE_CURRENT_BINARY_DIR})
endfunction()

# nacre_unit_test(FOLDER MODULE LINKS ...): tests/unit/FOLDER/test_MODULE.c, ctest name unit.FOLDER.MODULE, label unit.
function(nacre_unit_test folder module)
    cmake_parse_arguments(ARG "" "" "LINKS;SOURCES" ${ARGN})
    set(name unit_${folder}_${module})
    add_executable(${name} ${PROJECT_SOURCE_DIR}/tests/unit/${folder}/test_${module}.c ${ARG_SOURCES})
    target_link_libraries(${name} PRIVATE nacre_options nacre_${folder} ${ARG_LINKS} PkgConfig::CMOCKA)
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests/lib)
    add_test(NAME unit.${folder}.${module} COMMAND ${name})
    set_tests_properties(unit.${folder}.${module} PROPERTIES LABELS unit TIMEOUT 60)
endfunction()

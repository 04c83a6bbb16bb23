/* A main function's parts. */
#include "shims/gbench/inner.h"

#include <cerrno>
#include <cstdio>
#include <exception>
#include <new>
#include <sstream>

namespace
{

void (*own_help)(void);

void print_help()
{
    if (own_help != nullptr)
        own_help();
    (void)fflush(stdout);
    benchmark::PrintDefaultHelp();
}

} // namespace

extern "C" {

void prony_gbench_initialize(int *argc, char **argv, void (*help)(void))
{
    own_help = help;
    benchmark::Initialize(argc, argv, print_help);
}

bool prony_gbench_unrecognized(int argc, char **argv)
{
    return benchmark::ReportUnrecognizedArguments(argc, argv);
}

int prony_gbench_context(const char *key, const char *value)
{
    try {
        benchmark::AddCustomContext(key, value);
        return 0;
    } catch (const std::bad_alloc &) {
        return -ENOMEM;
    }
}

int prony_gbench_run(const char *filter, size_t *matched, struct prony_error *error)
{
    size_t count = 0;
    const prony_error &mistake = prony_gbench_mistake();
    if (mistake.code != 0)
        return prony_fail(error, mistake.code, "%s", mistake.text);
    try {
        /* Given to it each time: 1.7.1 frees its own after the first run, and uses it in the second. */
        benchmark::BenchmarkReporter *display = benchmark::CreateDefaultDisplayReporter();
        count = filter == nullptr ? benchmark::RunSpecifiedBenchmarks(display)
                                  : benchmark::RunSpecifiedBenchmarks(display, nullptr, filter);
    } catch (const std::exception &said) {
        return prony_fail(error, -ENOMEM, "the library failed: %s", said.what());
    }
    if (matched != nullptr)
        *matched = count;
    return 0;
}

void prony_gbench_shutdown(void)
{
    benchmark::Shutdown();
}

/* Only the library knows, and tells only in a report. */
const char *prony_gbench_library_build(void)
{
    try {
        std::ostringstream out;
        benchmark::JSONReporter reporter;
        reporter.SetOutputStream(&out);
        (void)reporter.ReportContext(benchmark::BenchmarkReporter::Context());
        return out.str().find("\"library_build_type\": \"release\"") != std::string::npos ? "release" : "debug";
    } catch (const std::exception &) {
        return "unknown";
    }
}

int prony_gbench_main(int argc, char **argv, void (*register_all)(void))
{
    prony_error error = {0, ""};
    size_t matched = 0;
    prony_gbench_initialize(&argc, argv, nullptr);
    if (prony_gbench_unrecognized(argc, argv))
        return 2;
    register_all();
    if (prony_gbench_run(nullptr, &matched, &error) != 0)
        (void)fprintf(stderr, "%s\n", error.text);
    prony_gbench_shutdown();
    return error.code != 0 ? 3 : matched == 0 ? 2 : 0;
}

} // extern "C"

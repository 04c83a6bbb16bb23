/* Names of events become what the kernel is told: on trees that look like sysfs of a CPU with two kinds of cores, with
 * memory controllers and power meters, none of which need be here. */
#include "counters/events.h"
#include "counters/proc.h"

#include <errno.h>
#include <ftw.h>
#include <linux/perf_event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char root[] = "/tmp/prony-events-XXXXXX";

static void put(const char *path, const char *text)
{
    char full[512];
    FILE *file;
    (void)snprintf(full, sizeof full, "%s/%s", root, path);
    for (char *at = full + strlen(root) + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        (void)mkdir(full, 0700);
        *at = '/';
    }
    file = fopen(full, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void put_device(const char *pmu, const char *file, const char *text)
{
    char path[256];
    (void)snprintf(path, sizeof path, "sys/bus/event_source/devices/%s/%s", pmu, file);
    put(path, text);
}

static int make_tree(void **state)
{
    (void)state;
    if (mkdtemp(root) == NULL)
        return -1;
    put_device("cpu_core", "type", "4\n");
    put_device("cpu_core", "cpus", "0-3\n");
    put_device("cpu_core", "format/event", "config:0-7\n");
    put_device("cpu_core", "format/umask", "config:8-15\n");
    put_device("cpu_core", "format/inv", "config:23\n");
    put_device("cpu_core", "format/ldlat", "config1:0-15\n");
    put_device("cpu_core", "format/split", "config:0-7,32-35\n");
    put_device("cpu_core", "events/mem-loads", "event=0xcd,umask=0x1,ldlat=3\n");
    put_device("cpu_atom", "type", "10\n");
    put_device("cpu_atom", "cpus", "4-5,7\n");
    put_device("power", "type", "20\n");
    put_device("power", "cpumask", "0,8\n");
    put_device("power", "format/event", "config:0-7\n");
    put_device("power", "events/energy-pkg", "event=0x02\n");
    put_device("power", "events/energy-pkg.scale", "2.3283064365386962890625e-10\n");
    put_device("power", "events/energy-pkg.unit", "Joules\n");
    put_device("uncore_imc_0", "type", "15\n");
    put_device("uncore_imc_0", "cpumask", "0\n");
    put_device("uncore_imc_0", "format/event", "config:0-7\n");
    put_device("uncore_imc_0", "format/umask", "config:8-15\n");
    put_device("uncore_imc_0", "events/cas_count_read", "event=0x04,umask=0x03\n");
    put_device("uncore_imc_0", "events/cas_count_read.scale", "6.103515625e-5\n");
    put_device("uncore_imc_0", "events/cas_count_read.unit", "MiB\n");
    return 0;
}

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *where)
{
    (void)about, (void)kind, (void)where;
    return remove(path);
}

static int remove_tree(void **state)
{
    (void)state;
    return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct prony_event found(const char *name, int cpu)
{
    struct prony_event event;
    struct prony_error error = {0, ""};
    if (prony_event_find(root, name, cpu, &event, &error) != 0)
        fail_msg("%s on CPU %d: %s", name, cpu, error.text);
    return event;
}

static void refused(const char *name, int cpu, int code, const char *says)
{
    struct prony_event event;
    struct prony_error error = {0, ""};
    assert_int_equal(prony_event_find(root, name, cpu, &event, &error), code);
    if (strstr(error.text, says) == NULL)
        fail_msg("'%s' does not say '%s'", error.text, says);
}

static void each_kind_of_core_has_its_own_pmu(void **state)
{
    struct prony_event event = found("instructions", 1);
    (void)state;
    assert_int_equal(event.type, PERF_TYPE_HARDWARE);
    assert_int_equal(event.config[0], 4ull << 32 | PERF_COUNT_HW_INSTRUCTIONS);
    assert_string_equal(event.pmu, "cpu_core");
    event = found("instructions", 7);
    assert_int_equal(event.config[0], 10ull << 32 | PERF_COUNT_HW_INSTRUCTIONS);
    assert_string_equal(event.pmu, "cpu_atom");
    event = found("L1-dcache-load-misses", 5);
    assert_int_equal(event.type, PERF_TYPE_HW_CACHE);
    assert_int_equal(event.config[0], 10ull << 32 | 1 << 16);
    refused("cycles", 6, -ENOTSUP, "several kinds of cores");
    refused("cycles", -1, -ENOTSUP, "bound to none");
    event = found("page-faults", -1); /* no core has a part in it */
    assert_true(event.software && event.with_kernel);
    refused("cpu_core/mem-loads/", 5, -ENOTSUP, "CPU 5");
}

static void terms_lie_where_the_format_says(void **state)
{
    struct prony_event event = found("cpu_core/event=0x3c,umask=0x41,inv/", 0);
    (void)state;
    assert_int_equal(event.type, 4);
    assert_int_equal(event.config[0], 0x80413c);
    event = found("cpu_core/mem-loads/", 0);
    assert_int_equal(event.config[0], 0x1cd);
    assert_int_equal(event.config[1], 3);
    event = found("cpu_core/split=0xabc/", 0);
    assert_int_equal(event.config[0], 0xabcull >> 8 << 32 | 0xbc);
    event = found("cpu_core/config=0x1b1/", 0);
    assert_int_equal(event.config[0], 0x1b1);
    event = found("r1b1", 0);
    assert_int_equal(event.type, PERF_TYPE_RAW);
    assert_int_equal(event.config[0], 0x1b1);
    refused("cpu_core/event=0x100/", 0, -ENOENT, "event");
    refused("cpu_core/nonsense/", 0, -ENOENT, "nonsense");
    refused("cpu_core/event=zebra/", 0, -ENOENT, "event");
    refused("cpu_core/../", 0, -ENOENT, "PMU/EVENT/");
    refused("cpu_core/", 0, -ENOENT, "PMU/EVENT/");
    refused("gpu/x/", 0, -ENOENT, "no PMU 'gpu'");
    refused("instuctions", 0, -ENOENT, "did you mean instructions");
    refused("L1-dcache-load-mises", 0, -ENOENT, "did you mean L1-dcache-load-misses");
}

static void pmus_outside_the_cores_count_by_package(void **state)
{
    struct prony_event event = found("power/energy-pkg/", 5);
    (void)state;
    assert_int_equal(event.ncpus, 2);
    assert_int_equal(event.cpus[0], 0);
    assert_int_equal(event.cpus[1], 8);
    assert_int_equal(event.config[0], 2);
    assert_true(event.factor > 2.3283e-4 && event.factor < 2.3284e-4); /* microjoules */
    event = found("uncore_imc_0/cas_count_read/", -1);
    assert_int_equal(event.config[0], 0x304);
    assert_int_equal(event.ncpus, 1);
    assert_true(event.factor == 64); /* bytes */
}

static void package_energy_adds_packages_and_survives_a_wrap(void **state)
{
    struct prony_proc proc;
    struct prony_value value = {.status = PRONY_NOT_TRIED};
    int64_t before;
    (void)state;
    assert_int_equal(prony_proc_energy(root, &proc, &value), -ENOENT);
    assert_int_equal(value.status, PRONY_NOT_SUPPORTED);
    assert_non_null(strstr(value.reason, "powercap"));
    put("sys/class/powercap/intel-rapl:0/energy_uj", "1000\n");
    put("sys/class/powercap/intel-rapl:0/max_energy_range_uj", "5000\n");
    put("sys/class/powercap/intel-rapl:1/energy_uj", "200\n");
    put("sys/class/powercap/intel-rapl:1/max_energy_range_uj", "5000\n");
    put("sys/class/powercap/intel-rapl:1:0/energy_uj", "77\n"); /* a part of package 1: not added to it */
    assert_int_equal(prony_proc_energy(root, &proc, &value), 0);
    before = prony_proc_read(&proc);
    assert_int_equal(before, 1200);
    put("sys/class/powercap/intel-rapl:0/energy_uj", "500\n"); /* went round: 4500 more */
    put("sys/class/powercap/intel-rapl:1/energy_uj", "300\n");
    assert_int_equal(prony_proc_read(&proc) - before, 4600);
    prony_proc_close(&proc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_of_core_has_its_own_pmu),
        cmocka_unit_test(terms_lie_where_the_format_says),
        cmocka_unit_test(pmus_outside_the_cores_count_by_package),
        cmocka_unit_test(package_energy_adds_packages_and_survives_a_wrap),
    };
    return cmocka_run_group_tests(tests, make_tree, remove_tree);
}

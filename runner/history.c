/* The history page. */
#include "runner/history.h"
#include "base/log.h"
#include "results/judge/history.h"
#include "runner/command.h"
#include "runner/folder.h"

static int history_write(const struct prony_history *history, const char *what, struct prony_error *error)
{
    struct runner_out out;
    int code = runner_out_open(&out, what, NULL, error);
    return code != 0 ? code : runner_out_close(&out, prony_history_export(history, out.format, out.file, error), error);
}

int runner_history(const char *folder, const struct prony_list *outs, double margin_percent)
{
    struct prony_history *history = NULL;
    struct prony_error error = {0, ""};
    char page[4200];
    int code = 0;
    for (size_t i = 0; code == 0 && i < outs->count; i++)
        code = runner_out_check(outs->item[i], prony_history_format_check, &error);
    if (code == 0)
        code = prony_history_read(folder, margin_percent, &history, &error);
    for (size_t i = 0; code == 0 && i < outs->count; i++)
        code = history_write(history, outs->item[i], &error);
    if (code == 0 && outs->count == 0) {
        (void)prony_history_table(history, stdout);
        (void)snprintf(page, sizeof page, "html:%s/history.html", folder);
        code = history_write(history, page, &error);
        if (code == 0)
            prony_info("history: %s", page + 5);
    }
    prony_history_free(history);
    return code == 0 ? EXIT_DONE : runner_say(&error);
}

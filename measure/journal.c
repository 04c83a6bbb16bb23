#include "measure/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LINE_MOST = 8192 };

int prony_journal_open(struct prony_journal *journal, const char *path, struct prony_error *error)
{
    memset(journal, 0, sizeof *journal);
    journal->fd = -1;
    if (path == NULL)
        return 0;
    journal->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (journal->fd < 0)
        return prony_fail(error, -errno, "the journal %s cannot be written: %s", path, strerrordesc_np(errno));
    prony_journal_say(journal, "prony-journal\t1");
    if (journal->error.code != 0) {
        *error = journal->error;
        return error->code;
    }
    return 0;
}

void prony_journal_say(struct prony_journal *journal, const char *format, ...)
{
    char line[LINE_MOST];
    va_list arguments;
    int length;
    ssize_t written;
    if (journal->fd < 0 || journal->error.code != 0)
        return;
    va_start(arguments, format);
    length = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    if (length < 0)
        return;
    if (length > LINE_MOST - 2)
        length = LINE_MOST - 2;
    line[length++] = '\n';
    do
        written = write(journal->fd, line, (size_t)length);
    while (written < 0 && errno == EINTR);
    if (written != (ssize_t)length)
        (void)prony_fail(&journal->error, written < 0 ? -errno : -ENOSPC, "the journal cannot be written: %s",
                         written < 0 ? strerrordesc_np(errno) : "no space left on the device");
}

void prony_journal_close(struct prony_journal *journal)
{
    if (journal->fd >= 0)
        (void)close(journal->fd);
    journal->fd = -1;
}

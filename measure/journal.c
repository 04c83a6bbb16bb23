#include "measure/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

int prony_journal_lock(int fd, const char *path, struct prony_error *error)
{
    /* of a runner that was just killed, a child may hold the file for another moment */
    enum { TRIES = 50 };
    const struct timespec pause = {0, 20000000};
    for (unsigned i = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; i++) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return 0; /* a file system without locks */
        if (i == TRIES)
            return prony_fail(error, -EBUSY, "the journal %s is in use: its run has not ended", path);
        (void)nanosleep(&pause, NULL);
    }
    return 0;
}

int prony_journal_open(struct prony_journal *journal, const char *path, struct prony_error *error)
{
    memset(journal, 0, sizeof *journal);
    journal->fd = -1;
    if (path == NULL)
        return 0;
    journal->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (journal->fd < 0)
        return prony_fail(error, -errno, "the journal %s cannot be written: %s", path, strerrordesc_np(errno));
    if (prony_journal_lock(journal->fd, path, error) != 0) {
        prony_journal_close(journal); /* it is somebody else's */
        return -EBUSY;
    }
    prony_journal_say(journal, "prony-journal\t%s", PRONY_JOURNAL_VERSION);
    if (journal->error.code != 0) {
        *error = journal->error;
        return error->code;
    }
    return 0;
}

void prony_journal_write(struct prony_journal *journal, const char *lines, size_t bytes)
{
    ssize_t written;
    if (journal->fd < 0 || journal->error.code != 0)
        return;
    if (lines == NULL) {
        (void)prony_fail(&journal->error, -ENOMEM, "no memory for the journal");
        return;
    }
    do
        written = write(journal->fd, lines, bytes);
    while (written < 0 && errno == EINTR);
    if (written != (ssize_t)bytes)
        (void)prony_fail(&journal->error, written < 0 ? -errno : -ENOSPC, "the journal cannot be written: %s",
                         written < 0 ? strerrordesc_np(errno) : "no space left on the device");
}

void prony_journal_say(struct prony_journal *journal, const char *format, ...)
{
    char *line = NULL;
    va_list arguments;
    int length;
    if (journal->fd < 0)
        return;
    va_start(arguments, format);
    length = vasprintf(&line, format, arguments);
    va_end(arguments);
    if (length < 0) {
        prony_journal_write(journal, NULL, 0);
        return;
    }
    for (char *end = line; (end = strchr(end, '\n')) != NULL;)
        *end = ' ';
    line[length] = '\n'; /* in the place of the NUL */
    prony_journal_write(journal, line, (size_t)length + 1);
    free(line);
}

void prony_journal_close(struct prony_journal *journal)
{
    if (journal->fd >= 0)
        (void)close(journal->fd);
    journal->fd = -1;
}

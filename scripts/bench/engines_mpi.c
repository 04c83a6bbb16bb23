/* Open MPI as an engine of one worker process, for scripts/bench/engines.sh, which builds it where mpicc is. Rank 0 is the
 * caller, on the first PU, rank 1 the worker, on the second. A task is a message and its result another one.
 *
 *   engines_mpi mpi submit    tasks a second, 16 bytes a task, 16 a result: sends, so many ahead of the results
 *   engines_mpi mpi windows   the same by windows of sends and receives that do not wait: their results come at their ends
 *   engines_mpi mpi copy      tasks a second that copy 64 KiB: they come as a message and go as one; the better way */
#include "engines.h"

#include <mpi.h>

enum { AHEAD = 32, WINDOW = 64, BYTES = 2 * sizeof(int64_t), ROUNDS = 5, STOP = 9 };

int first_pu, second_pu, worker_pid;

struct trade {
    int tasks, bytes;
    int ahead;      /* of plain sends: long ones return when they are received, so more would wait for each other */
    char *in, *out; /* WINDOW messages each */
};

static char *at(char *messages, const struct trade *trade, int i)
{
    return messages + (size_t)(i % WINDOW) * (size_t)trade->bytes;
}

/* What a task does: a message of 64 KiB is copied, a short one answered by its successor. */
static void work(const struct trade *trade, int i)
{
    char *in = at(trade->in, trade, i), *out = at(trade->out, trade, i);
    int64_t number;
    if (trade->bytes == COPY) {
        memcpy(out, in, COPY);
    } else {
        memcpy(&number, in, sizeof number);
        number++;
        memcpy(out, &number, sizeof number);
    }
}

static void make(const struct trade *trade, int i)
{
    const int64_t number = i;
    memcpy(at(trade->out, trade, i), &number, sizeof number);
}

static void verify(const struct trade *trade, int i)
{
    int64_t number;
    memcpy(&number, at(trade->in, trade, i), sizeof number);
    if (number != i + (trade->bytes == COPY ? 0 : 1))
        fail("MPI gave a wrong result");
}

static void plain(const struct trade *trade, int rank)
{
    for (int i = 0; i < trade->tasks + trade->ahead; i++) {
        if (rank == 1) {
            if (i >= trade->tasks)
                break;
            MPI_Recv(at(trade->in, trade, i), trade->bytes, MPI_BYTE, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
            work(trade, i);
            MPI_Send(at(trade->out, trade, i), trade->bytes, MPI_BYTE, 0, 0, MPI_COMM_WORLD);
            continue;
        }
        if (i >= trade->ahead) {
            MPI_Recv(at(trade->in, trade, i - trade->ahead), trade->bytes, MPI_BYTE, 1, 0, MPI_COMM_WORLD,
                     MPI_STATUS_IGNORE);
            verify(trade, i - trade->ahead);
        }
        if (i < trade->tasks) {
            make(trade, i);
            MPI_Send(at(trade->out, trade, i), trade->bytes, MPI_BYTE, 1, 0, MPI_COMM_WORLD);
        }
    }
}

static void windows(const struct trade *trade, int rank)
{
    MPI_Request receipt[WINDOW], dispatch[WINDOW];
    for (int first = 0; first < trade->tasks; first += WINDOW) {
        const int n = trade->tasks - first < WINDOW ? trade->tasks - first : WINDOW;
        for (int i = 0; i < n; i++)
            MPI_Irecv(at(trade->in, trade, i), trade->bytes, MPI_BYTE, 1 - rank, 0, MPI_COMM_WORLD, &receipt[i]);
        for (int i = 0; i < n; i++) {
            if (rank == 0) {
                make(trade, first + i);
            } else {
                MPI_Wait(&receipt[i], MPI_STATUS_IGNORE);
                work(trade, i);
            }
            MPI_Isend(at(trade->out, trade, i), trade->bytes, MPI_BYTE, 1 - rank, 0, MPI_COMM_WORLD, &dispatch[i]);
        }
        MPI_Waitall(n, receipt, MPI_STATUSES_IGNORE);
        MPI_Waitall(n, dispatch, MPI_STATUSES_IGNORE);
        for (int i = 0; rank == 0 && i < n; i++)
            verify(trade, first + i);
    }
}

static double rate(void (*way)(const struct trade *, int), const struct trade *trade, int rank)
{
    double rates[ROUNDS];
    for (int round = -1; round < ROUNDS; round++) {
        uint64_t begun;
        MPI_Barrier(MPI_COMM_WORLD);
        begun = prony_now_ns();
        way(trade, rank);
        if (round >= 0)
            rates[round] = trade->tasks / ((double)(prony_now_ns() - begun) / 1e9);
    }
    return median(rates, ROUNDS);
}

int main(int argc, char **argv)
{
    const bool copy = argc == 3 && strcmp(argv[2], "copy") == 0, submit = argc == 3 && strcmp(argv[2], "submit") == 0;
    struct trade trade = {copy ? 2000 : TASKS, copy ? COPY : BYTES, copy ? 1 : AHEAD, NULL, NULL};
    int rank, ranks;
    double one = 0, many = 0;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    if (argc != 3 || ranks != 2 || (!copy && !submit && strcmp(argv[2], "windows") != 0))
        fail("usage: mpirun -n 2 engines_mpi mpi submit|windows|copy");
    find_pus();
    bind_to(rank == 0 ? first_pu : second_pu);
    trade.in = aligned_alloc(4096, (size_t)WINDOW * COPY);
    trade.out = aligned_alloc(4096, (size_t)WINDOW * COPY);
    memset(trade.in, 1, (size_t)WINDOW * COPY);
    memset(trade.out, 1, (size_t)WINDOW * COPY);
    if (copy || submit)
        one = rate(plain, &trade, rank);
    if (!submit)
        many = rate(windows, &trade, rank);
    if (rank == 0)
        (void)printf("%.6g\n", one > many ? one : many);
    free(trade.in);
    free(trade.out);
    return MPI_Finalize();
}

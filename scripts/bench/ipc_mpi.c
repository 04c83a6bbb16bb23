/* Messages one way over MPI between two ranks on their PUs; built by ipc.sh where mpicc is. Prints a line a size: bytes, and
 * ns a message of plain sends, and of windows of sends that do not wait; ipc.py takes the shorter of the two. The clock
 * stops when the last message has been read and that has been told. usage: ipc_mpi PU,PU ROUNDS BYTES... */
#include <mpi.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW = 64 };

static char *buffer;

static void plain(int rank, int bytes, long count)
{
    for (long i = 0; i < count; i++)
        if (rank == 0)
            MPI_Send(buffer, bytes, MPI_CHAR, 1, 0, MPI_COMM_WORLD);
        else
            MPI_Recv(buffer, bytes, MPI_CHAR, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
}

static void windows(int rank, int bytes, long count)
{
    MPI_Request request[WINDOW];
    for (long i = 0; i < count; i += WINDOW) {
        int n = count - i < WINDOW ? (int)(count - i) : WINDOW;
        for (int k = 0; k < n; k++)
            if (rank == 0)
                MPI_Isend(buffer, bytes, MPI_CHAR, 1, 0, MPI_COMM_WORLD, &request[k]);
            else
                MPI_Irecv(buffer, bytes, MPI_CHAR, 0, 0, MPI_COMM_WORLD, &request[k]);
        MPI_Waitall(n, request, MPI_STATUSES_IGNORE);
    }
}

static double time_ns(void (*loop)(int, int, long), int rank, int bytes, long count)
{
    char told = 0;
    double begun;
    MPI_Barrier(MPI_COMM_WORLD);
    begun = MPI_Wtime();
    loop(rank, bytes, count);
    if (rank == 0)
        MPI_Recv(&told, 1, MPI_CHAR, 1, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    else
        MPI_Send(&told, 1, MPI_CHAR, 0, 1, MPI_COMM_WORLD);
    return (MPI_Wtime() - begun) * 1e9 / (double)count;
}

int main(int argc, char **argv)
{
    int rank, ranks, pus[2];
    cpu_set_t set;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    if (argc < 4 || ranks != 2 || sscanf(argv[1], "%d,%d", &pus[0], &pus[1]) != 2)
        MPI_Abort(MPI_COMM_WORLD, 2);
    CPU_ZERO(&set);
    CPU_SET(pus[rank], &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        MPI_Abort(MPI_COMM_WORLD, 3);
    buffer = aligned_alloc(4096, 16 << 20);
    if (buffer == NULL)
        MPI_Abort(MPI_COMM_WORLD, 3);
    memset(buffer, 0x5a, 16 << 20);
    for (int round = -1; round < atoi(argv[2]); round++)
        for (int i = 3; i < argc; i++) {
            int bytes = atoi(argv[i]);
            long count = bytes < 16384 ? 4000 : (8 << 20) / bytes;
            double one = time_ns(plain, rank, bytes, count), many = time_ns(windows, rank, bytes, count);
            if (rank == 0 && round >= 0)
                printf("%d %.1f %.1f\n", bytes, one, many);
        }
    MPI_Finalize();
    return 0;
}

/* How a new process learns what to run: one message with its descriptors. And the forkserver, which takes such messages. */
#ifndef PRONY_PARALLEL_BIRTH_H
#define PRONY_PARALLEL_BIRTH_H

#include <prony/process.h>

#define BIRTH_LINE 3 /* the line's number in a clean image */

#define BIRTH_NAME 64

struct born {
    char entry[BIRTH_NAME], name[PRONY_PROCESS_NAME];
    uint32_t bytes, nfds;
    int32_t daemon, parent; /* its parent's id, for who lost it before it could ask to die with it */
    int32_t server;         /* the forkserver that forked it; 0: none */
    int fds[PRONY_BIRTH_FDS];
    int extra; /* a descriptor of the one who sent it; -1: none */
    unsigned char arg[PRONY_BIRTH_BYTES];
};

/* Sends what `start` says, and one more descriptor (-1: none). 0 or -errno. */
int prony_birth_send(int line, const struct prony_start *start, int extra);
/* 0; -ENODATA: nobody sends any more. */
int prony_birth_receive(int line, struct born *born);
/* Runs an entry of this image; its exit code. A daemon only if its parent still is there, and until that ends. */
int prony_birth_run(const struct born *born, const struct prony_birth *birth);
/* The name that a start gives. */
const char *prony_birth_name(const struct prony_start *start);
/* A clean image of this program, with its end of a new line; `line` becomes the other. 0 or -errno. */
int prony_birth_spawn(int *line, int *pid, struct prony_error *error);
/* main() has entered: the image can be executed again. */
int prony_process_entered(void);
prony_entry_fn *prony_entry_find(const char *name);

/* kin.c: a new process says who it is; a parent makes room for a child before it starts one, notes and forgets it. */
void prony_kin_born(const char *name, int daemon, int parent, int guard);
/* Is this process one? */
int prony_kin_is_daemon(void);
int prony_kin_room(void);
void prony_kin_add(const struct prony_process *process);
void prony_kin_drop(const struct prony_process *process);

/* The clean image's own entry, with which it becomes a forkserver. */
#define NURSERY_ENTRY "prony-forkserver"
/* Serves until the parent ends; comes back with an exit code, in the server and in each child it forked. */
int prony_nursery_serve(int line, int parent);
/* Starts by the server, which is started itself if there is none. */
int prony_nursery_start(struct prony_process *process, const struct prony_start *start, struct prony_error *error);

#endif

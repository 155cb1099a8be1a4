// SPDX-License-Identifier: Apache-2.0
// Preloaded into swiftlet, it kills the process with SIGKILL just before one of its steps: a call that changes files, brings
// something to disk, sends something to somebody or signals a process. Which one says the file that KILL_POINT names: it holds a
// number of four bytes in memory that all share, which each step counts down; at 0 nothing happens any more.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static _Atomic int *left;

__attribute__((constructor)) static void open_count(void)
{
    const char *path = getenv("KILL_POINT");
    char program[256] = "";
    // What swiftlet calls is no step of its own.
    if (!path || readlink("/proc/self/exe", program, sizeof(program) - 1) < 0 || !strstr(program, "/swiftlet")
        || strstr(program, "launcher"))
        return;
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0)
        return;
    void *memory = mmap(NULL, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (memory != MAP_FAILED)
        left = memory;
}

static void step(void)
{
    int now = left ? atomic_load(left) : 0;
    while (now > 0 && !atomic_compare_exchange_weak(left, &now, now - 1)) continue;
    if (now == 1)
        raise(SIGKILL);
}

static int is_socket(int file)
{
    struct stat status;
    return left && atomic_load(left) > 0 && fstat(file, &status) == 0 && S_ISSOCK(status.st_mode);
}

#define STEP(type, name, parameters, arguments, condition) \
    type name parameters \
    { \
        static type(*next) parameters; \
        if (!next) \
            next = (type(*) parameters)dlsym(RTLD_NEXT, #name); \
        if (condition) \
            step(); \
        return next arguments; \
    }

STEP(int, rename, (const char *a, const char *b), (a, b), 1)
STEP(int, renameat, (int a, const char *b, int c, const char *d), (a, b, c, d), 1)
STEP(int, renameat2, (int a, const char *b, int c, const char *d, unsigned e), (a, b, c, d, e), 1)
STEP(int, unlink, (const char *a), (a), 1)
STEP(int, unlinkat, (int a, const char *b, int c), (a, b, c), 1)
STEP(int, mkdir, (const char *a, mode_t b), (a, b), 1)
STEP(int, mkdirat, (int a, const char *b, mode_t c), (a, b, c), 1)
STEP(int, rmdir, (const char *a), (a), 1)
STEP(int, fsync, (int a), (a), 1)
STEP(int, fdatasync, (int a), (a), 1)
STEP(int, syncfs, (int a), (a), 1)
STEP(int, kill, (pid_t a, int b), (a, b), 1)
STEP(int, connect, (int a, const struct sockaddr *b, socklen_t c), (a, b, c), 1)
STEP(ssize_t, write, (int a, const void *b, size_t c), (a, b, c), is_socket(a))
STEP(ssize_t, writev, (int a, const struct iovec *b, int c), (a, b, c), is_socket(a))
STEP(ssize_t, send, (int a, const void *b, size_t c, int d), (a, b, c, d), is_socket(a))
STEP(ssize_t, sendmsg, (int a, const struct msghdr *b, int c), (a, b, c), is_socket(a))

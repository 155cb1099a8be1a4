// SPDX-License-Identifier: Apache-2.0
// record-steps [--alone] SYMBOLS PROGRAM [ARGUMENT...]: runs a program, with its children unless it is alone, step by step
// and prints, in the order of their addresses, the functions that were executed. SYMBOLS is the output of `nm -n` of the
// (static) program.
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

// Static programs are linked low: all of the code is below this address.
enum { HIGHEST = 64 << 20 };
static unsigned char seen[HIGHEST];

static unsigned long program_counter(pid_t pid) {
#if defined(__x86_64__)
    struct user_regs_struct registers;
    return ptrace(PTRACE_GETREGS, pid, 0, &registers) == 0 ? registers.rip : HIGHEST;
#else
#error "record-steps knows x86_64 only; the order that it finds serves other machines too"
#endif
}

static void follow(void) {
    int status;
    for (;;) {
        pid_t pid = waitpid(-1, &status, __WALL);
        if (pid < 0) return;
        if (!WIFSTOPPED(status)) continue;
        unsigned long counter = program_counter(pid);
        if (counter < HIGHEST) seen[counter] = 1;
        int signal = WSTOPSIG(status);
        ptrace(PTRACE_SINGLESTEP, pid, 0, signal == SIGTRAP || signal == SIGSTOP ? 0 : signal);
    }
}

static void print_functions(const char *path) {
    FILE *file = fopen(path, "r");
    if (!file) exit(1);
    char line[65536], kind, name[65536], previous[65536] = "";
    unsigned long address, start = 0;
    int is_used = 0;
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "%lx %c %65535s", &address, &kind, name) != 3 || !strchr("tTwWiV", kind)) continue;
        for (unsigned long i = start; i < address && i < HIGHEST && !is_used; i++) is_used = seen[i];
        if (is_used && *previous) puts(previous);
        if (address != start) is_used = 0;
        start = address;
        strcpy(previous, name);
    }
    fclose(file);
}

int main(int count, char **arguments) {
    int is_alone = count > 1 && strcmp(arguments[1], "--alone") == 0;
    arguments += is_alone;
    count -= is_alone;
    if (count < 3) return 2;
    pid_t pid = fork();
    if (pid == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        execv(arguments[2], arguments + 2);
        _exit(127);
    }
    int status;
    waitpid(pid, &status, 0);
    int children = is_alone ? 0 : PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK;
    ptrace(PTRACE_SETOPTIONS, pid, 0, children | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL);
    ptrace(PTRACE_SINGLESTEP, pid, 0, 0);
    follow();
    print_functions(arguments[1]);
    return 0;
}

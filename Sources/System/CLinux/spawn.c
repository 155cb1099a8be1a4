// SPDX-License-Identifier: Apache-2.0
// Starts programs from a threaded one.
//
// The child shares the parent's memory until it execs (CLONE_VM | CLONE_VFORK), so nothing is copied however big the
// parent is, and an error is handed back through that memory. Between clone and exec the child makes bare system
// calls only: it takes no lock, allocates nothing and touches no libc state, because other threads may be in the middle of
// anything. It runs on a stack of its own with all signals blocked, and drops the parent's dispositions before it
// unblocks them. (glibc's sigaction(3) takes a lock for SIGABRT, hence the bare rt_sigaction.)
#define _GNU_SOURCE
#include "Spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

enum { STACK_SIZE = 64 * 1024, KERNEL_SIGSET_SIZE = 8, LAST_SIGNAL = 64, MAXIMUM_FDS = 64 };

/// struct sigaction as the kernel has it.
struct kernel_sigaction {
    void *handler;
    unsigned long flags;
    void *restorer;
    uint64_t mask;
};

struct child {
    const struct clinux_spawn *spec;
    uint64_t signal_mask;
    volatile int error;
    volatile int step;
};

static int fail(struct child *child, int step) {
    child->error = errno;
    child->step = step;
    return 127;
}

/// Moves the descriptors to their numbers: first all out of the way, so that no move overwrites another's source.
static int place_descriptors(const struct clinux_spawn *spec) {
    int moved[MAXIMUM_FDS];
    int highest = 2;
    for (size_t i = 0; i < spec->fd_count; i++)
        if (spec->fds[i].to > highest) highest = spec->fds[i].to;
    syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
    for (size_t i = 0; i < spec->fd_count; i++) {
        moved[i] = (int)syscall(SYS_fcntl, spec->fds[i].from, F_DUPFD_CLOEXEC, (long)highest + 1);
        if (moved[i] < 0) return -1;
    }
    for (size_t i = 0; i < spec->fd_count; i++)
        if (syscall(SYS_dup3, moved[i], spec->fds[i].to, 0) < 0) return -1;
    return 0;
}

static void reset_dispositions(void) {
    struct kernel_sigaction action;
    for (int number = 1; number <= LAST_SIGNAL; number++) {
        for (size_t i = 0; i < sizeof action; i++) ((volatile char *)&action)[i] = 0;
        syscall(SYS_rt_sigaction, number, &action, NULL, KERNEL_SIGSET_SIZE);
    }
}

static int run_child(void *argument) {
    struct child *child = argument;
    const struct clinux_spawn *spec = child->spec;
    if (spec->parent_death_signal
        && syscall(SYS_prctl, PR_SET_PDEATHSIG, (long)spec->parent_death_signal, 0, 0, 0) < 0)
        return fail(child, CLINUX_SPAWN_SESSION);
    if (spec->new_session && syscall(SYS_setsid) < 0) return fail(child, CLINUX_SPAWN_SESSION);
    for (size_t i = 0; i < spec->cgroup_procs_count; i++)
        if (syscall(SYS_write, spec->cgroup_procs[i], "0", 1) < 0) return fail(child, CLINUX_SPAWN_CGROUP);
    if (spec->network_namespace >= 0 && syscall(SYS_setns, spec->network_namespace, CLONE_NEWNET) < 0)
        return fail(child, CLINUX_SPAWN_NAMESPACE);
    if (spec->directory && syscall(SYS_chdir, spec->directory) < 0) return fail(child, CLINUX_SPAWN_DIRECTORY);
    if (place_descriptors(spec) < 0) return fail(child, CLINUX_SPAWN_DESCRIPTORS);
    reset_dispositions();
    uint64_t none = 0;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, KERNEL_SIGSET_SIZE);
    syscall(SYS_execve, spec->path, spec->argv, spec->envp);
    return fail(child, CLINUX_SPAWN_EXEC);
}

/// clone3(2) whose child calls `function` on the new stack and exits with its result. Returns the pid or -errno.
static long clone_call(struct clone_args *arguments, int (*function)(void *), void *argument) {
#if defined(__x86_64__)
    register int (*f)(void *) __asm__("r12") = function;
    register void *a __asm__("r13") = argument;
    long result;
    __asm__ volatile(
        "syscall\n\t"
        "testq %%rax, %%rax\n\t"
        "jnz 1f\n\t"
        "xorl %%ebp, %%ebp\n\t"
        "movq %%r13, %%rdi\n\t"
        "callq *%%r12\n\t"
        "movl %%eax, %%edi\n\t"
        "movl $60, %%eax\n\t"
        "syscall\n\t"
        "hlt\n"
        "1:"
        : "=a"(result)
        : "0"((long)SYS_clone3), "D"(arguments), "S"(sizeof *arguments), "r"(f), "r"(a)
        : "rcx", "r11", "memory");
    return result;
#elif defined(__aarch64__)
    register long x0 __asm__("x0") = (long)arguments;
    register long x1 __asm__("x1") = sizeof *arguments;
    register long x8 __asm__("x8") = SYS_clone3;
    register int (*f)(void *) __asm__("x10") = function;
    register void *a __asm__("x11") = argument;
    __asm__ volatile(
        "svc #0\n\t"
        "cbnz x0, 1f\n\t"
        "mov x29, xzr\n\t"
        "mov x30, xzr\n\t"
        "mov x0, %[argument]\n\t"
        "blr %[function]\n\t"
        "mov x8, #93\n\t"
        "svc #0\n\t"
        "brk #1\n"
        "1:"
        : "+r"(x0)
        : "r"(x1), "r"(x8), [function] "r"(f), [argument] "r"(a)
        : "memory", "cc");
    return x0;
#else
#error "clone_call knows x86_64 and aarch64 only"
#endif
}

int clinux_spawn(const struct clinux_spawn *spec, pid_t *pid, int *pidfd, int *step) {
    *step = CLINUX_SPAWN_CLONE;
    if (spec->fd_count > MAXIMUM_FDS) return E2BIG;
    void *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED) return errno;
    uint64_t all = ~0ULL;
    struct child child = {.spec = spec};
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &child.signal_mask, KERNEL_SIGSET_SIZE);
    int descriptor = -1;
    struct clone_args arguments = {
        .flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | (spec->cgroup >= 0 ? CLONE_INTO_CGROUP : 0),
        .pidfd = (uint64_t)(uintptr_t)&descriptor,
        .exit_signal = SIGCHLD,
        .stack = (uint64_t)(uintptr_t)stack,
        .stack_size = STACK_SIZE,
        .cgroup = spec->cgroup >= 0 ? (uint64_t)spec->cgroup : 0,
    };
    long result = clone_call(&arguments, run_child, &child);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &child.signal_mask, NULL, KERNEL_SIGSET_SIZE);
    munmap(stack, STACK_SIZE);
    if (result < 0) return (int)-result;
    if (child.error) {
        *step = child.step;
        siginfo_t information;
        while (waitid(P_PIDFD, (id_t)descriptor, &information, WEXITED) < 0 && errno == EINTR) {}
        close(descriptor);
        return child.error;
    }
    *pid = (pid_t)result;
    *pidfd = descriptor;
    return 0;
}

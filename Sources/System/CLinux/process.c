// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "CLinux.h"

pid_t clinux_fork(uint64_t flags, int cgroup, int *pidfd) {
    struct clone_args arguments = {
        .flags = flags | (pidfd ? CLONE_PIDFD : 0) | (cgroup >= 0 ? CLONE_INTO_CGROUP : 0),
        .pidfd = (uint64_t)(uintptr_t)pidfd,
        // With CLONE_PARENT the signal is the one that the caller itself ends with.
        .exit_signal = (flags & CLONE_PARENT) ? 0 : SIGCHLD,
        .cgroup = cgroup >= 0 ? (uint64_t)cgroup : 0,
    };
    return (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
}

int clinux_setns(int fd, int kinds) { return setns(fd, kinds); }

int clinux_unshare(int kinds) { return unshare(kinds); }

int clinux_pidfd_open(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

int clinux_pidfd_send_signal(int pidfd, int signal) {
    return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

int clinux_waitid(int id_type, unsigned id, int options, struct clinux_child_exit *result) {
    siginfo_t information = {0};
    if (waitid((idtype_t)id_type, id, &information, WEXITED | options) < 0) return -1;
    result->pid = information.si_pid;
    result->code = information.si_code;
    result->status = information.si_status;
    return 0;
}

int clinux_prctl(int operation, unsigned long a, unsigned long b, unsigned long c, unsigned long d) {
    return prctl(operation, a, b, c, d);
}

int clinux_execveat(int directory, const char *path, char *const argv[], char *const envp[], int flags) {
    return (int)syscall(SYS_execveat, directory, path, argv, envp, flags);
}

int clinux_capget(uint64_t *effective, uint64_t *permitted, uint64_t *inheritable) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &header, data) < 0) return -1;
    *effective = data[0].effective | (uint64_t)data[1].effective << 32;
    *permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
    *inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
    return 0;
}

int clinux_capset(uint64_t effective, uint64_t permitted, uint64_t inheritable) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {
        {(uint32_t)effective, (uint32_t)permitted, (uint32_t)inheritable},
        {(uint32_t)(effective >> 32), (uint32_t)(permitted >> 32), (uint32_t)(inheritable >> 32)},
    };
    return (int)syscall(SYS_capset, &header, data);
}

enum { JOIN_SESSION_KEYRING = 1, SET_PERMISSIONS = 5, DESCRIBE = 6 };

int clinux_keyctl_join_session(const char *name) { return (int)syscall(SYS_keyctl, JOIN_SESSION_KEYRING, name); }

int clinux_keyctl_describe(int32_t key, char *buffer, size_t size) {
    return (int)syscall(SYS_keyctl, DESCRIBE, key, buffer, size);
}

int clinux_keyctl_setperm(int32_t key, uint32_t permissions) {
    return (int)syscall(SYS_keyctl, SET_PERMISSIONS, key, permissions);
}

int clinux_personality(unsigned long persona) { return personality(persona); }

int clinux_ioprio_set(int which, int who, int value) { return (int)syscall(SYS_ioprio_set, which, who, value); }

int clinux_sched_setattr(const struct clinux_scheduler *attributes) {
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } kernel = {
        48,
        attributes->policy,
        attributes->flags,
        attributes->nice,
        attributes->priority,
        attributes->runtime,
        attributes->deadline,
        attributes->period,
    };
    return (int)syscall(SYS_sched_setattr, 0, &kernel, 0);
}

int clinux_setgroups(size_t count, const gid_t *groups) { return (int)syscall(SYS_setgroups, count, groups); }

int clinux_setresgid(gid_t gid) { return (int)syscall(SYS_setresgid, gid, gid, gid); }

int clinux_setresuid(uid_t uid) { return (int)syscall(SYS_setresuid, uid, uid, uid); }

int clinux_prlimit(pid_t pid, int resource, uint64_t soft, uint64_t hard) {
    struct {
        uint64_t soft, hard;
    } limit = {soft, hard};
    return (int)syscall(SYS_prlimit64, pid, resource, &limit, NULL);
}

int clinux_bpf(int command, void *attributes, unsigned size) {
    return (int)syscall(SYS_bpf, command, attributes, size);
}

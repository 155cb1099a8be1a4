// SPDX-License-Identifier: Apache-2.0
// How a threaded program starts another: see spawn.c.
#ifndef SWIFTLET_CLINUX_SPAWN_H
#define SWIFTLET_CLINUX_SPAWN_H

#include <stddef.h>
#include <sys/types.h>

/// A descriptor of the caller and the number that it gets in the new program.
struct clinux_spawn_fd {
    int from, to;
};

/// The step that failed.
enum clinux_spawn_step {
    CLINUX_SPAWN_CLONE = 1,
    CLINUX_SPAWN_SESSION,
    CLINUX_SPAWN_CGROUP,
    CLINUX_SPAWN_NAMESPACE,
    CLINUX_SPAWN_DESCRIPTORS,
    CLINUX_SPAWN_DIRECTORY,
    CLINUX_SPAWN_EXEC,
};

struct clinux_spawn {
    const char *path;
    char *const *argv;
    char *const *envp;
    /// working directory, or NULL
    const char *directory;
    const struct clinux_spawn_fd *fds;
    size_t fd_count;
    /// open cgroup.procs (or tasks) files to write "0" to
    const int *cgroup_procs;
    size_t cgroup_procs_count;
    /// directory of a cgroup v2 to be born in, or -1
    int cgroup;
    /// network namespace to join, or -1
    int network_namespace;
    /// whether to start a new session
    int new_session;
    /// signal to get when the parent thread dies, or 0
    int parent_death_signal;
};

/// Starts a program; returns 0 and fills `pid` and `pidfd`, or returns an error number and sets `step`.
int clinux_spawn(const struct clinux_spawn *spec, pid_t *pid, int *pidfd, int *step);

#endif

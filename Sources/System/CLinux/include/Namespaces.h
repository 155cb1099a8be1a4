// SPDX-License-Identifier: Apache-2.0
// Namespaces of threads.
#ifndef SWIFTLET_CLINUX_NAMESPACES_H
#define SWIFTLET_CLINUX_NAMESPACES_H

// What clinux_sandbox_create is to make. Paths are empty files that exist already.
struct clinux_sandbox {
    const char *network_path;
    const char *ipc_path;
    const char *uts_path;
    const char *hostname;
    // Files below /proc/sys and what to write there, in the new namespaces; `count` of each.
    const char *const *sysctl_paths;
    const char *const *sysctl_values;
    int sysctl_count;
};

// What came of it.
struct clinux_sandbox_result {
    // 0, or why it failed.
    int error;
    // The call that failed, a constant string.
    const char *call;
    // The path that it failed on; one of those passed in, or an empty string.
    const char *subject;
    // A NETLINK_ROUTE socket in the new network namespace, close-on-exec; -1 on failure.
    int socket;
};

// Creates network, IPC and UTS namespaces in a short-lived thread and pins each by a bind mount on its path.
// Neither the calling thread's namespaces nor those of any other change. On failure nothing stays mounted.
struct clinux_sandbox_result clinux_sandbox_create(const struct clinux_sandbox *sandbox);

// Opens a NETLINK_ROUTE socket in the network namespace that `path` pins, through a short-lived thread.
// Returns the descriptor, or a negative error number.
int clinux_netlink_socket_at(const char *path);

// Detaches the mount at `path` (umount2 with MNT_DETACH and UMOUNT_NOFOLLOW): 0, or -1 and errno.
int clinux_unmount_detached(const char *path);

// Whether `path` is a pinned namespace: 1 or 0; -1 and errno where it cannot be told.
int clinux_is_namespace(const char *path);

// Runs `body(context)` in a new thread with a new network namespace (and a private mount namespace if `mounts` is not
// 0) and waits for it. Returns 0, or the error number of what prevented it.
int clinux_in_new_network(int mounts, void (*body)(void *), void *context);

// Runs `body(context)` in a new thread in the network namespace that `path` pins and waits for it.
// Returns 0, or the error number of what prevented it.
int clinux_in_network(const char *path, void (*body)(void *), void *context);
#endif

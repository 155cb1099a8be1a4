// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "Namespaces.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <unistd.h>

#define NAMESPACE_FILE_SYSTEM 0x6e736673 // NSFS_MAGIC of linux/magic.h

// Runs `body` in a thread of its own, with all signals blocked, and waits for its end.
static int run_in_thread(void *(*body)(void *), void *context) {
    pthread_attr_t attributes;
    int error = pthread_attr_init(&attributes);
    if (error != 0) return error;
    // The body of clinux_in_* may be Swift code of a test, so the stack is not the smallest possible; untouched pages cost nothing.
    pthread_attr_setstacksize(&attributes, 1 << 20);
    sigset_t all, previous;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &previous);
    pthread_t thread;
    error = pthread_create(&thread, &attributes, body, context);
    pthread_sigmask(SIG_SETMASK, &previous, NULL);
    pthread_attr_destroy(&attributes);
    if (error != 0) return error;
    return pthread_join(thread, NULL);
}

static int open_netlink_socket(void) {
    return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
}

struct creation {
    const struct clinux_sandbox *sandbox;
    struct clinux_sandbox_result result;
};

static void fail(struct creation *creation, const char *call, const char *subject) {
    creation->result.error = errno;
    creation->result.call = call;
    creation->result.subject = subject;
}

static int write_sysctl(const char *path, const char *value) {
    int descriptor = open(path, O_WRONLY | O_CLOEXEC);
    if (descriptor < 0) return -1;
    ssize_t count = write(descriptor, value, strlen(value));
    int error = errno;
    close(descriptor);
    errno = error;
    return count < 0 ? -1 : 0;
}

static void *create_body(void *argument) {
    struct creation *creation = argument;
    const struct clinux_sandbox *sandbox = creation->sandbox;
    if (unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) != 0) {
        fail(creation, "unshare", "");
        return NULL;
    }
    if (sethostname(sandbox->hostname, strlen(sandbox->hostname)) != 0) {
        fail(creation, "sethostname", sandbox->hostname);
        return NULL;
    }
    for (int index = 0; index < sandbox->sysctl_count; index++) {
        if (write_sysctl(sandbox->sysctl_paths[index], sandbox->sysctl_values[index]) != 0) {
            fail(creation, "write", sandbox->sysctl_paths[index]);
            return NULL;
        }
    }
    int descriptor = open_netlink_socket();
    if (descriptor < 0) {
        fail(creation, "socket", "");
        return NULL;
    }
    const char *sources[] = {"/proc/thread-self/ns/net", "/proc/thread-self/ns/ipc", "/proc/thread-self/ns/uts"};
    const char *targets[] = {sandbox->network_path, sandbox->ipc_path, sandbox->uts_path};
    for (int index = 0; index < 3; index++) {
        if (mount(sources[index], targets[index], NULL, MS_BIND, NULL) == 0) continue;
        fail(creation, "mount", targets[index]);
        while (--index >= 0) umount2(targets[index], MNT_DETACH | UMOUNT_NOFOLLOW);
        close(descriptor);
        return NULL;
    }
    creation->result.socket = descriptor;
    return NULL;
}

struct clinux_sandbox_result clinux_sandbox_create(const struct clinux_sandbox *sandbox) {
    struct creation creation = {.sandbox = sandbox, .result = {.error = 0, .call = "", .subject = "", .socket = -1}};
    int error = run_in_thread(create_body, &creation);
    if (error != 0) {
        errno = error;
        fail(&creation, "pthread_create", "");
    }
    return creation.result;
}

struct entry {
    const char *path;
    int result;
    void (*body)(void *);
    void *context;
    int mounts;
};

// Moves the thread into the namespace that entry->path pins; 0 or an error number.
static int enter(const char *path) {
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return errno;
    int error = setns(descriptor, CLONE_NEWNET) == 0 ? 0 : errno;
    close(descriptor);
    return error;
}

static void *socket_body(void *argument) {
    struct entry *entry = argument;
    int error = enter(entry->path);
    if (error == 0) {
        entry->result = open_netlink_socket();
        if (entry->result < 0) entry->result = -errno;
    } else {
        entry->result = -error;
    }
    return NULL;
}

int clinux_netlink_socket_at(const char *path) {
    struct entry entry = {.path = path, .result = -1};
    int error = run_in_thread(socket_body, &entry);
    return error != 0 ? -error : entry.result;
}

static void *in_network_body(void *argument) {
    struct entry *entry = argument;
    entry->result = enter(entry->path);
    if (entry->result == 0) entry->body(entry->context);
    return NULL;
}

int clinux_in_network(const char *path, void (*body)(void *), void *context) {
    struct entry entry = {.path = path, .result = 0, .body = body, .context = context};
    int error = run_in_thread(in_network_body, &entry);
    return error != 0 ? error : entry.result;
}

static void *in_new_network_body(void *argument) {
    struct entry *entry = argument;
    if (unshare(CLONE_NEWNET | (entry->mounts ? CLONE_NEWNS : 0)) != 0 ||
        (entry->mounts && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)) {
        entry->result = errno;
        return NULL;
    }
    entry->body(entry->context);
    return NULL;
}

int clinux_in_new_network(int mounts, void (*body)(void *), void *context) {
    struct entry entry = {.result = 0, .body = body, .context = context, .mounts = mounts};
    int error = run_in_thread(in_new_network_body, &entry);
    return error != 0 ? error : entry.result;
}

int clinux_unmount_detached(const char *path) { return umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW); }

int clinux_is_namespace(const char *path) {
    struct statfs status;
    if (statfs(path, &status) != 0) return -1;
    return status.f_type == NAMESPACE_FILE_SYSTEM;
}

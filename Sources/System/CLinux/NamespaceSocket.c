// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "NamespaceSocket.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

struct request {
    const char *path;
    int domain, type, result, error;
};

static void *open_socket(void *argument) {
    struct request *request = argument;
    int namespace = open(request->path, O_RDONLY | O_CLOEXEC);
    if (namespace < 0 || setns(namespace, CLONE_NEWNET) < 0) {
        request->error = errno;
    } else {
        request->result = socket(request->domain, request->type | SOCK_CLOEXEC, 0);
        if (request->result < 0) request->error = errno;
    }
    if (namespace >= 0) close(namespace);
    return NULL;
}

int clinux_socket_in_namespace(const char *path, int domain, int type) {
    struct request request = {.path = path, .domain = domain, .type = type, .result = -1};
    pthread_t thread;
    int error = pthread_create(&thread, NULL, open_socket, &request);
    if (error == 0) error = pthread_join(thread, NULL);
    if (error == 0 && request.result >= 0) return request.result;
    errno = error ? error : request.error;
    return -1;
}

// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "NetlinkSocket.h"
#include <errno.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

int clinux_netlink_open(void) { return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE); }

int clinux_netlink_open_groups(int protocol, unsigned int groups) {
    int descriptor = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
    if (descriptor < 0) return -1;
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = groups};
    int one = 1;
    // What is lost shows as the next change; an error would end the listening.
    setsockopt(descriptor, SOL_NETLINK, NETLINK_NO_ENOBUFS, &one, sizeof(one));
    if (bind(descriptor, (struct sockaddr *)&address, sizeof(address)) == 0) return descriptor;
    int error = errno;
    close(descriptor);
    errno = error;
    return -1;
}

void clinux_netlink_configure(int descriptor) {
    int one = 1;
    // The kernel answers requests before send(2) returns, so only a lost answer (ENOBUFS) could make us wait.
    struct timeval timeout = {.tv_sec = 5};
    // Older kernels lack some of these; everything works without them.
    setsockopt(descriptor, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
    setsockopt(descriptor, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
    setsockopt(descriptor, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one, sizeof(one));
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
}

ssize_t clinux_netlink_send(int descriptor, const void *bytes, size_t count) {
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    return sendto(descriptor, bytes, count, 0, (struct sockaddr *)&kernel, sizeof(kernel));
}

ssize_t clinux_netlink_receive(int descriptor, void *buffer, size_t capacity) {
    for (;;) {
        struct sockaddr_nl sender = {0};
        socklen_t length = sizeof(sender);
        ssize_t count = recvfrom(descriptor, buffer, capacity, MSG_TRUNC, (struct sockaddr *)&sender, &length);
        if (count < 0) return -1;
        // Any process may send to our socket; only the kernel has port 0.
        if (length == sizeof(sender) && sender.nl_pid == 0) return count;
    }
}

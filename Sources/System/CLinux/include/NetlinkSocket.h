// SPDX-License-Identifier: Apache-2.0
// Netlink sockets (netlink(7)).
#ifndef SWIFTLET_CLINUX_NETLINKSOCKET_H
#define SWIFTLET_CLINUX_NETLINKSOCKET_H
#include <stddef.h>
#include <sys/types.h>

// Opens a NETLINK_ROUTE socket, close-on-exec; -1 and errno on failure.
int clinux_netlink_open(void);
// Opens a non-blocking netlink socket of a protocol (NETLINK_*) that hears of changes in the multicast groups of a mask; -1 and
// errno on failure.
int clinux_netlink_open_groups(int protocol, unsigned int groups);
// Asks for error texts and strict checks where the kernel knows them, and sets a receive time-out of some seconds.
void clinux_netlink_configure(int descriptor);
// Sends a datagram to the kernel; -1 and errno on failure.
ssize_t clinux_netlink_send(int descriptor, const void *bytes, size_t count);
// Receives a datagram of the kernel, dropping those of other processes. Returns its full length, which is larger than
// `capacity` if it was cut; -1 and errno on failure.
ssize_t clinux_netlink_receive(int descriptor, void *buffer, size_t capacity);
#endif

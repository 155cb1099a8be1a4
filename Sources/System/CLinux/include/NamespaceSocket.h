// SPDX-License-Identifier: Apache-2.0
#ifndef SWIFTLET_CLINUX_NAMESPACE_SOCKET_H
#define SWIFTLET_CLINUX_NAMESPACE_SOCKET_H

// socket(2) in the network namespace that a path names, made by a short-lived thread so that no thread of the program
// changes its own; -1 and errno on failure. The socket stays in that namespace whoever uses it.
int clinux_socket_in_namespace(const char *path, int domain, int type);

#endif

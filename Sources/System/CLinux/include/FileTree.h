// SPDX-License-Identifier: Apache-2.0
// File-system calls that Swift's Glibc module does not show: extensions of Linux and of GNU libc.
#ifndef SWIFTLET_CLINUX_FILETREE_H
#define SWIFTLET_CLINUX_FILETREE_H
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// openat2(2); -1 and errno on failure. glibc has no wrapper for it.
int clinux_openat2(int directory, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve);
// mknodat(2) with the device number given by its parts.
int clinux_mknodat(int directory, const char *name, mode_t mode, uint32_t major, uint32_t minor);
// The parts of a device number (makedev(3)).
uint32_t clinux_major(uint64_t device);
uint32_t clinux_minor(uint64_t device);
// fsetxattr(2) and fgetxattr(2).
int clinux_fsetxattr(int descriptor, const char *name, const void *value, size_t size);
ssize_t clinux_fgetxattr(int descriptor, const char *name, void *value, size_t size);
// syncfs(2).
int clinux_syncfs(int descriptor);
// renameat2(2) with RENAME_EXCHANGE: each of two paths takes the other's place; -1 and errno on failure.
int clinux_exchange(const char *first, const char *second);

// O_PATH, AT_EMPTY_PATH and RESOLVE_*: names that need _GNU_SOURCE or linux/openat2.h.
extern const int clinux_O_PATH;
extern const int clinux_AT_EMPTY_PATH;
extern const uint64_t clinux_RESOLVE_IN_ROOT;
extern const uint64_t clinux_RESOLVE_BENEATH;
extern const uint64_t clinux_RESOLVE_NO_MAGICLINKS;
extern const uint64_t clinux_RESOLVE_NO_SYMLINKS;
#endif

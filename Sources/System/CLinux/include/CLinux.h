// SPDX-License-Identifier: Apache-2.0
#ifndef SWIFTLET_CLINUX_H
#define SWIFTLET_CLINUX_H
#include "Calls.h"
#include "FileTree.h"
#include "Namespaces.h"
#include "NetlinkSocket.h"
#include "Spawn.h"
#include "NamespaceSocket.h"
#endif

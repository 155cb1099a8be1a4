// SPDX-License-Identifier: Apache-2.0
#ifndef SWIFTLET_CLINUX_H
#define SWIFTLET_CLINUX_H
#include "FileTree.h"
#include "Namespaces.h"
#include "NetlinkSocket.h"
#endif

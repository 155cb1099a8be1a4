// SPDX-License-Identifier: Apache-2.0
#include "CLinux.h"

#include <malloc.h>

void clinux_heap_limit_arenas(int count) { (void)mallopt(M_ARENA_MAX, count); }

void clinux_heap_trim(void) { (void)malloc_trim(0); }

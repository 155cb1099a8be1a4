// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Monitor

Processes.exit(ContainerMonitor.run(CommandLine.arguments))

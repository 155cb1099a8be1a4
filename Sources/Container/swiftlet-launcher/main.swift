// SPDX-License-Identifier: Apache-2.0

import Launcher
import LinuxSystem
import Monitor

// Two programs in one file, because Swift's runtime is most of either: its pages are in memory once for both.
let isMonitor = CommandLine.arguments.first == ContainerMonitor.programName
Processes.exit(isMonitor ? ContainerMonitor.run(CommandLine.arguments) : LauncherCommand.run(CommandLine.arguments))

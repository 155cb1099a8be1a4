// SPDX-License-Identifier: Apache-2.0

import Launcher
import LinuxSystem
import Monitor

// Three programs in one file, because Swift's runtime is most of each: its pages are in memory once for all.
switch CommandLine.arguments.first {
case ContainerMonitor.programName: Processes.exit(ContainerMonitor.run(CommandLine.arguments))
case PauseProgram.path: Processes.exit(PauseProgram.run())
default: Processes.exit(LauncherCommand.run(CommandLine.arguments))
}

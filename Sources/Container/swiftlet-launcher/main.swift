// SPDX-License-Identifier: Apache-2.0

import Launcher
import LinuxSystem

Processes.exit(LauncherCommand.run(CommandLine.arguments))

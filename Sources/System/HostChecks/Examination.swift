// SPDX-License-Identifier: Apache-2.0

extension Board {
    /// Everything that can be said about the machine, the worst of each topic first. Takes milliseconds and changes nothing.
    package func examine() -> [Finding] {
        sorted(
            cgroupFindings() + kernelFeatureFindings() + memoryFindings() + storageFindings() + networkFindings()
                + clockFindings() + powerFindings() + systemFindings())
    }

    /// What ``examine()`` says about power and temperature: a few reads.
    package func examinePower() -> [Finding] { sorted(powerFindings()) }

    private func sorted(_ all: [Finding]) -> [Finding] {
        Finding.Topic.allCases.flatMap { topic in
            Finding.Severity.allCases.reversed().flatMap { severity in
                all.filter { $0.topic == topic && $0.severity == severity }
            }
        }
    }
}

# SPDX-License-Identifier: Apache-2.0
"""Writes the man pages (man-pages(7)) from what the program says of itself: its help and its documented defaults."""


def escape(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join("\\&" + line if line.startswith((".", "'")) else line for line in text.splitlines())


def header(title, section, version, date, what):
    return f'.TH {title} {section} "{date}" "swiftlet {version}" "{what}"\n'


def flags(argument):
    names = [("\\-" if name["kind"] == "short" else "\\-\\-") + escape(name["name"]) for name in argument.get("names", [])]
    value = f' \\fI{escape(argument.get("valueName", "value"))}\\fR' if argument["kind"] == "option" else ""
    if argument["kind"] == "positional":
        return f'\\fI{escape(argument.get("valueName", "value"))}\\fR'
    return ", ".join(f"\\fB{name}\\fR" for name in names) + value


def arguments(command):
    lines = []
    for argument in command.get("arguments", []):
        if not argument.get("shouldDisplay", True):
            continue
        text = argument.get("abstract", "")
        if argument.get("defaultValue") is not None:
            text += f' (default: {argument["defaultValue"]})'
        lines.append(f".TP\n{flags(argument)}\n{escape(text)}\n")
    return "".join(lines)


def subcommands(command, path):
    lines = []
    for child in command.get("subcommands", []):
        if child["commandName"] == "help":
            continue
        name = path + [child["commandName"]]
        lines.append(f'.SS {escape(" ".join(name))}\n{escape(child.get("abstract", ""))}\n')
        if child.get("discussion"):
            lines.append(f'.PP\n.nf\n{escape(child["discussion"])}\n.fi\n')
        lines.append(arguments(child))
        lines.append(subcommands(child, name))
    return "".join(lines)


def commands(dump, version, date):
    """swiftlet(1), from the program's --experimental-dump-help."""
    command = dump["command"]
    return (
        header("SWIFTLET", 1, version, date, "User commands")
        + f'.SH NAME\nswiftlet \\- {escape(command["abstract"])}\n'
        + ".SH SYNOPSIS\n.B swiftlet\n\\fIcommand\\fR [\\fIoption\\fR...]\n"
        + f'.SH DESCRIPTION\n{escape(command.get("discussion", ""))}\n'
        + f".SH COMMANDS\n{subcommands(command, ['swiftlet'])}"
        + ".SH FILES\n.TP\n.I /etc/swiftlet/config.yaml\nThe agent's configuration, see swiftlet\\-config(5).\n"
        + ".TP\n.I /var/lib/swiftlet\nState.\n.TP\n.I /etc/swiftlet/admin.kubeconfig\nThe administrator's kubeconfig.\n"
        + ".SH SEE ALSO\n.BR swiftlet\\-config (5),\n.BR systemctl (1),\n.BR journalctl (1)\n")


def configuration(defaults, version, date):
    """swiftlet-config(5), from the documented defaults."""
    return (
        header("SWIFTLET-CONFIG", 5, version, date, "File formats")
        + ".SH NAME\nswiftlet\\-config \\- the configuration of the Swiftlet agent\n"
        + ".SH SYNOPSIS\n.I /etc/swiftlet/config.yaml\n"
        + ".SH DESCRIPTION\nA YAML file. Every field has a default; an unknown field is an error.\n"
        + "After a change: \\fBsystemctl restart swiftlet\\fR; \\fBswiftlet config check\\fR tries the file first.\n"
        + ".SH FIELDS AND THEIR DEFAULTS\n.nf\n" + escape(defaults) + "\n.fi\n"
        + ".SH SEE ALSO\n.BR swiftlet (1)\n")

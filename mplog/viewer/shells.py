"""Completion scripts of bash, zsh and fish, made from the sub-commands' parsers. Runs in `mplog`."""

from __future__ import annotations

import re
from typing import NamedTuple


class Option(NamedTuple):
    """One option of a sub-command: how it is written, what it says, and what may follow."""

    flags: tuple[str, ...]
    help: str
    metavar: str
    choices: tuple[str, ...]
    kind: str
    """`flag`, `choices`, `file`, `any`, or a kind of name."""


class Sub(NamedTuple):
    """One sub-command: name, summary, options, and what its words without a dash are."""

    name: str
    summary: str
    options: tuple[Option, ...]
    words: tuple[str, ...]
    """The choices of the first word; none where it is a file."""


_NAMES = ("process", "logger", "thread", "field")


_BASH = """# bash completion for mplog: eval "$(mplog completion bash)"
_mplog_choose() {
    local word
    while IFS= read -r word; do
        [[ $word == "$cur"* ]] && COMPREPLY+=("$word")
    done
}

_mplog_names() {
    local word
    while IFS= read -r word; do
        [[ $word == "$cur"* ]] && COMPREPLY+=("$(printf %q "$word")")
    done < <("${COMP_WORDS[0]}" completion --names "$1" -- "${COMP_WORDS[@]:1}" 2>/dev/null)
}

_mplog_files() {
    local word
    compopt -o filenames 2>/dev/null
    while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "$cur")
}

_mplog() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
    local command=${COMP_WORDS[1]} flags= words=
    COMPREPLY=()
    [[ $cur == "=" ]] && cur=
    [[ $prev == "=" ]] && prev=${COMP_WORDS[COMP_CWORD-2]}
    if ((COMP_CWORD == 1)); then
        _mplog_choose <<< @@COMMANDS@@
        _mplog_files
        return
    fi
    case $command:$prev in
@@VALUES@@
    esac
    case $command in
@@WORDS@@
    esac
    if [[ $cur == -* ]]; then
        case $command in
@@FLAGS@@
        esac
        _mplog_choose <<< "${flags// /$'\\n'}"
    elif [[ $words && $COMP_CWORD == 2 ]]; then
        _mplog_choose <<< "${words// /$'\\n'}"
    else
        _mplog_files
    fi
}
complete -F _mplog mplog
"""


def bash(subs: list[Sub]) -> str:
    """Return the script for bash; names of a log are only ever data in it, never words to expand."""
    parts = {
        "COMMANDS": shq("\n".join(sub.name for sub in subs)),
        "VALUES": "\n".join(_bash_sub(sub) for sub in subs),
        "WORDS": "\n".join(f"        {s.name}) words={shq(' '.join(s.words))} ;;" for s in subs if s.words),
        "FLAGS": "\n".join(_bash_flags(sub) for sub in subs),
    }
    script = _BASH
    for name, text in parts.items():
        script = script.replace(f"@@{name}@@", text)
    return script


def _bash_sub(sub: Sub) -> str:
    lines = []
    for option in sub.options:
        if option.kind == "flag":
            continue
        pattern = "|".join(f"{sub.name}:{flag}" for flag in option.flags)
        if option.choices:
            action = f"_mplog_choose <<< {shq(chr(10).join(option.choices))}; return"
        elif option.kind in _NAMES:
            action = f"_mplog_names {option.kind}; return"
        else:
            action = "_mplog_files; return" if option.kind == "file" else "return"
        lines.append(f"        {pattern}) {action} ;;")
    return "\n".join(lines)


def _bash_flags(sub: Sub) -> str:
    flags = " ".join(flag for option in sub.options for flag in option.flags)
    return f"            {sub.name}) flags={shq(flags)} ;;"


def zsh(subs: list[Sub]) -> str:
    """Return the script for zsh, for a file `_mplog` on `fpath` or for `eval`."""
    listed = "\n".join(f"        {shq(f'{sub.name}:{sub.summary}')}" for sub in subs)
    cases = "\n".join(_zsh_sub(sub) for sub in subs)
    return f"""#compdef mplog
# zsh completion for mplog: mplog completion zsh > "${{fpath[1]}}/_mplog"
_mplog_names() {{
    local -a found
    found=("${{(@f)$("${{_mplog_program:-mplog}}" completion --names "$1" -- "${{(@)words}}" 2>/dev/null)}}")
    compadd -a found
}}

_mplog() {{
    local -a commands
    local _mplog_program=$words[1]
    commands=(
{listed}
    )
    if ((CURRENT == 2)); then
        _describe -t commands 'command' commands
        _files
        return
    fi
    shift words
    ((CURRENT--))
    case $words[1] in
{cases}
        *) _files ;;
    esac
}}

if [[ $funcstack[1] == _mplog ]]; then _mplog "$@"; else compdef _mplog mplog; fi
"""


def _zsh_sub(sub: Sub) -> str:
    lines = [f"        {sub.name})", "            _arguments -s -S \\"]
    for option in sub.options:
        for flag in option.flags:
            spec = f"*{flag}[{_zsh_text(option.help)}]"
            if option.kind != "flag":
                spec += f":{_zsh_text(option.metavar)}:{_zsh_action(option)}"
            lines.append(f"                {shq(spec)} \\")
    if sub.words:
        lines.append(f"                {shq(f'1:word:({chr(32).join(sub.words)})')} \\")
    lines += ["                '*:file:_files'", "            ;;"]
    return "\n".join(lines)


def _zsh_action(option: Option) -> str:
    if option.choices:
        return f"({' '.join(option.choices)})"
    if option.kind in _NAMES:
        # With a blank before it zsh calls it as it stands, without adding options (zshcompsys).
        return f" _mplog_names {option.kind}"
    return "_files" if option.kind == "file" else " "


def _zsh_text(text: str) -> str:
    return re.sub(r"([\[\]:\\])", r"\\\1", text)


def fish(subs: list[Sub]) -> str:
    """Return the script for fish."""
    lines = [
        "# fish completion for mplog: mplog completion fish > ~/.config/fish/completions/mplog.fish",
        "function __mplog_names",
        "    set -l words (commandline -opc)",
        "    $words[1] completion --names $argv[1] -- $words[2..-1] 2>/dev/null",
        "end",
        "",
    ]
    lines += [f"complete -c mplog -n __fish_use_subcommand -a {s.name} -d {fq(s.summary)}" for s in subs]
    for sub in subs:
        seen = f"complete -c mplog -n '__fish_seen_subcommand_from {sub.name}'"
        if sub.words:
            lines.append(f"{seen} -f -a {fq(' '.join(sub.words))}")
        lines += [f"{seen} {_fish_option(option)}" for option in sub.options]
    return "\n".join(lines) + "\n"


def _fish_option(option: Option) -> str:
    parts = [f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in option.flags]
    if option.choices:
        parts.append(f"-x -a {fq(' '.join(option.choices))}")
    elif option.kind in _NAMES:
        parts.append(f"-x -a '(__mplog_names {option.kind})'")
    elif option.kind == "file":
        parts.append("-r -F")
    elif option.kind == "any":
        parts.append("-x")
    return " ".join([*parts, f"-d {fq(option.help)}"])


def shq(text: str) -> str:
    """Return text quoted for bash and zsh."""
    return "'" + text.replace("'", "'\\''") + "'"


def fq(text: str) -> str:
    """Return text quoted for fish."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

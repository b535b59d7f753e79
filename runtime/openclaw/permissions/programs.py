"""Programs that run other programs: named here once, because no rule may let them run anything at all by accident."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["shell", "interpreter", "wrapper", "launcher"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SHELLS = _words("""
    sh bash dash ash zsh ksh mksh pdksh fish csh tcsh rbash elvish nu xonsh pwsh powershell
""")

INTERPRETERS = _words("""
    python pypy ipython perl ruby irb php node nodejs deno bun lua luajit tclsh wish expect awk gawk mawk nawk
    sed ed bc dc R Rscript julia ghci runghc guile racket sbcl clisp emacs java jshell scala groovy octave gdb
    lldb sqlite3 psql mysql mariadb redis-cli jrunscript tcc gcc cc g++ clang as ld m4 erl iex elixir swift
    osascript
""")

WRAPPERS = _words("""
    env timeout nice nohup setsid stdbuf ionice flock xargs sudo doas su runuser sudoedit pkexec command exec
    builtin time busybox toybox coreutils parallel watch ssh sshpass mosh rsh eval source . trap alias hash
    coproc enable strace ltrace gdbserver valgrind perf script unbuffer chroot unshare nsenter setpriv capsh
    prlimit taskset chrt numactl systemd-run systemd-inhibit setarch linux32 linux64 i386 x86_64
    start-stop-daemon daemonize dbus-run-session dbus-launch firejail bwrap proot fakeroot fakechroot entr
    inotifywait at batch crontab screen tmux dtach abduco rlwrap socat nc ncat netcat docker podman nerdctl
    kubectl lxc lxc-attach machinectl flatpak-spawn aa-exec logsave run-parts run-mailcap torify torsocks
    proxychains cgexec choom catchsegv ld.so ld-linux.so ld-linux-x86-64.so find fd fdfind fzf xvfb-run xdg-open
    git-shell multitime hyperfine ts sg newgrp expect softlimit setuidgid chpst envdir s6-setuidgid gosu su-exec
    tini dumb-init direnv poetry pipenv pdm hatch tox nox uvx pipx npx
""")

LAUNCHERS = _words("""
    apt apt-get aptitude dpkg yum dnf rpm zypper pacman apk brew snap flatpak pip pip3 uv conda mamba gem bundle
    bundler npm pnpm yarn corepack cargo rustup go composer mvn gradle ant make gmake cmake ninja meson bazel
    buck rake just task scons waf ctest sbt lein mix rebar3 dotnet msbuild nix nix-shell guix terraform tofu
    ansible ansible-playbook vagrant packer helm vi vim view nvim vimdiff nano pico emacsclient joe mg micro hx
    helix code less more most man info pg git hg svn tar zip rsync scp sftp ftp lftp curl wget openssl gpg mail
    mutt systemctl service
""")

_VERSION = re.compile(r"(?<=[A-Za-z])[-.]?\d[\d.]*$")


@lru_cache(maxsize=1024)
def plain_name(program: str) -> str:
    """The name without folder and version: `/usr/bin/python3.11` is `python`."""
    name = program.rsplit("/", 1)[-1]
    if name in WRAPPERS or name in SHELLS or name in INTERPRETERS or name in LAUNCHERS:
        return name
    return _VERSION.sub("", name) or name


def kind(program: str) -> Kind | None:
    """Why a program is dangerous as a whole; None for one that only does its own work."""
    name = plain_name(program)
    if name in SHELLS:
        return "shell"
    if name in INTERPRETERS:
        return "interpreter"
    if name in WRAPPERS:
        return "wrapper"
    if name in LAUNCHERS:
        return "launcher"
    return None

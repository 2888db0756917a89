#!/bin/sh
# Makes .venv, or brings it up to date, from the hashed lock file named as the argument. Run by the Makefile.
set -eu
lock=$1

if [ ! -x .venv/bin/python ]; then
    python=
    for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3.14 python3}; do
        # Asked to run, because a version manager's shim may be there without the version behind it.
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            python=$candidate
            break
        fi
    done
    if [ -z "$python" ]; then
        echo "Python 3.11 or newer is not installed, and nothing here runs without it: https://www.python.org/downloads/" >&2
        exit 1
    fi
    if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        echo "$python cannot make a virtual environment: install its venv package (Debian, Ubuntu: apt install python3-venv)" >&2
        exit 1
    fi
    echo "making .venv with $("$python" --version)" >&2
    "$python" -m venv .venv
fi

echo "installing $lock into .venv" >&2
exec .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement "$lock"

#!/bin/sh
# make_venv.sh VENV REQUIREMENTS [PYTHON]: make or bring up to date the virtual environment VENV.
# `make` calls it, from the repository root. Exit status 1 with a line that says why it cannot.
set -eu
venv=$1
requirements=$2
wanted=${3:-}
# While this file exists the environment is not whole, and the next call starts afresh.
unfinished=$venv/.unfinished

# 3.11 first: the version on which most was measured.
candidates=${wanted:-python3.11 python3.12 python3.10 python3.9 python3 python}
# Asked only so that the message can name them.
unsuitable="python3.13 python3.14"

python=
seen=
without_pip=
for candidate in $candidates $unsuitable; do
    version=$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
    case $version in
        3.9 | 3.10 | 3.11 | 3.12) ;;
        *) seen="$seen $candidate ($version)"; continue ;;
    esac
    if ! "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
        without_pip="$without_pip python$version"
        continue
    fi
    python=$candidate
    break
done

if [ -z "$python" ]; then
    if [ -n "$without_pip" ]; then
        set -- $without_pip
        echo "error: $1 cannot make virtual environments (its ensurepip is missing)." >&2
        echo "       On Debian and Ubuntu: apt install $1-venv; then run make again." >&2
    else
        echo "error: no suitable Python found: MXNet 1.9.1 needs Python 3.9, 3.10, 3.11 or 3.12." >&2
        echo "       Looked for: $candidates. Found:${seen:- none of them}." >&2
        echo "       Install one of them, or name it: make PYTHON=/path/to/python3.11" >&2
    fi
    exit 1
fi

# An environment that is whole and has a suitable Python is only brought up to date.
if [ -d "$venv" ]; then
    if [ -e "$unfinished" ]; then
        echo "== $venv was left unfinished: making it again"
        rm -rf "$venv"
    elif ! "$venv/bin/python" -c \
        'import pip, sys; sys.exit(not (3, 9) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then
        echo "== $venv has no suitable Python: making it again"
        rm -rf "$venv"
    fi
fi

if [ ! -d "$venv" ]; then
    echo "== Making $venv with $python ($("$python" -c 'import platform; print(platform.python_version())'))"
    mkdir -p "$venv"
    : > "$unfinished"
    "$python" -m venv "$venv"
fi
: > "$unfinished"

echo "== Installing $requirements (about 400 MB to download the first time)"
if ! "$venv/bin/python" -m pip install --disable-pip-version-check -r "$requirements"; then
    echo "error: pip could not install $requirements, see above; run make again once that is mended." >&2
    exit 1
fi
# The package itself, as a link to this folder. No isolation: setuptools is one of the pins, so that
# nothing more is downloaded.
if ! "$venv/bin/python" -m pip install --disable-pip-version-check --quiet --no-deps \
    --no-build-isolation -e .; then
    echo "error: pip could not install this folder as a package, see above." >&2
    exit 1
fi
if ! "$venv/bin/python" -c 'import mxnetseg, mxnet, gluoncv, cv2'; then
    echo "error: $requirements is installed, but MXNet cannot be imported, see above." >&2
    exit 1
fi
rm -f "$unfinished"
: > "$venv/.installed"
echo "== $venv is ready"

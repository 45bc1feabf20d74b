# Sourced by scripts/run and scripts/test: `set_up [EXTRA]` leaves the project installed in .venv, whatever it was before.
#
# An installation is made once and again when what is to be installed changed. $PYTHON names the Python to build upon.

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv

fail() {
    printf 'vidstyle: error: %s\n' "$@" >&2
    exit 5
}

# What an installation depends on, in one word: where it is, what it asks for.
wanted() {
    { echo "$root"; cat -- "$root/pyproject.toml" "$root/setup.cfg"; } | sha256sum | cut -d ' ' -f 1
}

# Whether .venv works and what is wanted, with the extra if one is named, has been installed into it.
is_current() {
    "$venv/bin/python" -c '' 2>/dev/null && grep -qs -- "^$(wanted) .*$1" "$venv/.vidstyle-installed"
}

make_venv() {
    local python=${PYTHON:-python3}
    command -v -- "$python" >/dev/null || fail "$python is not installed; vidstyle needs Python 3.11 or newer."
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "vidstyle needs Python 3.11 or newer, $python is $("$python" -V 2>&1); set PYTHON to a newer one."
    "$python" -c 'import venv, ensurepip' 2>/dev/null ||
        fail "$python cannot make virtual environments; install its venv package (Debian, Ubuntu: apt install python3-venv)."
    "$python" -m venv --clear "$venv" || fail "The virtual environment $venv could not be made."
}

set_up() {
    local extra=${1:-}
    is_current "$extra" && return
    "$venv/bin/python" -c '' 2>/dev/null || make_venv
    echo "Installing vidstyle and what it needs into $venv; the first time takes some minutes." >&2
    "$venv/bin/python" -m pip install -qq --disable-pip-version-check --editable "$root${extra:+[$extra]}" >&2 ||
        fail "The installation failed; pip's messages are above."
    echo "$(wanted) $extra" >>"$venv/.vidstyle-installed"
}

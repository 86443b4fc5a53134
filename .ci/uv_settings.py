"""Prints pip's own settings as uv's, for a shell to evaluate: where packages come from, and which are allowed."""

import ast
import shlex
import subprocess
import sys

NAMES = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "constraint": ("UV_CONSTRAINT", " "),
    "cert": ("SSL_CERT_FILE", " "),
}
"""pip's name → uv's, and what stands between several."""

listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
# What the environment says comes last, as it holds over what files say.
for line in sorted(listed.stdout.splitlines(), key=lambda line: line.startswith(":env:")):
    key, _, value = line.partition("=")
    name, between = NAMES.get(key.rpartition(".")[2], ("", ""))
    if name:
        print(f"export {name}={shlex.quote(between.join(ast.literal_eval(value).split()))}")

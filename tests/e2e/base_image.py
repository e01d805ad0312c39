"""A stand-in for the slim Python base where it cannot be pulled, made of this host's own packages.

It carries the name of the committed base and the label `STAND_IN`, which publishing refuses.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

from .engine import Engine
from .processes import missing

BASE_IMAGE = "python:3.11-slim-bookworm"
STAND_IN = "credit-pd.stand-in-base"
PACKAGES = """
    base-files base-passwd bash coreutils dash debianutils findutils grep sed mawk tar gzip login
    passwd libc-bin ca-certificates openssl libstdc++6 python3 tzdata netbase
    util-linux perl-base libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 fonts-dejavu-core
""".split()  # noqa: SIM905 - one word a package
LEFT_OUT = {"debconf", "perl"}
UNWANTED = re.compile(
    r"/usr/share/(doc|man|info|locale|lintian|bash-completion|perl|perl5)(/|$)"
    r"|/(usr/include|var/cache|var/log)/"
)
WHOLE_FOLDERS = ("/etc/ssl/certs", "/etc/alternatives")
ALWAYS = (
    "/bin",
    "/sbin",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/nsswitch.conf",
    "/usr/bin/awk",
)
EMPTY_FOLDERS = {"tmp": 0o1777, "var/tmp": 0o1777, "proc": 0o755, "sys": 0o755, "dev": 0o755,
                 "root": 0o700, "home": 0o755, "run": 0o755, "usr/local/bin": 0o755}  # fmt: skip
TEXTS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/uv/uv.toml": "system-certs = true\n",
}
HOST_ALONE = {f"/{name}" for name in TEXTS} | {"/etc/shadow", "/etc/gshadow"}


def ensure_base_image(engine: Engine, folder: Path, name: str = BASE_IMAGE) -> str:
    """Have `name` in the engine: as it is there, else pulled, else a stand-in; returns `name`."""
    if engine.run("images", "--quiet", name):
        return name
    engine.run("pull", name, check=False)
    if not engine.run("images", "--quiet", name):
        if not engine.private:
            missing(f"the image {name}, and only a private engine gets a stand-in,")
        archive = folder / "base.tar"
        write_archive(archive, build_tool=shutil.which("uv"))
        engine.run("import", "--change", f"LABEL {STAND_IN}=true", str(archive), name)
        archive.unlink()
    return name


def is_stand_in(engine: Engine, image: str) -> bool:
    """Whether `image` stands on the stand-in base; labels are inherited."""
    label = '{{index .Config.Labels "%s"}}' % STAND_IN  # noqa: UP031 - braces are Go's here
    return engine.run("inspect", "--format", label, image) == "true"


def write_archive(archive: Path, build_tool: str | None = None) -> None:
    """Write a root file system as a tar archive, with `build_tool` (uv) in it when given."""
    with tarfile.open(archive, "w") as tar:
        for name, text in TEXTS.items():
            add_text(tar, name, text)
        files = with_parents(host_files(wanted_packages()))
        for path in sorted(files - HOST_ALONE):
            tar.add(path, arcname=path.lstrip("/"), recursive=False)
        for name, mode in EMPTY_FOLDERS.items():
            if f"/{name}" not in files:
                add_folder(tar, name, mode)
        add_link(tar, "usr/local/bin/python", "/usr/bin/python3")
        if build_tool:
            tar.add(Path(build_tool).resolve(), arcname="usr/local/bin/uv")


def add_text(tar: tarfile.TarFile, name: str, text: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(text), 0o644
    tar.addfile(entry, io.BytesIO(text.encode()))


def add_folder(tar: tarfile.TarFile, name: str, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, mode
    tar.addfile(entry)


def add_link(tar: tarfile.TarFile, name: str, target: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    tar.addfile(entry)


def wanted_packages() -> set[str]:
    """Names of the installed packages that `PACKAGES` need, themselves included."""
    needs, provider = installed_packages()
    libraries: set[str] = set()
    todo = [name for name in PACKAGES if name in needs]
    while todo:
        name = todo.pop()
        if name in libraries:
            continue
        libraries.add(name)
        for alternatives in needs[name]:
            known = (other if other in needs else provider.get(other) for other in alternatives)
            todo += [other for other in known if other][:1]
    return libraries - LEFT_OUT


def installed_packages() -> tuple[dict[str, list[list[str]]], dict[str, str]]:
    """For each installed package its needs, as lists of alternatives; and who provides what."""
    form = "${Package}\t${db:Status-Abbrev}\t${Pre-Depends}, ${Depends}\t${Provides}\n"
    query = ["dpkg-query", "--show", f"--showformat={form}"]
    needs: dict[str, list[list[str]]] = {}
    provider: dict[str, str] = {}
    for line in subprocess.run(query, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    ):
        name, _, rest = line.partition("\t")
        if not rest.startswith("ii"):
            continue
        _, depends, provides = rest.split("\t")
        groups = [group for group in depends.split(",") if group.strip()]
        needs[name] = [[bare(each) for each in group.split("|")] for group in groups]
        for each in provides.split(","):
            provider.setdefault(bare(each), name)
    return needs, provider


def bare(requirement: str) -> str:
    """Package name without version and architecture."""
    return re.split(r"[ (:]", requirement.strip())[0]


def host_files(packages: set[str]) -> set[str]:
    """Paths of the packages' files, of the byte code beside them and of the certificates."""
    listed = set(ALWAYS)
    for name in packages:
        for file in Path("/var/lib/dpkg/info").glob(f"{name}[.:]*"):
            if file.name in (
                f"{name}.list",
                *(f"{name}:{arch}.list" for arch in ("amd64", "arm64")),
            ):
                listed.update(file.read_text().splitlines())
    listed = {path for path in listed if path not in ("/.", "") and not UNWANTED.match(path)}
    for cache in Path("/usr/lib").glob("python3.*/**/__pycache__"):
        if str(cache.parent) in listed:
            listed.update([str(cache), *(str(file) for file in cache.iterdir())])
    for folder in WHOLE_FOLDERS:
        listed.update(str(path) for path in Path(folder).rglob("*"))
    return {real_path(path) for path in listed if os.path.lexists(path)}


def real_path(path: str) -> str:
    """The path with links in its folders resolved (/lib is /usr/lib), but not the last part."""
    return str(Path(path).parent.resolve() / Path(path).name)


def with_parents(paths: set[str]) -> set[str]:
    """The paths and every folder above them, the root left out."""
    parents = {str(parent) for path in paths for parent in Path(path).parents}
    return (paths | parents) - {"/"}

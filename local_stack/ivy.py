"""The command line of the Ivy that pyspark ships: no other tool is needed to bring a jar."""

import importlib.util
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit
from xml.sax.saxutils import quoteattr

from local_stack.java import LIGHT
from resources.errors import MissingDependencyError

_MODULE = """<ivy-module version="2.0">
  <info organisation="silt" module="kafka"/>
  <dependencies>
{}
  </dependencies>
</ivy-module>
"""
_SETTINGS = """<ivysettings>
  <settings defaultResolver="mirror"/>
  <resolvers><ibiblio name="mirror" m2compatible="true" root={}/></resolvers>
</ivysettings>
"""


def command(java: Path, work: Path, mirror: str, dependencies: Iterable[tuple[str, str, str]]) -> list[str]:
    """Ivy's command to put the dependencies, and theirs, into ``work/lib``; nothing is written elsewhere."""
    (work / "ivy.xml").write_text(_MODULE.format("\n".join(map(_dependency, dependencies))))
    settings: list[str] = []
    if mirror:
        settings = ["-settings", str(write_settings(work, mirror))]
    return [
        str(java),
        *LIGHT,
        f"-Duser.home={work}",
        *proxy_properties(os.environ),
        *("-cp", os.pathsep.join(str(jar) for jar in _ivy_jars())),
        "org.apache.ivy.Main",
        *settings,
        *("-ivy", str(work / "ivy.xml")),
        *("-cache", str(work / "cache")),
        *("-confs", "default"),
        "-m2compatible",
        *("-types", "jar", "bundle"),
        *("-retrieve", f"{work}/lib/[artifact]-[revision](-[classifier]).[ext]"),
    ]


def write_settings(folder: Path, mirror: str) -> Path:
    """Ivy's settings for a mirror, written into a folder."""
    file = folder / "ivysettings.xml"
    file.write_text(_SETTINGS.format(quoteattr(mirror)))
    return file


def proxy_properties(env: Mapping[str, str]) -> list[str]:
    """HTTPS_PROXY, HTTP_PROXY and NO_PROXY, in either case, as Java understands them."""
    given = {name.lower(): value for name, value in env.items()}
    options = []
    for scheme, default in (("https", 443), ("http", 80)):
        proxy = given.get(f"{scheme}_proxy", "")
        parts = urlsplit(proxy if "//" in proxy else f"//{proxy}")
        if parts.hostname:
            options.append(f"-D{scheme}.proxyHost={parts.hostname}")
            options.append(f"-D{scheme}.proxyPort={parts.port or default}")
    hosts = [host.strip() for host in given.get("no_proxy", "").split(",") if host.strip()]
    if options and hosts:
        patterns = (f"*{host}" if host.startswith(".") else host for host in hosts)
        options.append(f"-Dhttp.nonProxyHosts={'|'.join(patterns)}")
    return options


def pyspark_folder() -> Path:
    """Where pyspark is installed, found without importing it."""
    spec = importlib.util.find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise MissingDependencyError("pyspark is not installed here: make the environment with `make env`.")
    return Path(spec.origin).parent


def _ivy_jars() -> list[Path]:
    jars = pyspark_folder() / "jars"
    return [*jars.glob("ivy-*.jar"), *jars.glob("commons-cli-*.jar")]


def _dependency(dependency: tuple[str, str, str]) -> str:
    organisation, name, revision = dependency
    return f'    <dependency org="{organisation}" name="{name}" rev="{revision}" conf="default"/>'

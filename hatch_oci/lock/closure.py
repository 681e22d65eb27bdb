"""Whether what was selected is all that is needed: by the project, and by what was selected."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from hatch_oci.errors import LockError
from hatch_oci.lock.facts import WheelFacts


def check_closure(
    needed: Sequence[tuple[str, Requirement]],
    wheels: Iterable[WheelFacts],
    there: Mapping[str, str | None],
    ignored: Collection[str],
    environment: Mapping[str, str],
    lock_name: str,
) -> None:
    """Follow requirements from `needed` on, each with who needs it, and compare them with what goes in.

    `there` are versions, by normalised name, of what the base itself is to have, None for what it lacks; `ignored` are
    packages that the user left out on purpose. A `LockError` with a line for each that is missing or of a wrong
    version.
    """
    known = {facts.key: facts for facts in wheels}
    pending = list(needed)
    seen: set[tuple[str, str]] = set()
    problems: list[str] = []
    while pending:
        who, requirement = pending.pop()
        name = canonicalize_name(requirement.name)
        if (who, str(requirement)) in seen:
            continue
        seen.add((who, str(requirement)))
        if name in known:
            version = known[name].version
            pending.extend(_requirements_of(known[name], requirement.extras, environment))
        elif name in there:
            found = there[name]
            if found is None:
                problems.append(f"{who} requires {requirement}, which is not in the base")
                continue
            version = found
        else:
            if name not in ignored:
                problems.append(f"{who} requires {requirement}, which is not in {lock_name}")
            continue
        if not _fits(requirement, version):
            problems.append(
                f"{who} requires {requirement}, but {lock_name if name in known else 'the base'} has {version}"
            )
    if problems:
        lines = sorted(set(problems))
        advice = f": {_advice(lock_name)}" if any(lock_name in line for line in lines) else ""
        raise LockError("\n".join(lines) + advice)


def active(requirement: Requirement, environment: Mapping[str, str], extras: Collection[str] = ()) -> bool:
    """Tell whether a requirement holds in an environment, for any of `extras` or none.

    A `LockError` for a marker that compares what cannot be compared.
    """
    if requirement.marker is None:
        return True
    try:
        return any(requirement.marker.evaluate({**environment, "extra": extra}) for extra in extras or ("",))
    except (UndefinedComparison, UndefinedEnvironmentName, InvalidVersion) as error:
        message = f"the marker of {requirement} cannot be evaluated: {error}"
        raise LockError(message) from None


def _requirements_of(
    facts: WheelFacts, extras: Collection[str], environment: Mapping[str, str]
) -> Iterator[tuple[str, Requirement]]:
    for requirement in facts.requirements:
        if active(requirement, environment, ["", *extras]):
            yield f"{facts.name} {facts.version}", requirement


def _fits(requirement: Requirement, version: str) -> bool:
    try:
        return requirement.specifier.contains(Version(version), prereleases=True)
    except InvalidVersion:
        return False


def _advice(lock_name: str) -> str:
    return 'run "uv lock"' if lock_name.endswith("uv.lock") else "make the lock anew"

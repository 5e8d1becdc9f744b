"""The errors a user of Silt can meet: each says in one line what happened, where, and what to do."""


class SiltError(Exception):
    """An error whose text is meant for the person in front of it: printed without a traceback."""


class SettingError(SiltError):
    """A setting, contract or port is wrong: nothing was started. Permanent until a person changes it."""


class MissingDependencyError(SiltError):
    """Something that Silt needs on this machine (Java, a jar) is not there."""


class TransientError(SiltError):
    """The outside world did not answer (broker away, Spark restarting): the same call may go well later."""


class LogError(SiltError):
    """The topic is not the one that the ledger has read. Permanent: going on would lose or repeat records."""


class WindowError(SiltError):
    """A window that cannot be run: no such key, before the lake's floor, or still in the future."""


class LakeError(SiltError):
    """The lake contradicts itself or the settings. Permanent."""


class VersionError(SiltError):
    """A model version that is malformed, that is not there, or that cannot assign. Permanent."""

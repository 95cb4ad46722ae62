"""The errors that agentloop raises.

AgentloopError
├── BadInput (ValueError)            a caller's mistake: what was given, what is allowed, what to do
│   ├── SchemaVersionError           a file written by another version of the records
│   └── UnsupportedExport            a method and a format that do not go together
├── MissingExtra (ImportError)       an optional package is not installed
├── ModelError                       a model could not answer
│   ├── ModelRefused                 the provider will never accept this request (auth, bad request)
│   ├── ModelUnavailable             it did not answer after all retries
│   └── TooFewReplies                it answered with fewer samples than were asked for
├── EnvironmentFailed                an environment broke, which says nothing of the attempt
├── SandboxRefused                   a layer of isolation that was asked for is missing here
├── JournalError                     the journal cannot be used
│   ├── JournalLocked                another process writes it
│   ├── JournalCorrupt               a line inside it cannot be read
│   └── PlaceTaken                   another request stands recorded at this place
├── MemoryLocked                     another process writes the memory's folder
├── MemoryMismatch                   the memory was made with another embedder
└── BudgetSpent                      the run's budget is used up
"""

from __future__ import annotations


class AgentloopError(Exception):
    """The root of every error that agentloop raises on purpose."""


class BadInput(AgentloopError, ValueError):
    """A caller's mistake; the message says what was given, what is allowed and what to do."""


class SchemaVersionError(BadInput):
    """A file was written with a version of the records that this one cannot read."""


class UnsupportedExport(BadInput):
    """A trainer's format cannot carry the rows of a method."""


class MissingExtra(AgentloopError, ImportError):
    """An optional package is not installed."""

    def __init__(self, what: str, package: str, extra: str) -> None:
        super().__init__(f"{what} needs {package}; install it with: pip install 'agentloop-toolkit[{extra}]'")


class ModelError(AgentloopError):
    """A model could not answer."""


class ModelRefused(ModelError):
    """The provider will never accept this request; asking again is of no use."""


class ModelUnavailable(ModelError):
    """The model did not answer after all retries."""


class TooFewReplies(ModelError):
    """Fewer samples came back than were asked for."""


class EnvironmentFailed(AgentloopError):
    """An environment broke; that says nothing of the attempt in it."""


class SandboxRefused(AgentloopError):
    """A layer of isolation that was asked for is missing on this machine."""


class JournalError(AgentloopError):
    """The journal cannot be used."""


class JournalLocked(JournalError):
    """Another process writes the journal."""


class JournalCorrupt(JournalError):
    """A line inside the journal, not at its end, cannot be read."""


class PlaceTaken(JournalError):
    """Another request stands recorded at this place: the agent is not the one that began the run."""


class MemoryLocked(AgentloopError):
    """Another process writes the memory's folder."""


class MemoryMismatch(AgentloopError):
    """The memory was made with another embedder."""


class BudgetSpent(AgentloopError):
    """The run's budget is used up."""

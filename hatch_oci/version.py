"""The version of this package, which its own metadata takes from here: looking it up there would take a while."""

VERSION = "0.1.0"

"""Phantom angiograms: seeded pictures of made-up hearts, for the demo and for tests."""

from kdseg.data.phantom.angiogram import Angiogram, acquire, make_phantom

__all__ = ["Angiogram", "acquire", "make_phantom"]

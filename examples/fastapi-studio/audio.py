"""What an audio file is, by its own bytes; what the sender says about it is not believed."""

import struct
from typing import BinaryIO

# Bytes that `sniff` wants to see.
HEAD = 16
# Chunks of a WAV file that are looked at before its data must have come.
MOST_CHUNKS = 64

MEDIA_TYPES = {
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "m4a": "audio/mp4",
    "aiff": "audio/aiff",
    "midi": "audio/midi",
}

# Major brands of MPEG-4 files that hold music.
M4A_BRANDS = {b"M4A ", b"M4B ", b"mp41", b"mp42", b"isom", b"iso2", b"iso5", b"iso6", b"dash"}


def sniff(head: bytes) -> str | None:
    """The format of a file that starts with these bytes."""
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    if head[4:8] == b"ftyp" and head[8:12] in M4A_BRANDS:
        return "m4a"
    for magic, name in ((b"fLaC", "flac"), (b"OggS", "ogg"), (b"MThd", "midi"), (b"ID3", "mp3")):
        if head.startswith(magic):
            return name
    return "mp3" if _starts_mp3_frame(head) else None


def _starts_mp3_frame(head: bytes) -> bool:
    """ISO 11172-3 §2.4.1.3: eleven ones, a version, layer III, a bit rate and a sampling rate that exist."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    bit_rate, sampling_rate = head[2] >> 4, head[2] >> 2 & 3
    return version != 1 and layer == 1 and bit_rate not in (0, 15) and sampling_rate != 3


def wav_facts(file: BinaryIO, size: int) -> dict[str, int | float]:
    """Channels, sampling rate (Hz), bits per sample and duration (s) of a WAV file; empty if its head makes no sense."""
    file.seek(12)
    facts: dict[str, int | float] = {}
    bytes_per_second = 0
    for _ in range(MOST_CHUNKS):
        chunk = file.read(8)
        if len(chunk) < 8:
            break
        name, length = struct.unpack("<4sI", chunk)
        if name == b"fmt " and 16 <= length <= 256:
            _, channels, rate, bytes_per_second, _, bits = struct.unpack("<HHIIHH", file.read(16).ljust(16, b"\0"))
            facts = {"channels": channels, "sample_rate_hz": rate, "bits_per_sample": bits}
            length -= 16
        elif name == b"data":
            # A recorder that was cut off, or that streams, promises more than there is.
            present = min(length, size - file.tell())
            if bytes_per_second:
                facts["duration_s"] = round(present / bytes_per_second, 3)
            break
        # Chunks start at even places.
        file.seek(length + length % 2, 1)
    return facts

"""Makes the files stored.gz, fixed.gz and own.gz of the test `packed_files_are_unpacked`: one text in blocks of each kind of RFC 1951.

    python packed.py        # in this folder
"""

import struct
import zlib

TEXT = "".join(f"{i * i % 1009} " for i in range(3000)).encode()
HEADER = b"\x1f\x8b\x08\0" + b"\0" * 4 + b"\0\x03"

for name, level, strategy in [("stored", 0, zlib.Z_DEFAULT_STRATEGY), ("fixed", 9, zlib.Z_FIXED), ("own", 9, zlib.Z_DEFAULT_STRATEGY)]:
    packer = zlib.compressobj(level, zlib.DEFLATED, -15, 9, strategy)
    body = packer.compress(TEXT) + packer.flush()
    with open(f"{name}.gz", "wb") as file:
        file.write(HEADER + body + struct.pack("<II", zlib.crc32(TEXT), len(TEXT)))

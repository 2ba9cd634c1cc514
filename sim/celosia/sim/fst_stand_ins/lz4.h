// Stands in for LZ4 where it isn't installed: valid LZ4 blocks that hold their data uncompressed.
// The block format: a token whose high half is the number of literals, 15 for more, continued by
// bytes that are added to it up to one below 255; then the literals (LZ4 Block Format Description).

#ifndef CELOSIA_LZ4_H
#define CELOSIA_LZ4_H

#include <cstring>

inline int LZ4_compressBound(int size) { return size + size / 255 + 16; }

inline int LZ4_compress_default(const char *from, char *to, int size, int) {
    char *out = to;
    if (size < 15) {
        *out++ = static_cast<char>(size << 4);
    } else {
        *out++ = static_cast<char>(0xF0);
        int rest = size - 15;
        for (; rest >= 255; rest -= 255) *out++ = static_cast<char>(255);
        *out++ = static_cast<char>(rest);
    }
    std::memcpy(out, from, static_cast<size_t>(size));
    return static_cast<int>(out - to) + size;
}

#endif

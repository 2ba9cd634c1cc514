// The yardstick of simulation speed: the NPU alone in a C++ loop, driven by a host script.
//
// Usage: bare_loop COMMANDS; prints the cycles simulated and the seconds that they took. The script
// is the one of npu_harness.v; what it reads is thrown away. Verilator writes a doubled underscore
// of a port's name as ___05F.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "Vtop.h"

namespace {

Vtop *top;
uint64_t cycles = 0;

// The two evaluations that a cycle takes: inputs settle, then the clock rises.
void settle() {
    top->clk = 0;
    top->eval();
}

void rise() {
    top->clk = 1;
    top->eval();
    ++cycles;
}

void tick() {
    settle();
    rise();
}

// One access of the host bus; returns the word read.
uint32_t access(bool write, uint32_t address, uint32_t data) {
    const uint64_t low = static_cast<uint64_t>(address) << 1 | write;
    top->request___05Fpayload[0] = static_cast<uint32_t>(low);
    top->request___05Fpayload[1] = static_cast<uint32_t>(low >> 32) | data << 1;
    top->request___05Fpayload[2] = data >> 31;
    top->request___05Fvalid = 1;
    uint32_t answer = 0;
    for (bool answered = write; top->request___05Fvalid || !answered;) {
        settle();
        const bool taken = top->request___05Fready;
        if (top->response___05Fvalid) {
            answer = top->response___05Fpayload;
            answered = true;
        }
        rise();
        if (taken) top->request___05Fvalid = 0;
    }
    return answer;
}

}  // namespace

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    std::ifstream file(argv[1], std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(file)), {});
    std::vector<uint32_t> words;
    for (size_t i = 0; i + 3 < bytes.size(); i += 4) {
        uint32_t word = 0;
        for (size_t k = 0; k < 4; ++k) word = word << 8 | static_cast<uint8_t>(bytes[i + k]);
        words.push_back(word);
    }
    top = new Vtop;
    top->response___05Fready = 1;
    top->rst = 1;
    tick();
    top->rst = 0;
    const auto begin = std::chrono::steady_clock::now();
    for (size_t i = 0; i < words.size() && words[i] != 0;) {
        const uint32_t mode = words[i];
        if (mode == 4) {
            ++i;
            continue;
        }
        const uint32_t address = words[i + 1], count = words[i + 2];
        if (mode == 1) {
            for (uint32_t k = 0; k < count; ++k) access(true, address + 4 * k, words[i + 3 + k]);
            i += 3 + count;
        } else if (mode == 2) {
            for (uint32_t k = 0; k < count; ++k) access(false, address + 4 * k, 0);
            i += 3;
        } else {
            const uint64_t end = cycles + words[i + 3];
            while ((access(false, address, 0) & count) == 0 && cycles < end) {
                for (int k = 0; k < 64; ++k) tick();
            }
            i += 5;
        }
    }
    const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - begin;
    std::printf("%llu %.6f\n", static_cast<unsigned long long>(cycles), wall.count());
    delete top;
    return 0;
}

# What text.h declares: text of requests and answers.
from libc.stdint cimport uint8_t, uint32_t
from libcpp cimport bool as cbool
from libcpp.string cimport string

from atp.engine.native cimport Key


cdef extern from "atp/engine/text.h" namespace "atp" nogil:
    const uint32_t NO_ADDRESS "atp::kNoAddress"

    cbool is_text(const char* text, size_t size) noexcept
    cbool read_key(const char* text, size_t size, Key* key) noexcept
    void write_key_text(const Key* key, char* into) noexcept
    uint32_t plain_address(uint8_t* address, uint32_t size) noexcept
    uint32_t read_address(const char* text, size_t size, uint8_t* into) noexcept
    size_t write_address(const uint8_t* address, unsigned int size, char* into) noexcept
    size_t write_subject(
        cbool is_name, int prefix, const uint8_t* subject, unsigned int size, char* into) noexcept
    string quoted(const string& text) except +
    const char* limit_name(int limit) noexcept

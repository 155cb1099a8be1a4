// SPDX-License-Identifier: Apache-2.0

#include <stdint.h>

#include "CNoLocaleData.h"

// Foundation, which libraries of ours import, brings ICU with 34 MB of data about languages, calendars and scripts of which
// nothing here asks. ICU lets a program link an empty set of data in its place (icu4c/source/stubdata): a file header
// (udata.h) and a table of contents ("ToCP") without entries. What would need the data reports U_MISSING_RESOURCE_ERROR.
struct locale_data {
    uint16_t header_size;
    uint8_t magic[2];
    uint16_t info_size, reserved;
    uint8_t is_big_endian, charset_family, char_size, reserved_byte;
    uint8_t data_format[4], format_version[4], data_version[4];
    uint8_t padding[8];
    uint32_t count, reserved_word;
    uint32_t names_and_data[4];
};

#define NO_LOCALE_DATA                                                                                                 \
    {                                                                                                                  \
        .header_size = 32, .magic = {0xda, 0x27}, .info_size = 20,                                                     \
        .is_big_endian = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__, .char_size = 2,                                       \
        .data_format = {'T', 'o', 'C', 'P'}, .format_version = {1, 0, 0, 0},                                           \
    }

// The name carries ICU's version: 74 in Swift 6.2 as Debian builds it, 76 in swift.org's 6.2 and later. scripts/lib/check-linkage
// finds out when another comes.
_Alignas(16) const struct locale_data icudt74_dat = NO_LOCALE_DATA;
_Alignas(16) const struct locale_data icudt76_dat = NO_LOCALE_DATA;

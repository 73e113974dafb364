/* CRC-32C (Castagnoli), the checksum of snapshot chunks.
 *
 * Thread:  any.
 * Source:  RFC 3720, appendix B.4 (polynomial, test vectors).
 */
#ifndef NACRE_CONSENSUS_CRC32C_H
#define NACRE_CONSENSUS_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Of len more bytes after those that gave crc; 0 to begin. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

#endif

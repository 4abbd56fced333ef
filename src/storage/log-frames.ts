/**
 * How entries stand in a log file, so that a reader tells a whole entry from one that a crash tore.
 *
 * A frame is u32 length · u32 CRC-32 of length and entry · entry; integers are little-endian. The checksum covers the
 * length because a crash may leave zeros behind the last entry, and an empty entry's checksum alone would be zero too.
 */
import { crc32 } from 'node:zlib';

const HEADER_BYTES = 8;

export function encodeFrame(entry: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + entry.length);
  frame.writeUInt32LE(entry.length, 0);
  frame.set(entry, HEADER_BYTES);
  frame.writeUInt32LE(checksumOf(frame), 4);
  return frame;
}

/** The whole entries in order (views), and where the first torn byte is: the file's length where none is torn. */
export function decodeFrames(file: Buffer): { readonly entries: Buffer[]; readonly wholeBytes: number } {
  const entries: Buffer[] = [];
  let at = 0;
  while (file.length - at >= HEADER_BYTES) {
    const end = at + HEADER_BYTES + file.readUInt32LE(at);
    if (end > file.length) break;
    const frame = file.subarray(at, end);
    if (checksumOf(frame) !== frame.readUInt32LE(4)) break;
    entries.push(frame.subarray(HEADER_BYTES));
    at = end;
  }
  return { entries, wholeBytes: at };
}

function checksumOf(frame: Buffer): number {
  return crc32(frame.subarray(HEADER_BYTES), crc32(frame.subarray(0, 4)));
}

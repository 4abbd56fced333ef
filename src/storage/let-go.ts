/** Gives large buffers back as soon as a chunk or a segment is stored, so that memory does not wait for a full collection. */

/**
 * Detaches the bytes' memory: whoever still holds them sees them empty. Only for bytes that no write is still reading.
 * Small ones share the pool that Node cuts buffers from, and stay.
 */
export function letGo(bytes: Uint8Array): void {
  const { buffer } = bytes;
  if (buffer instanceof ArrayBuffer && buffer.byteLength > Buffer.poolSize) buffer.transfer(0);
}

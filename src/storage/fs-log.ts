/** A log of the fs driver: one file of checksummed entries, each synced before its append returns. */
import { constants } from 'node:fs';
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { BlobLog } from './blob-store.ts';
import { errorCodeOf, type Folders } from './fs-folders.ts';
import { decodeFrames, encodeFrame } from './log-frames.ts';

interface OpenFile {
  readonly handle: FileHandle;
  /** Where the next entry goes. */
  end: number;
}

export function openFsLog(path: string, folders: Folders): BlobLog {
  let file: OpenFile | null = null;

  /** After a failed append the file's end is unknown: the next one opens it anew, which cuts what is torn. */
  async function abandon(): Promise<void> {
    const abandoned = file;
    file = null;
    await abandoned?.handle.close();
  }

  return {
    async append(entry) {
      const frame = encodeFrame(entry);
      file ??= await openFile(path, folders);
      try {
        await writeAt(file.handle, frame, file.end);
        await file.handle.datasync();
        file.end += frame.length;
      } catch (error) {
        await abandon().catch(() => {});
        throw error;
      }
    },
    close: abandon,
  };
}

export async function readFsLog(path: string): Promise<Buffer[]> {
  try {
    return decodeFrames(await readFile(path)).entries;
  } catch (error) {
    if (errorCodeOf(error) === 'ENOENT' || errorCodeOf(error) === 'ENOTDIR') return [];
    throw error;
  }
}

async function openFile(path: string, folders: Folders): Promise<OpenFile> {
  const folder = dirname(path);
  const handle = await folders.within(folder, () => open(path, constants.O_RDWR | constants.O_CREAT));
  try {
    const content = await handle.readFile();
    const { wholeBytes } = decodeFrames(content);
    if (wholeBytes < content.length) await handle.truncate(wholeBytes);
    await folders.settle(folder);
    return { handle, end: wholeBytes };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function writeAt(handle: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, written, bytes.length - written, position + written);
    written += bytesWritten;
  }
}

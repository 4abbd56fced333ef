/** Frames JSON: the elements of a top-level array, or of the member `items` or `operations` of a top-level object. */
import type { Framer, ItemWriter } from './framer.ts';
import type { JsonCursor } from './json-cursor.ts';
import { createJsonEnvelope } from './json-envelope.ts';
import { createJsonItems } from './json-items.ts';
import { malformed } from './malformed.ts';

export function createJsonFramer(writer: ItemWriter): Framer {
  const cursor: JsonCursor = { base: 0, line: 1, afterCr: false };
  const envelope = createJsonEnvelope(cursor);
  const items = createJsonItems(cursor, writer);

  return {
    push: (bytes, offset) => {
      cursor.base = offset;
      let at = 0;
      while (at < bytes.length) {
        if (envelope.atItems()) {
          at = items.scan(bytes, at);
          if (items.takeClosed()) envelope.itemsClosed();
        } else {
          at = envelope.scan(bytes, at);
        }
      }
      if (bytes.length > 0) cursor.afterCr = bytes[bytes.length - 1] === 0x0d;
    },
    end: (offset) => {
      if (!envelope.isComplete()) throw malformed('the JSON ends before its top-level value does', offset);
    },
    format: () => ({ kind: 'json' }),
  };
}

/** Reads server-sent events as they come, in pieces of any size; only their data matters here. */

/** Give it each piece of text; `onData` is called with the parsed data of every whole event. */
export function followEvents(onData: (data: unknown) => void): (text: string) => void {
  let rest = '';
  return (text) => {
    rest += text;
    for (let end = rest.indexOf('\n\n'); end !== -1; end = rest.indexOf('\n\n')) {
      const event = rest.slice(0, end);
      rest = rest.slice(end + 2);
      const data = event.split('\n').filter((line) => line.startsWith('data: '));
      if (data.length > 0) onData(JSON.parse(data.map((line) => line.slice(6)).join('\n')));
    }
  };
}

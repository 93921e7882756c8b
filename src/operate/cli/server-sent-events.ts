/** Server-Sent Events as they are read: https://html.spec.whatwg.org/multipage/server-sent-events.html */

export interface ServerSentEvent {
  readonly event: string;
  readonly data: string;
}

/** More than any event of ours has. */
const MAX_CHARS = 8 * 1024 * 1024;

/** Comments and events without data are passed over; what is cut off at the end is no event. */
export async function* serverSentEvents(
  pieces: AsyncIterable<Uint8Array>,
): AsyncGenerator<ServerSentEvent> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const piece of pieces) {
    const blocks = `${text}${decoder.decode(piece, { stream: true })}`.split('\n\n');
    text = blocks.pop() ?? '';
    if (text.length > MAX_CHARS) throw new Error('An event without an end');
    for (const block of blocks) {
      const read = eventOf(block);
      if (read !== null) yield read;
    }
  }
}

function eventOf(block: string): ServerSentEvent | null {
  let event = 'message';
  const data: string[] = [];
  for (const line of block.split('\n')) {
    const [, field = '', value = ''] = /^([^:]*):? ?(.*)$/.exec(line) ?? [];
    if (field === 'event') event = value;
    else if (field === 'data') data.push(value);
  }
  return data.length === 0 ? null : { event, data: data.join('\n') };
}

/** What can befall a link between two processes, and how the harness tells the process that keeps the links. */

/** `up`: what the one who dialled sends; `down`: what it is answered. */
export type Way = 'both' | 'up' | 'down';

export type LinkFault =
  /** Open connections end with RST, and so does each that comes meanwhile. */
  | { readonly kind: 'reset' }
  /** Only those that come meanwhile. */
  | { readonly kind: 'refuse' }
  /** Bytes wait and arrive once it is over: a network that lost packets and found itself again. */
  | { readonly kind: 'hold'; readonly way: Way }
  /** Bytes vanish, nobody is told; the connection ends once it is over: half-open, as behind a dead router. */
  | { readonly kind: 'hole'; readonly way: Way }
  | { readonly kind: 'delay'; readonly delayMs: number }
  | { readonly kind: 'trickle'; readonly bytesPerSecond: number }
  | HttpFault;

/** Only on a link that is kept by request (`http`): what an S3 store does on a bad day, to this share of the requests. */
export type HttpFault = { readonly kind: 'http'; readonly share: number; readonly seed: number } & (
  | { readonly what: 'slow_down' | 'internal_error' | 'cut_before' | 'cut_after' }
  | { readonly what: 'slow'; readonly delayMs: number }
);

export type LinkCommand =
  | { readonly kind: 'open'; readonly link: string; readonly targets: readonly number[]; readonly http: boolean }
  | { readonly kind: 'fault'; readonly link: string; readonly fault: LinkFault | null };

export interface LinkAnswer {
  readonly id: number;
  readonly port: number | null;
}

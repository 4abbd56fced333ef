/** Callback URLs as a forger would write them: close to a true one, and never true. */

/** The last segment of the path is the token: a claim, a point, its signature. */
export function breakToken(url: string, random: () => number): string {
  const cut = url.lastIndexOf('/') + 1;
  const [claim = '', signature = ''] = url.slice(cut).split('.');
  const ways = [
    () => `${claim}.${changed(signature, random)}`,
    () => `${changed(claim, random)}.${signature}`,
    () => claim,
    () => `${claim}.`,
    () => `${claim}.${signature.slice(0, -1)}`,
    () => `${otherItem(claim)}.${signature}`,
    () => `.${signature}`,
  ];
  const way = ways[Math.floor(random() * ways.length)];
  return url.slice(0, cut) + (way?.() ?? 'forged');
}

function changed(text: string, random: () => number): string {
  const at = Math.floor(random() * text.length);
  return `${text.slice(0, at)}${text[at] === 'A' ? 'B' : 'A'}${text.slice(at + 1)}`;
}

/** The claim of a neighbour under this one's signature. */
function otherItem(claim: string): string {
  const text = Buffer.from(claim, 'base64url').toString('latin1');
  return Buffer.from(text.replace(/\d(?=\]$)/, (digit) => String((Number(digit) + 1) % 10))).toString('base64url');
}
